"""`mlxk2 logs`: what a server has logged, from the file that it writes."""

import os
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.errors import INTERRUPTED
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.running import LogsData
from mlxk2.entrypoints.cli.tail import Tail
from mlxk2.ports.errors import AccessProblem, OperationError, UsageError, ValidationError
from mlxk2.ports.servers import RunningServer, Servers

_ENDING = ".log"


@dataclass(frozen=True, slots=True)
class _Log:
    """`port` is None where a file's name does not tell it; `server` writes it, None when that has ended."""

    path: str
    port: int | None
    server: RunningServer | None


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    if args.follow and out.json:
        raise UsageError(
            "--follow has no end, and --json is one document; leave one of them out"
            " (with serve --log-format json the lines of the log are JSON themselves)"
        )
    if args.lines < 0:
        raise ValidationError(f"--lines takes a number from 0 on, not {args.lines}")
    log = _find(services().servers(), args.port)
    with _opened(log) as tail:
        lines = tail.last(args.lines)
        if not args.follow:
            lines = [*lines, *filter(None, [tail.rest()])][-args.lines :] if args.lines else []
        if out.json:
            out.document(success("logs", LogsData(log.port, log.server is not None, log.path, lines)))
            return 0
        out.note(_heading(log))
        for line in lines:
            out.result(line)
        out.flush()
        return _follow(tail, out) if args.follow else 0


def _follow(tail: Tail, out: Output) -> int:
    """Until Ctrl-C: that is how it ends, so nothing more is said about it."""
    with suppress(KeyboardInterrupt):
        for line in tail.follow():
            out.stream(f"{line}\n")
    return INTERRUPTED


def _find(servers: Servers, port: int | None) -> _Log:
    """The log of the server that was started last, or that has written last when none runs; or the one of `port`.

    Raises OperationError when there is none.
    """
    running = next((server for server in servers.running() if port in (None, server.port)), None)
    if running is not None:
        return _Log(running.log, running.port, running)
    path = servers.log_file(port or 0)
    if port is None:
        path = _newest(os.path.dirname(path)) or path
    if not os.path.exists(path):
        whose, step = ("No server", "") if port is None else (f"No server on port {port}", f" --port {port}")
        raise OperationError(f"{whose} has left a log here; start one with: mlxk2 serve{step}")
    return _Log(path, _port_of(path), None)


def _newest(folder: str) -> str | None:
    with os.scandir(folder) as entries:
        logs = [entry for entry in entries if entry.name.endswith(_ENDING) and entry.is_file()]
    return max(logs, key=lambda entry: entry.stat().st_mtime).path if logs else None


def _port_of(path: str) -> int | None:
    number = os.path.basename(path).removesuffix(_ENDING).rpartition("-")[2]
    return int(number) if number.isdecimal() else None


@contextmanager
def _opened(log: _Log) -> Iterator[Tail]:
    """Raises AccessProblem when the file cannot be read."""
    try:
        tail = Tail(log.path)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise AccessProblem(f"The log {log.path} cannot be read: {reason}") from error
    try:
        yield tail
    finally:
        tail.close()


def _heading(log: _Log) -> str:
    port = "" if log.port is None else f" on port {log.port}"
    state = "which has ended" if log.server is None else f"process {log.server.pid}"
    return f"The log of the server{port}, {state}: {log.path}"
