"""Stop strings in streamed text.

The stop that completes first ends the text, at its first character; of several that complete at the same character the
one that began first. Text that might still become a stop is held back, as long as needed and no longer, so that no part
of a stop string ever gets out; the result does not depend on how the text was cut into pieces.
"""

from collections.abc import Sequence

from mlxk2.domain.text.matching import first_complete, unfinished
from mlxk2.ports.errors import ValidationError


def check_stops(stops: Sequence[str]) -> tuple[str, ...]:
    """Raises ValidationError for what is no list of texts, and for an empty text, which would end every answer."""
    if isinstance(stops, str) or not isinstance(stops, Sequence) or not all(isinstance(stop, str) for stop in stops):
        raise ValidationError("--stop must be a list of texts; write the text that should end the answer")
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
        found = first_complete(self._held, self._stops)
        if found:
            self.stopped = True
            return self._release(found[0])
        return self._release(len(self._held) - unfinished(self._held, self._stops))

    def finish(self) -> str:
        """What was held back, now that no more text follows; the next text is matched afresh."""
        return "" if self.stopped else self._release(len(self._held))

    def _release(self, length: int) -> str:
        released, self._held = self._held[:length], self._held[length:]
        return released
