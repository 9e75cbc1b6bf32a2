"""Every failure that the program names, as one exception each.

A message is one clear sentence with the next step in it. `type` is the word that scripts see in the JSON error
object (docs/json-api-specification.md); exit codes are decided once, in `entrypoints/cli/errors.py`.
"""

from typing import ClassVar


class Mlxk2Error(Exception):
    """Base of all failures that a user can meet; `message` is shown to people and scripts alike."""

    type: ClassVar[str] = "OperationError"

    def __init__(self, message: str, *, details: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


class ValidationError(Mlxk2Error):
    """What was typed cannot mean anything: a bad name, an option out of range."""

    type = "ValidationError"


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


class OperationError(Mlxk2Error):
    """The request is understood but cannot be carried out on this model or machine."""

    type = "OperationError"


class Interrupted(Mlxk2Error):
    """The user pressed Ctrl-C."""

    type = "Interrupted"


class InternalError(Mlxk2Error):
    """A defect of the program itself; `details` names the place in the code."""

    type = "InternalError"
