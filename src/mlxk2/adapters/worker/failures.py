"""What goes wrong between parent and worker, as errors that whoever waits is told."""

import traceback

from mlxk2.ports.errors import EngineFailure, ValidationError
from mlxk2.ports.redaction import without_secrets


def malformed(what: str, error: Exception) -> ValidationError:
    """The body of one request or call is not what it should be."""
    return ValidationError(f"The {what} is not well formed: {error}")


def unexpected(error: BaseException) -> EngineFailure:
    """Whatever it is, whoever waits is told, with the place in the code."""
    trace = without_secrets("".join(traceback.format_exception(error)))
    what = without_secrets(f"{type(error).__name__}: {error}")
    return EngineFailure(f"The engine failed in an unexpected way: {what}", details=trace)
