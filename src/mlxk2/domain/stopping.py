"""Stop strings in streamed text.

The stop that completes first ends the text, at its first character; of several that complete at the same character the
one that began first. Text that might still become a stop is held back, as long as needed and no longer, so that no part
of a stop string ever gets out; the result does not depend on how the text was cut into pieces.
"""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from mlxk2.ports.errors import ValidationError

MOST_STOPS = 64
"""Stop strings that one request may bring; OpenAI allows 4."""
LONGEST_STOP = 1024
"""Characters of one stop string."""


def check_stops(stops: Sequence[str]) -> tuple[str, ...]:
    """Raises ValidationError for what is no list of texts, for too many or too long ones, and for an empty text, which
    would end every answer."""
    if isinstance(stops, str) or not isinstance(stops, Sequence) or not all(isinstance(stop, str) for stop in stops):
        raise ValidationError(
            "stop must be a list of texts; write the text that should end the answer", parameter="stop"
        )
    if len(stops) > MOST_STOPS:
        raise ValidationError(
            f"stop has {len(stops)} texts: it may have at most {MOST_STOPS}; leave some out", parameter="stop"
        )
    if any(not stop for stop in stops):
        raise ValidationError("stop must not be empty; write the text that should end the answer", parameter="stop")
    longest = max(map(len, stops), default=0)
    if longest > LONGEST_STOP:
        raise ValidationError(
            f"stop has a text of {longest} characters: it may have at most {LONGEST_STOP}; write the beginning of it",
            parameter="stop",
        )
    return tuple(stops)


class StopMatcher:
    """Feed text piece by piece; `matched` is the stop string that was found, None as long as none was."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._by_first: dict[str, list[_Stop]] = defaultdict(list)
        for stop in stops:
            self._by_first[stop[0]].append(_Stop(stop))
        self._begun: set[_Stop] = set()
        self._held = ""
        self.matched: str | None = None

    @property
    def stopped(self) -> bool:
        return self.matched is not None

    def feed(self, text: str) -> str:
        """The text that is now certain to be before any stop; empty once stopped."""
        if self.stopped:
            return ""
        if not self._by_first:
            return text
        for place, char in enumerate(text, 1):
            complete = self._follow(char)
            if complete:
                self._held += text[:place]
                self.matched = self._held[len(self._held) - complete :]
                return self._release(len(self._held) - complete)
        self._held += text
        return self._release(len(self._held) - max((stop.matched for stop in self._begun), default=0))

    def finish(self) -> str:
        """What was held back, now that no more text follows; the next text is matched afresh."""
        for stop in self._begun:
            stop.matched = 0
        self._begun = set()
        return "" if self.stopped else self._release(len(self._held))

    def _follow(self, char: str) -> int:
        """Takes the next character; the length of the longest stop that it completes, 0 if it completes none."""
        starting = self._by_first.get(char)
        if not self._begun and not starting:
            return 0
        followed = self._begun.union(starting or ())
        complete = max((len(stop.text) for stop in followed if stop.follow(char)), default=0)
        self._begun = {stop for stop in followed if stop.matched}
        return complete

    def _release(self, length: int) -> str:
        released, self._held = self._held[:length], self._held[length:]
        return released


class _Stop:
    """How many characters of one stop string stand at the end of the text.

    Knuth, Morris and Pratt's way: no character of the text is looked at again, however often the stop almost completes.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.matched = 0
        self._shorter = _shorter(text)

    def follow(self, char: str) -> bool:
        """Takes the next character; whether it completes the stop, after which nothing more may be taken."""
        self.matched = self._grown(self.matched, char)
        return self.matched == len(self.text)

    def _grown(self, matched: int, char: str) -> int:
        return _grown(self.text, self._shorter, matched, char)


@lru_cache(maxsize=4 * MOST_STOPS)
def _shorter(text: str) -> Sequence[int]:
    """For each number of matched characters, less one: the next smaller number that they end with.

    Remembered, since all answers of a request, and most requests of a client, have the same stops.
    """
    table = [0]
    for char in text[1:]:
        table.append(_grown(text, table, table[-1], char))
    return tuple(table)


def _grown(text: str, shorter: Sequence[int], matched: int, char: str) -> int:
    """How many characters are matched once `char` has come."""
    while matched and text[matched] != char:
        matched = shorter[matched - 1]
    return matched + (text[matched] == char)
