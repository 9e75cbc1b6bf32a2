"""Stop strings in streamed text.

The stop that completes first ends the text, at its first character. Text that might still become a stop is held back,
as long as needed and no longer, so that no part of a stop string ever gets out; the result does not depend on how the
text was cut into pieces.
"""

from collections.abc import Sequence

from mlxk2.ports.errors import ValidationError


def check_stops(stops: Sequence[str]) -> tuple[str, ...]:
    """Raises ValidationError for an empty stop string, which would end every answer at once."""
    if any(not stop for stop in stops):
        raise ValidationError("--stop must not be empty; write the text that should end the answer")
    return tuple(stops)


class StopMatcher:
    """Feed text piece by piece; `stopped` turns true when a stop string was found."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(stops)
        self._held = ""
        self.stopped = False

    def feed(self, text: str) -> str:
        """The text that is now certain to be before any stop; empty once stopped."""
        if self.stopped:
            return ""
        self._held += text
        found = [(position + len(stop), position) for stop in self._stops if (position := self._held.find(stop)) >= 0]
        if found:
            self.stopped = True
            return self._release(min(found)[1])
        return self._release(len(self._held) - self._possible_start())

    def finish(self) -> str:
        """What was held back, now that no more text follows."""
        return "" if self.stopped else self._release(len(self._held))

    def _possible_start(self) -> int:
        """Length of the longest end of the held text that could begin a stop string."""
        longest = min(len(self._held), max((len(stop) - 1 for stop in self._stops), default=0))
        for length in range(longest, 0, -1):
            if any(stop.startswith(self._held[-length:]) for stop in self._stops):
                return length
        return 0

    def _release(self, length: int) -> str:
        released, self._held = self._held[:length], self._held[length:]
        return released
