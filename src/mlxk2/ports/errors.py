"""Every failure that the program names, as one exception each.

A message is one clear sentence with the next step in it. `type` is the word that scripts see in the JSON error
object (docs/json-api-specification.md); exit codes are decided once, in `entrypoints/cli/errors.py`.
"""

from typing import ClassVar, Literal


class Mlxk2Error(Exception):
    """Base of all failures that a user can meet; `message` is shown to people and scripts alike."""

    type: ClassVar[str] = "OperationError"

    def __init__(self, message: str, *, details: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ValidationError(Mlxk2Error):
    """What was typed cannot mean anything: a bad name, an option out of range.

    `parameter` is which one of a generation request's (`ports/checking.py`), where it is one of them.
    """

    type = "ValidationError"

    def __init__(self, message: str, *, details: str | None = None, parameter: str | None = None) -> None:
        super().__init__(message, details=details)
        self.parameter = parameter


class UsageError(ValidationError):
    """The command line itself could not be read; `usage` is the short usage text to show with it."""

    def __init__(self, message: str, *, usage: str = "") -> None:
        super().__init__(message)
        self.usage = usage


class AmbiguousMatch(Mlxk2Error):
    """A reference matches several models, or `@hash` several revisions; the candidates come sorted."""

    type = "ambiguous_match"

    def __init__(self, message: str, *, matches: tuple[str, ...] = (), available_hashes: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.matches = matches
        self.available_hashes = available_hashes


class ModelNotFound(Mlxk2Error):
    """Nothing in the cache answers to the reference."""

    type = "model_not_found"


class LocksPresent(Mlxk2Error):
    """Another process holds locks of the model; `lock_files` are names relative to the cache."""

    type = "locks_present"

    def __init__(self, message: str, *, model: str, lock_files: tuple[str, ...]) -> None:
        super().__init__(message)
        self.model = model
        self.lock_files = lock_files


class AccessProblem(Mlxk2Error):
    """The file system refused: permissions, a full disk, a read-only mount."""

    type = "PermissionError"


class NetworkProblem(Mlxk2Error):
    """The Hub cannot be reached: no network, or offline mode."""

    type = "NetworkError"


class RateLimited(NetworkProblem):
    """The Hub asks to slow down; `retry_after` are the seconds it wants to be left alone, None when it does not say."""

    type = "rate_limited"

    def __init__(self, message: str, *, retry_after: float | None = None, details: str | None = None) -> None:
        super().__init__(message, details=details)
        self.retry_after = retry_after


class DownloadFailed(Mlxk2Error):
    """The Hub answered, but the transfer could not be completed: server errors after retries, damaged bytes."""

    type = "download_failed"


class NotOnHub(Mlxk2Error):
    """The Hub knows no such repo, revision or file, or does not show it to this user; `missing` says which of these."""

    type = "model_not_found"

    def __init__(
        self, message: str, *, missing: Literal["repo", "revision", "file"], details: str | None = None
    ) -> None:
        super().__init__(message, details=details)
        self.missing = missing


class Unauthorised(Mlxk2Error):
    """The Hub refuses the token, or wants one."""

    type = "auth_error"


class Gated(Mlxk2Error):
    """The repo's terms must be accepted first; `page` is where."""

    type = "access_denied"

    def __init__(self, message: str, *, page: str, details: str | None = None) -> None:
        super().__init__(message, details=details)
        self.page = page


class DiskFull(AccessProblem):
    """The disk has no room for what is to be written."""


class OperationError(Mlxk2Error):
    """The request is understood but cannot be carried out on this model or machine."""

    type = "OperationError"


class ContextExceeded(ValidationError):
    """The prompt is longer than the model's context; both numbers are in tokens."""

    type = "context_length_exceeded"

    def __init__(self, message: str, *, prompt_tokens: int, context_length: int) -> None:
        super().__init__(message, parameter="prompt")
        self.prompt_tokens = prompt_tokens
        self.context_length = context_length


class NotEnoughMemory(OperationError):
    """The model, or one request to it, needs more memory than it may take; both numbers are in bytes."""

    type = "not_enough_memory"

    def __init__(self, message: str, *, needed_bytes: int, limit_bytes: int) -> None:
        super().__init__(message)
        self.needed_bytes = needed_bytes
        self.limit_bytes = limit_bytes


class Overloaded(OperationError):
    """Too many requests wait, or one waited too long: worth another try later."""

    type = "overloaded"


class EngineFailure(OperationError):
    """The engine broke while it worked on the request, through no fault of the request: worth another try at once."""

    type = "engine_failure"


class ServerGone(OperationError):
    """The running server cannot be reached, or has ended in the middle."""

    type = "server_gone"


class Conflict(OperationError):
    """What a change was planned on has changed meanwhile."""


class Interrupted(Mlxk2Error):
    """The user pressed Ctrl-C."""

    type = "Interrupted"


class InternalError(Mlxk2Error):
    """A defect of the program itself; `details` names the place in the code."""

    type = "InternalError"
