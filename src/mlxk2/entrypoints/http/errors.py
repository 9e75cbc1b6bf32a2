"""From failures to HTTP answers: the one table, and how each API writes an error.

`problem_of` decides status, kind and code for every failure that the program names. Anything else is a defect: its
client learns the request id and nothing more, and the log has the rest.
"""

from dataclasses import dataclass
from typing import Literal

import msgspec
from starlette.responses import Response

from mlxk2.ports.errors import (
    AmbiguousMatch,
    Conflict,
    ContextExceeded,
    EngineFailure,
    InternalError,
    LocksPresent,
    Mlxk2Error,
    ModelNotFound,
    NotEnoughMemory,
    OperationError,
    Overloaded,
    ServerGone,
    ValidationError,
)
from mlxk2.ports.troubles import Trouble, trouble_of

Style = Literal["openai", "anthropic", "engine"]

ENGINE = "/engine/"
"""What the paths begin with that this user's own programs ask (`ports/attachment.py`)."""

INVALID = "invalid_request_error"
_BROKEN = "engine_failure"
_BUSY_SECONDS = 5
"""When to try again after a refusal because of too much work: answers take seconds."""


@dataclass(frozen=True, slots=True)
class Problem:
    """What went wrong with one request, as its client is told.

    `kind` is OpenAI's `error.type`; Anthropic's follows from the status. `parameter` is named as the API names it.
    `retry_after` is in seconds.
    """

    status: int
    kind: str
    message: str
    parameter: str | None = None
    code: str | None = None
    retry_after: int | None = None


class Refusal(Exception):
    """The request is not carried out; `headers` are added to the answer."""

    def __init__(self, problem: Problem, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.headers = headers


def refusal(message: str, parameter: str | None = None, code: str | None = None, status: int = 400) -> Refusal:
    """What the client itself has done wrong; `status` is 4xx."""
    return Refusal(Problem(status, INVALID, message, parameter, code))


@dataclass(frozen=True, slots=True)
class _Row:
    status: int
    kind: str
    code: str | None = None
    retry_after: int | None = None


_TABLE: tuple[tuple[type[Mlxk2Error], _Row], ...] = (
    (ContextExceeded, _Row(400, INVALID, "context_length_exceeded")),
    (ValidationError, _Row(400, INVALID)),
    (ModelNotFound, _Row(404, INVALID, "model_not_found")),
    (AmbiguousMatch, _Row(400, INVALID, "ambiguous_match")),
    (LocksPresent, _Row(409, "conflict_error", "locks_present")),
    (Conflict, _Row(409, "conflict_error", "conflict")),
    (Overloaded, _Row(503, "server_error", "overloaded", _BUSY_SECONDS)),
    (EngineFailure, _Row(503, "server_error", _BROKEN, 1)),
    (NotEnoughMemory, _Row(400, INVALID, "not_enough_memory")),
    (OperationError, _Row(400, INVALID)),
)
"""The first class that fits decides. Whatever is missing here may name places on this machine, and is not told."""

_UNTOLD = Problem(
    500, "server_error", "The server failed over this request; its log says why, under this answer's request id"
)


def problem_of(error: Exception) -> Problem:
    """What a client is told of a failure; 500 without any detail for one that is the server's own."""
    if isinstance(error, Refusal):
        return error.problem
    row = next((row for kind, row in _TABLE if isinstance(error, kind)), None)
    if row is None or not isinstance(error, Mlxk2Error):
        return _UNTOLD
    parameter = "model" if isinstance(error, (ModelNotFound, AmbiguousMatch)) else getattr(error, "parameter", None)
    return Problem(row.status, row.kind, error.message, parameter, row.code, row.retry_after)


def is_own_failure(problem: Problem) -> bool:
    """Whether the log has to say more: a defect, or an engine that broke."""
    return problem.status == 500 or problem.code == _BROKEN


def style_of(path: str) -> Style:
    """Whose words the client of this path understands."""
    if path.startswith(ENGINE):
        return "engine"
    return "anthropic" if path == "/v1/messages" or path.startswith("/v1/messages/") else "openai"


def render(problem: Problem, style: Style, request_id: str, headers: tuple[tuple[str, str], ...] = ()) -> Response:
    response = Response(body_of(problem, style, request_id), problem.status, media_type="application/json")
    if problem.retry_after is not None:
        response.headers["retry-after"] = str(problem.retry_after)
    for name, value in headers:
        response.headers[name] = value
    return response


def body_of(problem: Problem, style: Style, request_id: str) -> bytes:
    """The error as a JSON document, which is also what a stream's error event carries."""
    if style == "engine":
        return failed_line(trouble_over(Refusal(problem)))
    return msgspec.json.encode(_openai(problem) if style == "openai" else _anthropic(problem, request_id))


_TROUBLES: dict[int, type[Mlxk2Error]] = {
    400: ValidationError,
    408: OperationError,
    413: ValidationError,
    429: Overloaded,
    500: InternalError,
    504: OperationError,
}
"""Errors of this user's programs for refusals; any other means that they cannot speak to this server."""


def trouble_over(error: Exception) -> Trouble:
    """What one of this user's programs is told of a failure."""
    if isinstance(error, Mlxk2Error):
        return trouble_of(error)
    problem = problem_of(error)
    return trouble_of(_TROUBLES.get(problem.status, ServerGone)(problem.message))


def failed_line(trouble: Trouble) -> bytes:
    """The `Line` that says so; without the fields that it does not set, as all lines are written."""
    return msgspec.json.encode({"failed": trouble}) + b"\n"


class OpenAiProblem(msgspec.Struct):
    message: str
    type: str
    param: str | None
    code: str | None


class OpenAiFailure(msgspec.Struct):
    """An error as OpenAI's clients read it."""

    error: OpenAiProblem


def _openai(problem: Problem) -> OpenAiFailure:
    return OpenAiFailure(OpenAiProblem(problem.message, problem.kind, problem.parameter, problem.code))


class AnthropicProblem(msgspec.Struct):
    type: str
    message: str


class AnthropicFailure(msgspec.Struct, tag_field="type", tag="error"):
    """An error as Anthropic's clients read it."""

    error: AnthropicProblem
    request_id: str


_ANTHROPIC_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
}


def _anthropic(problem: Problem, request_id: str) -> AnthropicFailure:
    """Anthropic's errors have no place for the parameter but the message."""
    fallback = "api_error" if problem.status >= 500 else INVALID
    told, name = problem.message, problem.parameter
    message = told if name is None or name in told else f"{name}: {told}"
    return AnthropicFailure(AnthropicProblem(_ANTHROPIC_TYPES.get(problem.status, fallback), message), request_id)
