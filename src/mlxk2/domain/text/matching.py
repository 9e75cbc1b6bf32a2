"""Finding one's way along a text that grows: past its space, and how much of its end might still become a marker."""

import re
from collections.abc import Sequence

_SPACE = re.compile(r"\s*")


def past_space(text: str, at: int) -> int:
    """Where the text goes on, at `at` or after it, with something that is not space; its length if it does not."""
    found = _SPACE.match(text, at)
    return found.end() if found else at


def unfinished(text: str, markers: Sequence[str]) -> int:
    """Length of the longest end of the text that more text could turn into a marker."""
    longest = min(len(text), max((len(marker) - 1 for marker in markers), default=0))
    for length in range(longest, 0, -1):
        end = text[-length:]
        if any(marker.startswith(end) for marker in markers):
            return length
    return 0
