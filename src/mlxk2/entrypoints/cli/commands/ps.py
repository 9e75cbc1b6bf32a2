"""`mlxk2 ps`: what the running servers have in memory, once or again and again."""

import time
from argparse import Namespace
from collections.abc import Callable
from math import isfinite
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli import running_view
from mlxk2.entrypoints.cli.errors import INTERRUPTED
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.running_view import Line
from mlxk2.ports.errors import Mlxk2Error, UsageError, ValidationError

if TYPE_CHECKING:
    from mlxk2.domain.usecases.watch_servers import ServerView, WatchServers
    from mlxk2.entrypoints.cli.context import Services

_SHORTEST, _LONGEST = 0.1, 3600.0
Now = Callable[[], float]


def execute(args: Namespace, services: "Callable[[], Services]", out: Output) -> int:
    if args.watch is not None:
        _check(args.watch, out)
    watch, now = services().watch_servers(), services().clock().now
    if args.watch is None:
        _show(watch(args.port), now(), out)
        return 0
    if out.screen is None:
        return _repeat(args, watch, now, out)
    return _redraw(args, watch, now, out)


def _check(seconds: float, out: Output) -> None:
    if out.json:
        raise UsageError("--watch has no end, and --json is one document; take --jsonl, which prints one line a look")
    if not (isfinite(seconds) and _SHORTEST <= seconds <= _LONGEST):
        raise ValidationError(f"--watch takes seconds from {_SHORTEST:g} to {_LONGEST:g}, not {seconds:g}")


def _show(views: "tuple[ServerView, ...]", now: float, out: Output, told: list[str] | None = None) -> list[str]:
    """One look; the notes for people unless they were `told` before, which are returned."""
    notes: list[str] = []
    if out.jsonl or out.json:
        _print(views, out)
    else:
        for text, style in running_view.model_lines(views, out.width):
            out.result(out.styled(text, style) if style else text)
        notes = running_view.notes(views, now)
        for note in notes if notes != told else ():
            out.note(note)
    return notes


def _print(views: "tuple[ServerView, ...]", out: Output) -> None:
    """For programs."""
    from mlxk2.entrypoints.cli.envelope import success
    from mlxk2.entrypoints.cli.records.running import LookEvent
    from mlxk2.entrypoints.cli.running_objects import ps_data

    if out.jsonl:
        out.event(LookEvent(ps_data(views)))
    else:
        out.document(success("ps", ps_data(views)))


def _repeat(args: Namespace, watch: "WatchServers", now: Now, out: Output) -> int:
    """One look below the other, for a program that reads along, and for a terminal that can only go on."""
    told: list[str] | None = None
    while True:
        if told is not None and not out.jsonl:
            out.result("")
        told = _show(watch(args.port), now(), out, told)
        out.flush()
        time.sleep(args.watch)


def _redraw(args: Namespace, watch: "WatchServers", now: Now, out: Output) -> int:
    """In place, until Ctrl-C: that is how it ends, so nothing more is said about it."""
    from mlxk2.entrypoints.cli.redraw import Redraw, usable

    picture = Redraw(out)
    try:
        while (screen := out.screen) is not None:
            picture.draw(_picture(args, watch, now(), usable(screen[0])), screen)
            time.sleep(args.watch)
    except KeyboardInterrupt:
        picture.leave()
    return INTERRUPTED


def _picture(args: Namespace, watch: "WatchServers", now: float, width: int) -> list[Line]:
    """A server that is not there any more, or not yet, ends nothing."""
    from textwrap import wrap

    try:
        views = watch(args.port)
    except Mlxk2Error as error:
        models, notes = [], [error.message]
    else:
        models, notes = running_view.model_lines(views, width), running_view.notes(views, now)
    folded: list[Line] = [(line, None) for note in notes for line in wrap(note, width)]
    return [*models, *folded, (f"Every {args.watch:g} s; Ctrl-C ends it", "dim")]
