"""API keys: where they come from, when they are required, and whether a request has one.

A key is `Authorization: Bearer KEY`, or `x-api-key: KEY` as Anthropic's clients send it. The local key is made anew for
each server, and read by this user's programs alone; it counts only for who connects from this machine. Keys are
compared by their digests, all of them for every request, so that the time tells nothing; and they are never shown, not
even in a repr.
"""

import hashlib
import hmac
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.types import ASGIApp, Receive, Scope, Send

from mlxk2.entrypoints.http.errors import ENGINE, Problem, Refusal
from mlxk2.entrypoints.http.guard import is_loopback
from mlxk2.entrypoints.http.identity import values_of, visit_of
from mlxk2.ports.errors import AccessProblem, ValidationError

OPEN_PATHS = frozenset({"/health"})
"""What is answered without a key: that the server is alive, and nothing else."""

LOCAL = "local"
"""The client that is counted and logged for whoever asks from this machine without a key, or with the local one."""

_KEY = re.compile(r"[\x21-\x7e]{1,512}")
_BEARER = re.compile(rb"bearer +([^ ]+) *", re.IGNORECASE)
_CHALLENGE = (("www-authenticate", "Bearer"),)


@dataclass(frozen=True, slots=True)
class KeyFile:
    """Keys as read from a file; `exposed`: other users of this machine can read it too."""

    keys: tuple[str, ...] = field(repr=False)
    exposed: bool


def read_key_file(path: Path) -> KeyFile:
    """One key a line; blank lines and those that begin with `#` do not count.

    Raises AccessProblem when the file cannot be read, and ValidationError when it holds no key, or what is none.
    """
    try:
        text, mode = path.read_text(encoding="utf-8"), path.stat().st_mode
    except UnicodeDecodeError:
        raise ValidationError(f"The key file {path} is no text; write one key a line") from None
    except OSError as error:
        raise AccessProblem(f"The key file {path} cannot be read: {error.strerror}") from None
    lines = [line.strip() for line in text.splitlines()]
    keys = checked_keys([line for line in lines if line and not line.startswith("#")], f"the key file {path}")
    if not keys:
        raise ValidationError(f"The key file {path} holds no key; write one a line")
    return KeyFile(keys, bool(mode & 0o044))


def checked_keys(keys: Iterable[str], place: str) -> tuple[str, ...]:
    """The keys, each once. Raises ValidationError for one that no client could send; `place` is where it was found."""
    found = tuple(dict.fromkeys(keys))
    for number, key in enumerate(found, 1):
        if not _KEY.fullmatch(key):
            raise ValidationError(
                f"Key {number} of {place} has characters that no header can carry; use letters and digits"
            )
    return found


def required_keys(host: str, keys: Sequence[str], *, insecure: bool) -> None:
    """Raises ValidationError when others could use the server and nothing would ask them for a key."""
    if not keys and not insecure and not is_loopback(host):
        raise ValidationError(
            f"With --host {host} other machines can use this server; require a key with --api-key-file, or allow"
            " everyone with --insecure"
        )


class KeyRing:
    """The keys that open the server."""

    def __init__(self, keys: Iterable[str]) -> None:
        self._digests = [(_digest(key.encode()), label_of(key.encode())) for key in keys]

    def __bool__(self) -> bool:
        return bool(self._digests)

    def owner(self, presented: bytes) -> str | None:
        """The label of the key that was presented; None for a wrong one."""
        digest, owner = _digest(presented), None
        for known, label in self._digests:
            if hmac.compare_digest(known, digest):
                owner = label
        return owner


def label_of(key: bytes) -> str:
    """A short name for a key, which does not tell it: for limits and logs."""
    return "key-" + hashlib.sha256(b"mlxk2 label of " + key).hexdigest()[:8]


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


class Keys:
    """Lets in who has a key, and writes down whose it is; everyone, by address, when there are no keys.

    `local` opens everything, and it alone the paths under `/engine`.
    """

    def __init__(self, app: ASGIApp, ring: KeyRing, local: KeyRing) -> None:
        self._app = app
        self._ring = ring
        self._local = local

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._is_local(scope):
            visit_of(scope).client = LOCAL
        elif scope["path"].startswith(ENGINE):
            raise Refusal(_not_local(), _CHALLENGE)
        elif not self._ring:
            visit_of(scope).client = _address(scope)
        elif scope["path"] not in OPEN_PATHS:
            visit_of(scope).client = self._owner(scope)
        await self._app(scope, receive, send)

    def _is_local(self, scope: Scope) -> bool:
        presented = [self._local.owner(key) for key in _presented(scope)]
        return _address(scope) == LOCAL and any(presented)

    def _owner(self, scope: Scope) -> str:
        """Raises Refusal without a right key."""
        presented = _presented(scope)
        owners = [owner for owner in map(self._ring.owner, presented) if owner is not None]
        if owners:
            return owners[0]
        raise Refusal(_wrong() if presented else _missing(), _CHALLENGE)


def _presented(scope: Scope) -> list[bytes]:
    """At most one key of either form; clients of Anthropic's may send both."""
    bearer = [match[1] for value in values_of(scope, b"authorization")[:1] if (match := _BEARER.fullmatch(value))]
    return [*bearer, *values_of(scope, b"x-api-key")[:1]]


def _missing() -> Problem:
    message = "This server wants an API key; send it as 'Authorization: Bearer KEY' or 'x-api-key: KEY'"
    return Problem(401, "authentication_error", message, code="missing_api_key")


def _wrong() -> Problem:
    message = "The API key is not one of this server's; ask whoever runs it"
    return Problem(401, "authentication_error", message, code="invalid_api_key")


def _not_local() -> Problem:
    message = "Only programs of the user who runs this server may ask that, from this machine and with its local key"
    return Problem(401, "authentication_error", message, code="invalid_local_key")


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return LOCAL if client is None or is_loopback(client[0]) else str(client[0])
