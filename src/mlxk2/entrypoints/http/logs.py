"""The log: one line a request, as text or as JSON, to stderr.

What people ask and are answered, keys, headers and query strings never come here. What a client can choose (a path, a
request id) is written so that it stays on its line. A failure shows where in the code it was and of which class, but
not its message: that may quote what somebody asked.
"""

import logging
import sys
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from types import TracebackType
from typing import Literal, TextIO

import msgspec
from starlette.types import Scope

from mlxk2.entrypoints.http.identity import Visit
from mlxk2.ports.redaction import without_secrets

LogFormat = Literal["text", "json"]
LogLevel = Literal["error", "warning", "info", "debug"]

_LOG = logging.getLogger("mlxk2.http")
_QUIET = frozenset({"/health", "/ready", "/metrics", "/engine/status", "/engine/stats"})
"""Asked every few seconds by machines: their lines are for debugging."""
_LONGEST = 300

LOGGERS = ("mlxk2", "uvicorn", "asyncio")
"""Whoever has something to say: the server itself, and its libraries."""

ExceptionInfo = tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]


def start_log(level: LogLevel, form: LogFormat, stream: TextIO | None = None) -> None:
    """Everything the server and its libraries have to say goes to `stream` (stderr) from now on."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(form_of(form))
    number = logging.getLevelNamesMapping()[level.upper()]
    libraries = number if level == "debug" else max(number, logging.WARNING)
    for name in LOGGERS:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(number if name == "mlxk2" else libraries)
        logger.propagate = False


def form_of(form: LogFormat) -> logging.Formatter:
    """Writes a log's lines."""
    return _JsonForm() if form == "json" else _TextForm()


def log_request(scope: Scope, visit: Visit, seconds: float) -> None:
    """One request is over."""
    level = logging.DEBUG if scope["path"] in _QUIET else logging.INFO
    if _LOG.isEnabledFor(level):
        line = _Line(
            method=scope["method"],
            path=printable(scope["path"]),
            status=visit.status,
            seconds=round(seconds, 4),
            request_id=visit.request_id,
            client=printable(visit.client),
            model=visit.model,
            prompt_tokens=visit.prompt_tokens,
            cached_tokens=visit.cached_tokens,
            completion_tokens=visit.completion_tokens,
        )
        _LOG.log(level, "request", extra={"line": line})


def log_failure(error: BaseException, request_id: str) -> None:
    """A defect, or a failure of this machine, met over one request."""
    _LOG.error("Request %s failed", request_id, exc_info=error)


def log_note(message: str) -> None:
    """Something that whoever runs the server likes to know."""
    _LOG.info(message)


def log_trouble(message: str) -> None:
    """Something went wrong that is nobody's question; `message` quotes nobody."""
    _LOG.error("%s", without_secrets(message))


def printable(text: str) -> str:
    """The text on one line, cut where it is too long for one."""
    text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode("ascii")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    method: str
    path: str
    status: int
    seconds: float
    request_id: str
    client: str
    model: str | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int

    def __str__(self) -> str:
        told = f"{self.method} {self.path} {self.status} {self.seconds:.3f}s {self.request_id} {self.client}"
        if self.model is None:
            return told
        tokens = f"{self.prompt_tokens} tokens in ({self.cached_tokens} cached), {self.completion_tokens} out"
        return f"{told} {self.model} {tokens}"


@dataclass(frozen=True, slots=True)
class _Entry:
    time: str
    level: str
    message: str
    failure: tuple[str, ...] | None = None
    request: _Line | None = None


class _Form(logging.Formatter):
    def entry(self, record: logging.LogRecord) -> _Entry:
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        failure = tuple(_frames(record.exc_info[1])) if record.exc_info and record.exc_info[1] else None
        message = " ".join(printable(line) for line in record.getMessage().splitlines())
        return _Entry(moment, record.levelname.lower(), message, failure, getattr(record, "line", None))


class _TextForm(_Form):
    def format(self, record: logging.LogRecord) -> str:
        entry = self.entry(record)
        told = f"{entry.time} {entry.level} {entry.request or entry.message}"
        return "\n    ".join((told, *(entry.failure or ())))


class _JsonForm(_Form):
    def format(self, record: logging.LogRecord) -> str:
        return msgspec.json.encode(self.entry(record)).decode()


def _frames(error: BaseException | None) -> Iterator[str]:
    """Where a failure came from: classes and places in the code, the cause first."""
    if error is None:
        return
    yield from _frames(error.__cause__ or (None if error.__suppress_context__ else error.__context__))
    for frame in traceback.extract_tb(error.__traceback__):
        yield f"{frame.filename}:{frame.lineno} in {frame.name}"
    yield f"raised {type(error).__module__}.{type(error).__qualname__}"
