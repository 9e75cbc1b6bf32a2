"""What references mean, remembered for a moment, so that a request for a loaded model does not read the cache.

Lookups run in the background, one after the other. Requests that come meanwhile with the same reference share one.
"""

from collections.abc import Callable
from functools import partial

from mlxk2.domain.names import LONGEST_HASH, LONGEST_NAME, parse_reference
from mlxk2.domain.outbox import Outbox
from mlxk2.domain.seating import ModelKey, WantId
from mlxk2.domain.usecases.serve_models_finding import Found, ModelFinder
from mlxk2.domain.usecases.serve_models_records import Monitor, Spawn
from mlxk2.ports.errors import InternalError, Mlxk2Error, ValidationError
from mlxk2.ports.system import Clock

_REMEMBERED = 2.0
"""Seconds for which a reference means what it meant."""
_MOST = 1024
"""References that are remembered at once."""

_LONGEST = LONGEST_NAME + len("@") + LONGEST_HASH

Result = Found | Mlxk2Error


class Lookup:
    """`enter` is called with the lock held, once for every want, and `known` without: what is in memory already."""

    def __init__(
        self,
        finder: ModelFinder,
        clock: Clock,
        lock: Monitor,
        outbox: Outbox,
        spawn: Spawn,
        enter: Callable[[WantId, Result], None],
        known: Callable[[ModelKey], Found | None],
    ) -> None:
        self._finder = finder
        self._clock = clock
        self._lock = lock
        self._outbox = outbox
        self._spawn = spawn
        self._enter = enter
        self._known = known
        self._remembered: dict[str, tuple[float, Result]] = {}
        self._all: tuple[float, list[Found]] = (0.0, [])
        self._asked: dict[str, list[WantId]] = {}
        self.is_running = False

    def ask(self, want: WantId, reference: str) -> None:
        """`enter` will be called, now or later. Call it with the lock held, and deliver afterwards."""
        result = _unreadable(reference) or self._recall(reference)
        if result is not None:
            self._enter(want, result)
            return
        self._asked.setdefault(reference, []).append(want)
        if not self.is_running:
            self.is_running = True
            self._outbox.add(partial(self._spawn, self._run))

    def find(self, reference: str) -> Found:
        """Reads the cache in the caller's thread. Raises what `ModelFinder.find` raises."""
        with self._lock:
            result = _unreadable(reference) or self._recall(reference)
        if result is None:
            result = self._look(reference)
        if isinstance(result, Mlxk2Error):
            raise result
        return result

    def find_all(self) -> list[Found]:
        """Every model that can be asked for. Reads the cache in the caller's thread."""
        with self._lock:
            until, found = self._all
            if self._clock.now() < until:
                return found
        found = self._finder.find_all(self._known)
        with self._lock:
            self._all = (self._clock.now() + _REMEMBERED, found)
        return found

    def _run(self) -> None:
        while True:
            with self._lock:
                reference = next(iter(self._asked), None)
                if reference is None:
                    self.is_running = False
                    self._lock.notify_all()
                    return
            result = self._look(reference)
            with self._lock:
                for want in self._asked.pop(reference):
                    self._enter(want, result)
            self._outbox.deliver()

    def _look(self, reference: str) -> Result:
        result: Result
        try:
            result = self._finder.find(reference, self._known)
        except Mlxk2Error as error:
            result = error
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            result = InternalError(f"The model could not be looked up: {error}", details=type(error).__name__)
        with self._lock:
            self._remember(reference, result)
        return result

    def _recall(self, reference: str) -> Result | None:
        until, result = self._remembered.get(reference, (0.0, None))
        return result if self._clock.now() < until else None

    def _remember(self, reference: str, result: Result) -> None:
        now = self._clock.now()
        if len(self._remembered) >= _MOST:
            self._remembered = {known: old for known, old in self._remembered.items() if now < old[0]}
        if len(self._remembered) < _MOST:
            self._remembered[reference] = (now + _REMEMBERED, result)


def _unreadable(reference: str) -> Mlxk2Error | None:
    """What is no reference is answered without the cache, and never remembered; a very long one is not repeated."""
    if len(reference) > _LONGEST:
        return ValidationError(f"The model reference has {len(reference)} characters: it may have at most {_LONGEST}")
    try:
        parse_reference(reference)
    except ValidationError as error:
        return error
    return None
