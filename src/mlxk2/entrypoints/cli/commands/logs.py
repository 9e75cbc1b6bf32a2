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
    servers = services().servers()
    log = _find(servers, args.port)
    if args.follow:
        return _follow(args, servers, log, out)
    with _opened(log) as tail:
        lines = [*tail.last(args.lines), *filter(None, [tail.rest()])][-args.lines :] if args.lines else []
    if out.json:
        out.document(success("logs", LogsData(log.port, log.server is not None, log.path, lines)))
        return 0
    _show(lines, _heading(log), out)
    return 0


def _show(lines: list[str], heading: str, out: Output) -> None:
    out.note(heading)
    for line in lines:
        out.result(line)
    out.flush()


def _follow(args: Namespace, servers: Servers, log: _Log, out: Output) -> int:
    """Until Ctrl-C: that is how it ends, so nothing more is said about it.

    Without a port, the log of a server that has ended is left for that of one that runs.
    """
    heading = _heading(log)
    with suppress(KeyboardInterrupt):
        while True:
            following = _follow_one(args, servers, log, heading, out)
            heading = f"The server{_on_port(log)} has ended. {_heading(following)}"
            log = following
    return INTERRUPTED


def _follow_one(args: Namespace, servers: Servers, log: _Log, heading: str, out: Output) -> _Log:
    """The log to go on with."""
    following: list[_Log] = []

    def is_over() -> bool:
        if args.port is None:
            following.extend(_after(servers, log))
        return bool(following)

    with _opened(log) as tail:
        _show(tail.last(args.lines), heading, out)
        for line in tail.follow(is_over):
            out.stream(f"{line}\n")
    return following[0]


def _after(servers: Servers, log: _Log) -> list[_Log]:
    """The logs of the servers that run, the one that was started last first; none while one of them writes `log`."""
    running = servers.running()
    if any(server.log == log.path for server in running):
        return []
    return [_Log(server.log, server.port, server) for server in running if os.path.exists(server.log)]


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
    state = "which has ended" if log.server is None else f"process {log.server.pid}"
    return f"The log of the server{_on_port(log)}, {state}: {log.path}"


def _on_port(log: _Log) -> str:
    return "" if log.port is None else f" on port {log.port}"
