"""Trying again: with growing pauses, and never sooner than the server asks."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from mlxk2.adapters.hub.failures import (
    LONGEST_WAIT,
    About,
    is_no_connection,
    is_transient,
    retry_after,
    status_of,
    translate,
)
from mlxk2.ports.hub import Notice

T = TypeVar("T")
_WORTH_TELLING = 2.0


@dataclass(frozen=True, slots=True)
class Retries:
    """`attempts` in all, pauses from `first_pause` seconds on, doubling up to `longest_pause`.

    A server that asks for more than `longest_wait` is not waited for: that is told as an error with the time in it.
    """

    attempts: int = 6
    first_pause: float = 0.5
    longest_pause: float = 20.0
    longest_wait: float = LONGEST_WAIT
    sleep: Callable[[float], None] = time.sleep

    def pause_after(self, failures: int, error: Exception) -> float | None:
        """Seconds until the next try, None when there is none left."""
        asked = retry_after(error)
        if failures >= self.attempts or not is_transient(error) or (asked or 0) > self.longest_wait:
            return None
        jitter = random.uniform(1.0, 1.25)  # noqa: S311 - so that many clients do not come back in step
        return max(asked or 0.0, self.growing(failures) * jitter)

    def growing(self, failures: int) -> float:
        """The pause that nobody asked for."""
        return min(self.longest_pause, self.first_pause * 2.0 ** (failures - 1))

    def wait(self, failures: int, error: Exception, about: About, notice: Notice, *, has_token: bool) -> None:
        """Pause before the next try. Raises the translated error when there is none left."""
        pause = self.pause_after(failures, error)
        if pause is None:
            raise translate(error, about, has_token=has_token) from None
        if pause >= _WORTH_TELLING:
            notice(f"{_reason(error)}; trying again in {pause:.0f} s")
        self.sleep(pause)

    def call(self, work: Callable[[], T], about: About, notice: Notice, *, has_token: bool) -> T:
        """One call of huggingface_hub's; a Hub that cannot be reached at all is tried twice only."""
        failures = 0
        while True:
            try:
                return work()
            except Exception as error:  # noqa: BLE001 - told apart and translated
                failures += 1
                if is_no_connection(error) and failures >= 2:
                    raise translate(error, about, has_token=has_token) from None
                self.wait(failures, error, about, notice, has_token=has_token)


def _reason(error: Exception) -> str:
    status = status_of(error)
    if status == 429:
        return "The Hub asks to slow down (HTTP 429)"
    return f"The Hub has trouble (HTTP {status})" if status else "The connection to the Hub broke"
