"""When a worker counts as hung: it is silent, its requests make no step, or a call is not answered.

No clock is read here: every method is told the time, in seconds of any steady clock.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Patience:
    """How long, in seconds, a worker may do what.

    Say nothing at all, though it should send a beat every second; make no step while it has requests, or be at work on
    one call; make no progress while it loads; take its time after it was asked to close.
    """

    silence: float = 10.0
    hang: float = 120.0
    load: float = 600.0
    close: float = 5.0


ORDINARY_PATIENCE = Patience()


class Watchdog:
    """Watches one worker from the moment it was started."""

    def __init__(self, patience: Patience, now: float) -> None:
        self._patience = patience
        self._heard = self._progressed = now
        self._steps = 0

    def heard(self, now: float) -> None:
        """It sent something, whatever it was."""
        self._heard = now

    def progressed(self, now: float) -> None:
        """It got on with its work."""
        self._progressed = now

    def beat(self, steps: int, now: float) -> None:
        """So many steps it says that it has made."""
        if steps != self._steps:
            self._steps = steps
            self.progressed(now)

    def verdict(self, now: float, *, loading: bool, busy: bool, asked: float | None) -> str | None:
        """What is wrong, in words that follow "the process"; None while all is well.

        `busy`: it has requests. `asked` is since when it has been at the call that it is to answer next.
        """
        if now - self._heard > self._patience.silence:
            return f"gave no sign of life for {self._patience.silence:g} seconds and was stopped"
        if loading:
            stuck = now - self._progressed > self._patience.load
            return f"made no progress for {self._patience.load:g} seconds and was stopped" if stuck else None
        if not busy:
            self.progressed(now)
        if now - self._progressed > self._patience.hang:
            return f"made no step for {self._patience.hang:g} seconds, though it had work, and was stopped"
        if asked is not None and now - asked > self._patience.hang:
            return f"left a call unanswered for {self._patience.hang:g} seconds and was stopped"
        return None
