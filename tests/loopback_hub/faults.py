"""What can go wrong on the way to the Hub: every fault is a small record, and a rule says which requests it hits."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from .log import Request


@dataclass(frozen=True)
class Status:
    """Answers with this status instead of doing what was asked."""

    code: int
    headers: Mapping[str, str] = field(default_factory=dict)
    error_code: str | None = None
    message: str | None = None
    body: bytes = b""


@dataclass(frozen=True)
class DropConnect:
    """Closes the connection without a single byte of an answer."""


@dataclass(frozen=True)
class Redirect:
    """Sends the client to the same path below another folder; a request that took this hop is not redirected again."""

    absolute: bool = False
    code: int = 307


@dataclass(frozen=True)
class Headers:
    """Sets headers of the answer, or takes them away (None). What the body really is stays as it was."""

    changes: Mapping[str, str | None]


@dataclass(frozen=True)
class Cut:
    """Closes the connection after `at` bytes of the body, of which the header had announced more.

    With `reset` the client gets a TCP reset, which may destroy bytes that are still under way.
    """

    at: int
    reset: bool = False


@dataclass(frozen=True)
class CutEvery:
    """No answer ever carries more than `size` bytes of body; lasts until it is healed."""

    size: int


@dataclass(frozen=True)
class Stall:
    """Pauses for `seconds` once `after` bytes of the body are sent, then goes on."""

    after: int
    seconds: float


@dataclass(frozen=True)
class Drip:
    """Sends the body at this speed."""

    bytes_per_second: int


@dataclass(frozen=True)
class Flip:
    """One byte is wrong: the one at this offset in the file, whichever range of it was asked for."""

    offset: int


@dataclass(frozen=True)
class Short:
    """The last `missing` bytes of the file are lost.

    The header agrees with the short body, unless it is told to announce the full length: then the connection ends
    early.
    """

    missing: int
    announce_full_length: bool = False


@dataclass(frozen=True)
class IgnoreRange:
    """Answers a request for a range with 200 and the whole file."""


Interruption = Status | DropConnect | Redirect
BodyFault = Cut | CutEvery | Stall | Drip | Flip | Short | IgnoreRange
Fault = Interruption | Headers | BodyFault

INTERRUPTIONS = (Status, DropConnect, Redirect)
BODY_FAULTS = (Cut, CutEvery, Stall, Drip, Flip, Short, IgnoreRange)
HOP = "/.hop"
"""No name on the Hub begins with a dot."""


@dataclass
class Rule:
    match: str
    fault: Fault
    times: int | None
    skip: int
    method: str | None
    port: str | None

    def covers(self, request: Request) -> bool:
        return (
            self.match in request.path
            and self.method in (None, request.method)
            and self.port in (None, request.port)
            and not (isinstance(self.fault, Redirect) and request.path.startswith(HOP))
        )

    def use(self) -> bool:
        """Whether it is this request's turn; counts it."""
        if self.skip > 0:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class FaultRules:
    """The rules in force. They are added by the thread of a test and used by the thread of the server."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []
        self._lock = threading.Lock()

    def add(self, rule: Rule) -> None:
        with self._lock:
            self._rules.append(rule)

    def clear(self) -> None:
        with self._lock:
            self._rules.clear()

    def interruption(self, request: Request) -> Interruption | None:
        """The first fault that replaces the answer. Later rules keep their turn for later requests."""
        with self._lock:
            for rule in self._rules:
                if isinstance(rule.fault, INTERRUPTIONS) and rule.covers(request) and rule.use():
                    return rule.fault
        return None

    def headers(self, request: Request) -> list[Headers]:
        with self._lock:
            return [
                rule.fault
                for rule in self._rules
                if isinstance(rule.fault, Headers) and rule.covers(request) and rule.use()
            ]

    def body_faults(self, request: Request) -> list[BodyFault]:
        with self._lock:
            return [
                rule.fault
                for rule in self._rules
                if isinstance(rule.fault, BODY_FAULTS) and rule.covers(request) and rule.use()
            ]
