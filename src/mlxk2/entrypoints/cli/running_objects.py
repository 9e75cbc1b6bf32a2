"""What running servers hold, as the record that scripts read."""

from collections.abc import Sequence
from typing import Literal, cast

from mlxk2.domain.usecases.watch_servers import ServerView
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.records.running import HeldObject, PsData, ServerObject
from mlxk2.ports.held import HeldModel


def ps_data(views: Sequence[ServerView]) -> PsData:
    models = [_model_object(view, model) for view in views if view.held for model in view.held.models]
    return PsData([_server_object(view) for view in views], models, len(models))


def _server_object(view: ServerView) -> ServerObject:
    server, held = view.server, view.held
    return ServerObject(
        url=server.url,
        port=server.port,
        pid=server.pid,
        version=server.version,
        started=human.utc(server.started),
        memory_limit_bytes=held.memory_limit if held else None,
        memory_taken_bytes=held.memory_taken if held else None,
        waiting=held.waiting if held else None,
        problem=view.problem,
    )


def _model_object(view: ServerView, model: HeldModel) -> HeldObject:
    return HeldObject(
        name=model.model,
        hash=model.revision,
        port=view.server.port,
        state=cast("Literal['loading', 'loaded', 'unloading']", model.state),
        stage=model.stage or None,
        memory_bytes=model.resident_bytes,
        memory_limit_bytes=model.bytes,
        running=model.busy,
        waiting=model.waiting,
        tokens_per_second=round(model.tokens_per_second, 2),
        generated_tokens=model.generated_tokens,
        idle_seconds=_rounded(model.idle_seconds),
        expires_in=_rounded(model.expires_in),
        pinned=model.pinned,
        restarts=model.restarts,
        context_length=model.context_length,
    )


def _rounded(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds, 3)
