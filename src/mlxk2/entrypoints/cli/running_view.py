"""What running servers hold, as the lines that people read."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from mlxk2.domain.names import printable
from mlxk2.domain.sizes import size
from mlxk2.entrypoints.cli import human

if TYPE_CHECKING:
    from mlxk2.domain.usecases.watch_servers import ServerView
    from mlxk2.ports.held import Held, HeldModel

_HEADER = ("NAME", "MEMORY", "RUNNING", "WAITING", "TOKENS/S", "EXPIRES")
_RIGHT = frozenset({"MEMORY", "RUNNING", "WAITING", "TOKENS/S", "PORT"})
_NARROW = 60
"""Columns below which a model has lines of its own instead of a row."""
Line = tuple[str, str | None]
"""Text without control characters, and its style."""


def model_lines(views: "Sequence[ServerView]", width: int | None) -> list[Line]:
    """The models as a table, its header first, or one below the other where a table has no room."""
    several = len(views) > 1
    if width is not None and width < _NARROW:
        return [line for view, model in _models(views) for line in _stacked(view, model, several=several)]
    header = (*_HEADER, "PORT") if several else _HEADER
    rows = [(*_row(model), *([str(view.server.port)] if several else [])) for view, model in _models(views)]
    head, *lines = human.table(header, rows, width=width, right=_RIGHT)
    return [(head, "bold"), *((line, None) for line in lines)]


def notes(views: "Sequence[ServerView]", now: float) -> list[str]:
    """A sentence about each server, and what to do when there is nothing to see."""
    if not views:
        return ["No server of yours is running; start one with: mlxk2 serve"]
    lines = [_server_line(view, now) for view in views]
    if all(view.held is not None and not view.held.models for view in views):
        lines.append("No model is loaded; the first request for a model loads it")
    return lines


def _models(views: "Iterable[ServerView]") -> "Iterator[tuple[ServerView, HeldModel]]":
    return ((view, model) for view in views if view.held for model in view.held.models)


def _row(model: "HeldModel") -> tuple[str, ...]:
    return (
        printable(model.model),
        size(model.resident_bytes) if model.resident_bytes else "-",
        str(model.busy),
        str(model.waiting),
        _speed(model),
        _expires(model),
    )


def _stacked(view: "ServerView", model: "HeldModel", *, several: bool) -> list[Line]:
    name, memory, running, waiting, speed, expires = _row(model)
    return [
        (name, "bold"),
        (f"  {memory} of memory" + (f" in the server on port {view.server.port}" if several else ""), None),
        (f"  {running} running, {waiting} waiting, {speed} tokens/s", None),
        (f"  expires: {expires}", None),
    ]


def _speed(model: "HeldModel") -> str:
    return f"{model.tokens_per_second:.1f}" if model.tokens_per_second > 0 else "-"


def _expires(model: "HeldModel") -> str:
    """When its memory will be given back, as far as anybody knows."""
    if model.state != "loaded":
        return printable(model.stage or model.state)
    if model.pinned:
        return "never"
    if model.expires_in is not None:
        return f"in {human.duration(model.expires_in)}"
    return "in use" if model.busy or model.waiting else "never"


def _server_line(view: "ServerView", now: float) -> str:
    server = view.server
    if view.held is None:
        return printable(view.problem or f"The server on port {server.port} says nothing")
    started = human.age(server.started, now)
    return f"Server at {server.url}, process {server.pid}, started {started}: {_room(view.held)}"


def _room(held: "Held") -> str:
    bound = "" if held.memory_limit is None else f" of {size(held.memory_limit)}"
    queue = f"; {human.count(held.waiting, 'request')} waiting for room" if held.waiting else ""
    return f"{size(held.memory_taken)}{bound} reserved{queue}"
