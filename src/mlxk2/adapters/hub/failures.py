"""What goes wrong between here and the Hub: which failures may pass by themselves, and the words for those that do not.

huggingface_hub's own errors are told by their classes. Those of the HTTP library under it are told by the package that
they come from, because that package changed its name between huggingface_hub 1 and 2. No message of either is passed
on whole: they can hold addresses with signatures, and headers.
"""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from huggingface_hub import get_session
from huggingface_hub.errors import (
    EntryNotFoundError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mlxk2.ports.errors import (
    Conflict,
    DownloadFailed,
    Gated,
    Mlxk2Error,
    NetworkProblem,
    NotOnHub,
    RateLimited,
    Unauthorised,
)
from mlxk2.ports.redaction import without_secrets

_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})
_NEVER_BETTER = frozenset({"InvalidURL", "LocalProtocolError", "TooManyRedirects", "UnsupportedProtocol"})
_NO_CONNECTION = frozenset({"ConnectError", "ConnectTimeout", "ProxyError"})
LONGEST_WAIT = 120.0
"""Seconds that are waited for at the most when a server asks for a pause."""
_RESET = re.compile(r"\bt=(\d+)")
_LONGEST = 200
LOG_IN = "log in with: hf auth login (or set HF_TOKEN)"


class AsksToWait(Exception):
    """A server wants to be left alone for longer than anybody waits; raised before huggingface_hub starts to."""

    def __init__(self, response: Any) -> None:
        super().__init__("the server asks for a long pause")
        self.response = response


class EndedEarly(Exception):
    """A body stopped before all of its bytes had come, without an error."""


@dataclass(frozen=True, slots=True)
class About:
    """What a call is about, for the sentence that tells of its failure."""

    endpoint: str
    name: str = ""
    revision: str = ""
    path: str = ""
    verb: str = "read"
    done: str = "read"

    @property
    def kept(self) -> str:
        return " what has been transferred is kept," if self.path else ""

    @property
    def page(self) -> str:
        return f"{self.endpoint}/{self.name}"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it was raised from: huggingface_hub wraps failures of an upload."""
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an error, None when no answer came."""
    responses = (getattr(cause, "response", None) for cause in _causes(error))
    statuses = (getattr(response, "status_code", None) for response in responses)
    return next((status for status in statuses if isinstance(status, int)), None)


def retry_after(error: BaseException) -> float | None:
    """Seconds to be left alone: `Retry-After`, as a number or a date, or the reset time of `RateLimit` (`t=`)."""
    headers = getattr(getattr(error, "response", None), "headers", {})
    asked = headers.get("retry-after", "")
    try:
        return max(0.0, float(asked))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        pass
    reset = _RESET.search(headers.get("ratelimit", "")) if status_of(error) == 429 else None
    return float(reset[1]) if reset else None


def refuse_long_waits(response: Any) -> None:
    """A hook of the HTTP session: huggingface_hub itself would wait for an hour, and do so five times."""
    asked = retry_after(AsksToWait(response)) if response.status_code in _TRANSIENT else None
    if asked is not None and asked > LONGEST_WAIT:
        raise AsksToWait(response)


def is_transport(error: BaseException) -> bool:
    """No answer, or one that broke off."""
    if isinstance(error, OfflineModeIsEnabled):
        return False
    own = (EndedEarly, ConnectionError, TimeoutError)
    return any(isinstance(cause, own) or _of_the_http_library(cause) for cause in _causes(error))


def is_transient(error: BaseException) -> bool:
    """Whether the same request may succeed a little later."""
    status = status_of(error)
    if status is not None:
        return status in _TRANSIENT
    return is_transport(error) and type(error).__name__ not in _NEVER_BETTER


def is_no_connection(error: BaseException) -> bool:
    """Nobody answers at all: waiting seldom helps."""
    return type(error).__name__ in _NO_CONNECTION


def _of_the_http_library(error: BaseException) -> bool:
    package = type(get_session()).__module__.partition(".")[0]
    names = {kind.__module__.partition(".")[0] for kind in type(error).__mro__}
    return package in names and not isinstance(error, HfHubHTTPError)


def translate(error: Exception, about: About, *, has_token: bool) -> Mlxk2Error:
    """The typed error with its cause and the next step."""
    if isinstance(error, Mlxk2Error):
        return error
    if isinstance(error, OfflineModeIsEnabled):
        return offline()
    status = status_of(error)
    if (has_token and isinstance(error, UnicodeEncodeError)) or type(error).__name__ == "LocalProtocolError":
        return Unauthorised(f"Your token holds characters that no token has; check HF_TOKEN, or {LOG_IN}")
    if status is None:
        if is_transport(error):
            return _unreachable(error, about)
        what = f"({type(error).__name__})"
        return DownloadFailed(f"'{about.name}' could not be {about.done}: {what}", details=_in_short(error))
    details = f"HTTP {status} ({about.path or about.name or about.endpoint})"
    named = _named_by_the_hub(error, about, details, has_token=has_token)
    return named or _by_status(status, error, about, details, has_token=has_token)


def _by_status(status: int, error: Exception, about: About, details: str, *, has_token: bool) -> Mlxk2Error:
    if status == 401:
        if not has_token:
            return Unauthorised(f"The Hub wants to know who you are; {LOG_IN}", details=details)
        return Unauthorised(
            "The Hub does not accept your token; if HF_TOKEN is set, correct or unset it, else log in again with:"
            " hf auth login",
            details=details,
        )
    if status == 403:
        return Unauthorised(
            f"Your account or token may not {about.verb} '{about.name}'; use a token that is allowed to, and {LOG_IN}",
            details=details,
        )
    if status == 412:
        return Conflict(
            f"'{about.name}' was changed on the Hub meanwhile; nothing was committed: try --dry-run and push again",
            details=details,
        )
    if status == 416:
        return DownloadFailed(
            f"{about.path} on the Hub is shorter than its listing says; pull again, the repo may just have changed",
            details=details,
        )
    if status == 429:
        return _rate_limited(retry_after(error), details, has_token=has_token)
    if status >= 500:
        return DownloadFailed(
            f"The Hub has trouble (HTTP {status}) and did not recover after several tries;{about.kept} run the same"
            " command again later",
            details=details,
        )
    return DownloadFailed(f"The Hub refused to let '{about.name}' be {about.done} (HTTP {status})", details=details)


def _in_short(error: BaseException) -> str:
    """An unknown failure for whoever has to look into it."""
    return without_secrets(f"{type(error).__name__}: {' '.join(str(error).split())}")[:_LONGEST]


def offline() -> NetworkProblem:
    return NetworkProblem("Offline mode is on (HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE); unset it to reach the Hub")


def _named_by_the_hub(error: Exception, about: About, details: str, *, has_token: bool) -> Mlxk2Error | None:
    if isinstance(error, GatedRepoError):
        step = ", then run the same command again" if has_token else f" and {LOG_IN}"
        return Gated(
            f"'{about.name}' is gated: accept its terms at {about.page}{step}", page=about.page, details=details
        )
    if isinstance(error, RepositoryNotFoundError):
        step = "your account may not see it" if has_token else f"if it is private, {LOG_IN}"
        return NotOnHub(
            f"The Hub has no model '{about.name}' to show: check the spelling (mlxk2 search finds names); {step}",
            missing="repo",
            details=details,
        )
    if isinstance(error, RevisionNotFoundError):
        return NotOnHub(
            f"'{about.name}' has no revision '{about.revision}' on the Hub; see its branches, tags and commits at"
            f" {about.page}/tree/main",
            missing="revision",
            details=details,
        )
    if isinstance(error, EntryNotFoundError):
        return NotOnHub(
            f"'{about.name}' has no file {about.path} on the Hub; pull again", missing="file", details=details
        )
    return None


def _rate_limited(seconds: float | None, details: str, *, has_token: bool) -> RateLimited:
    when = f"in {seconds:.0f} seconds" if seconds else "in some minutes"
    hint = "" if has_token else f"; logged-in users get more: {LOG_IN}"
    return RateLimited(
        f"The Hub limits how often you may ask (HTTP 429); run the same command again {when}{hint}",
        retry_after=seconds,
        details=details,
    )


def _unreachable(error: Exception, about: About) -> Mlxk2Error:
    if isinstance(error, EndedEarly):
        return DownloadFailed(
            f"{about.path} on the Hub ends too early, again and again; what has come is kept, pull again later"
        )
    name = type(error).__name__
    if name in _NEVER_BETTER:
        return NetworkProblem(
            f"The Hub ({about.endpoint}) cannot be asked like this ({name}); check HF_ENDPOINT", details=name
        )
    what = {
        "ConnectError": "cannot be reached",
        "ConnectTimeout": "does not answer",
        "ReadTimeout": "stopped answering",
        "ProxyError": "cannot be reached through your proxy",
    }.get(name, "broke off the connection")
    return NetworkProblem(
        f"The Hub ({about.endpoint}) {what}; check the network and HF_ENDPOINT, then run the same command again"
        f"{', it goes on where it stopped' if about.path else ''}",
        details=name,
    )
