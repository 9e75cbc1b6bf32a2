"""Who may talk to the server from a browser: Host, Origin and content type, before anything is read or asked.

A web page can make a browser send requests to this machine. Three rules keep it from being answered:

- A `Host` that is not this server's own name is refused: a page whose name was made to point here (DNS rebinding) sends
  its own. An address written in digits cannot be rebound, so any will do where the server listens beyond loopback.
- An `Origin` is refused unless it is the server's own or listed, for every method; so is what a browser calls
  cross-site without naming an origin. Listed origins get CORS headers, never credentials.
- A POST is JSON by its content type: a form, or a script without leave to ask, cannot send that.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from mlxk2.entrypoints.http.errors import Problem, Refusal, refusal
from mlxk2.entrypoints.http.identity import Header, values_of, visit_of
from mlxk2.ports.errors import ValidationError

_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[a-z0-9._-]+?)\.?(?::(?P<port>[0-9]{1,5}))?")
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[a-z0-9._\[\]:-]+")
_TOKENS = re.compile(rb"[A-Za-z0-9!#$%&'*+.^_`|~, -]{0,2000}")
_JSON = re.compile(rb"application/json[ \t]*(?:;[ \t]*charset=\"?utf-8\"?[ \t]*)?", re.IGNORECASE)
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_DEFAULT_PORTS = (("http://", ":80"), ("https://", ":443"))
_EXPOSED = b"x-request-id, request-id, retry-after"


class HostRule:
    """Which `Host` is this server's own; `allowed` are names, each for any port or for the one it is written with.

    Raises ValidationError for what is no host name.
    """

    def __init__(self, bound: str, allowed: Sequence[str] = ()) -> None:
        self._any_address = not is_loopback(bound)
        names = {*_LOOPBACK, _bracketed(bound.lower()), *(_bracketed(name.lower()) for name in allowed)}
        for name in allowed:
            if not _HOST.fullmatch(_bracketed(name.lower())):
                raise ValidationError(f"--allowed-host {name!r} is no host name; write it like chat.example.org")
        self._names = frozenset(names)

    def check(self, scope: Scope) -> None:
        """Raises Refusal."""
        given = values_of(scope, b"host")
        if len(given) != 1:
            raise refusal("A request names one Host; send exactly one such header")
        host = given[0].decode("latin-1").lower()
        match = _HOST.fullmatch(host)
        if match is None:
            raise refusal("The Host header is no host name with an optional port; send the server's own")
        name = match["name"]
        if name in self._names or (match["port"] and f"{name}:{match['port']}" in self._names):
            return
        if self._any_address and is_address(name):
            return
        raise forbidden(f"This server does not answer to the host name {name}; start it with --allowed-host {name}")


class OriginRule:
    """Which web pages may ask; `listed` are origins like https://chat.example.org, or `*` where keys are required.

    Raises ValidationError for a list that is unsafe or cannot be meant.
    """

    def __init__(self, listed: Sequence[str], *, has_keys: bool) -> None:
        self._any = "*" in listed
        if self._any and not has_keys:
            raise ValidationError(
                "--cors-origin '*' would let every web page use this server; list the origins, or require a key with"
                " --api-key-file"
            )
        self._listed = frozenset(_without_port(origin.lower().rstrip("/")) for origin in listed if origin != "*")
        for origin in self._listed:
            if not _ORIGIN.fullmatch(origin):
                raise ValidationError(f"--cors-origin {origin!r} is no origin; write it like https://chat.example.org")
        self.varies = bool(self._listed)

    def admit(self, scope: Scope) -> list[Header]:
        """The headers that let the page read the answer; none for whoever is no page of another origin.

        Raises Refusal.
        """
        given = values_of(scope, b"origin")
        if not given:
            if b"cross-site" in values_of(scope, b"sec-fetch-site"):
                raise forbidden("A web page of another site may not ask this server; open the address directly")
            return []
        origin = given[0].decode("latin-1").lower()
        if len(given) == 1 and origin in self._listed:
            return [(b"access-control-allow-origin", given[0]), (b"access-control-expose-headers", _EXPOSED)]
        if len(given) == 1 and _same_origin(scope, origin):
            return []
        if self._any and len(given) == 1 and origin != "null":
            return [(b"access-control-allow-origin", b"*"), (b"access-control-expose-headers", _EXPOSED)]
        raise forbidden(
            "Web pages of this origin may not ask this server; start it with --cors-origin and the page's origin"
        )


class Guard:
    """Answers the questions that a browser asks ahead (CORS preflight) itself."""

    def __init__(self, app: ASGIApp, hosts: HostRule, origins: OriginRule) -> None:
        self._app = app
        self._hosts = hosts
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit = visit_of(scope)
        self._hosts.check(scope)
        if self._origins.varies:
            visit.headers.append((b"vary", b"Origin"))
        cors = self._origins.admit(scope)
        visit.headers.extend(cors)
        if scope["method"] == "OPTIONS" and cors and values_of(scope, b"access-control-request-method"):
            visit.headers.extend(_preflight(scope))
            await Response(status_code=204)(scope, receive, send)
            return
        if scope["method"] == "POST":
            check_json(scope)
        await self._app(scope, receive, send)


def check_json(scope: Scope) -> None:
    """Raises Refusal for a body that is not said to be JSON."""
    given = values_of(scope, b"content-type")
    if len(given) != 1 or not _JSON.fullmatch(given[0]):
        raise refusal("The body must be JSON; send the header Content-Type: application/json", status=415)
    if any(value.lower() != b"identity" for value in values_of(scope, b"content-encoding")):
        raise refusal("A compressed body is not read; send it without Content-Encoding", status=415)


def forbidden(message: str) -> Refusal:
    return Refusal(Problem(403, "permission_error", message, code="forbidden"))


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a server that listens there can be reached from this machine only; a name counts for what it says."""
    if host.lower() == "localhost":
        return True
    try:
        address = ip_address(host.strip("[]"))
    except ValueError:
        return False
    return (getattr(address, "ipv4_mapped", None) or address).is_loopback


def is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]"))
    except ValueError:
        return False
    return True


def _bracketed(host: str) -> str:
    """IPv6 addresses as URLs write them."""
    return f"[{host}]" if host.count(":") > 1 and not host.startswith("[") else host


def _same_origin(scope: Scope, origin: str) -> bool:
    host = values_of(scope, b"host")[0].decode("latin-1").lower()
    return origin == _without_port(f"{scope['scheme']}://{host}")


def _without_port(origin: str) -> str:
    """Browsers leave out the port that the scheme implies."""
    for scheme, port in _DEFAULT_PORTS:
        if origin.startswith(scheme):
            return origin.removesuffix(port)
    return origin


def _preflight(scope: Scope) -> list[Header]:
    """A listed page may send whatever headers it asks for: clients of both APIs have many of their own."""
    wanted = b", ".join(values_of(scope, b"access-control-request-headers"))
    headers = [
        (b"access-control-allow-methods", b"GET, POST"),
        (b"access-control-max-age", b"600"),
        (b"vary", b"Access-Control-Request-Headers"),
    ]
    if wanted and _TOKENS.fullmatch(wanted):
        headers.append((b"access-control-allow-headers", wanted))
    if values_of(scope, b"access-control-request-private-network") == [b"true"]:
        headers.append((b"access-control-allow-private-network", b"true"))
    return headers
