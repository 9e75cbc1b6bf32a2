"""Finding texts in a stream: which of several completes first, and how much of the end might still become one."""

from collections.abc import Sequence


def first_complete(text: str, needles: Sequence[str]) -> tuple[int, str] | None:
    """Where the needle stands that completes first, and which it is; at the same end the one that starts first."""
    found = [(at + len(needle), at, needle) for needle in needles if (at := text.find(needle)) >= 0]
    if not found:
        return None
    _, at, needle = min(found)
    return at, needle


def unfinished(text: str, needles: Sequence[str]) -> int:
    """Length of the longest end of the text that more text could turn into a needle."""
    longest = min(len(text), max((len(needle) - 1 for needle in needles), default=0))
    for length in range(longest, 0, -1):
        end = text[-length:]
        if any(needle.startswith(end) for needle in needles):
            return length
    return 0
