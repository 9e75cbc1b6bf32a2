"""What is asked for when a model is opened, and what it is once it is open."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import NamedTuple

from mlxk2.domain.snapshot import JsonObject, Snapshot
from mlxk2.domain.usecases.prepare_answers import AnswerLimits
from mlxk2.domain.usecases.serve_requests import RequestGate
from mlxk2.ports.engine import Engine
from mlxk2.ports.servers import RunningServer


class OpenOptions(NamedTuple):
    """How to open a model.

    `local` asks no running server; to trust its code or to lift all bounds of memory (`force_load`) implies that.
    `least_tokens`: an answer of so many must fit, None where that is left open. `prefix_cache`: what one question has
    computed is kept for the next one.
    """

    local: bool = False
    trust_remote_code: bool = False
    force_load: bool = False
    least_tokens: int | None = None
    prefix_cache: bool = False

    @property
    def may_attach(self) -> bool:
        return not (self.local or self.trust_remote_code or self.force_load)


class Chosen(NamedTuple):
    """The healthy snapshot that a reference means; `location` is where an engine finds its files."""

    name: str
    commit: str
    location: str
    snapshot: Snapshot

    @property
    def pinned(self) -> str:
        """The reference that means this snapshot and no other."""
        return f"{self.name}@{self.commit}"


@dataclass(eq=False, slots=True)
class OpenedModel:
    """A loaded model and the gate before it. Close it when done: what a server has loaded stays with the server.

    `server` is the one that holds it, None when it is in this process. `passed_over` says of servers that could have
    held it why they do not, in one sentence each.
    """

    name: str
    commit: str
    engine: Engine
    gate: RequestGate
    generation_config: JsonObject
    server: RunningServer | None = None
    passed_over: tuple[str, ...] = ()

    @property
    def limits(self) -> AnswerLimits:
        """Others ask a server, too: an answer without a limit of its own does not take all the room that it has."""
        return AnswerLimits(None) if self.server is None else AnswerLimits()

    def close(self) -> None:
        self.gate.close()


@contextmanager
def closed_on_failure(engine: Engine) -> Iterator[None]:
    """What goes wrong within leaves no engine behind."""
    try:
        yield
    except BaseException:
        engine.close()
        raise


def opened_model(chosen: Chosen, engine: Engine, gate: RequestGate, server: RunningServer | None = None) -> OpenedModel:
    config = chosen.snapshot.json_object("generation_config.json")
    return OpenedModel(chosen.name, chosen.commit, engine, gate, config, server)
