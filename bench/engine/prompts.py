"""What is asked: made-up words from a seed, so that no prompt has been seen before and every run asks the same."""

import random
from collections.abc import Iterator

_ONSETS = ("b", "br", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "st", "t", "tr", "v")
_VOWELS = ("a", "e", "i", "o", "u", "ai", "ou")
_CODAS = ("", "", "l", "n", "r", "s")


def words(seed: int, count: int) -> Iterator[str]:
    """Pronounceable words of one to three syllables."""
    draw = random.Random(seed)  # noqa: S311 - a benchmark's questions
    for _ in range(count):
        syllables = draw.randint(1, 3)
        yield "".join(draw.choice(_ONSETS) + draw.choice(_VOWELS) + draw.choice(_CODAS) for _ in range(syllables))


class Prompts:
    """Hands out texts of so many words; no two begin alike."""

    def __init__(self) -> None:
        self._next = 0

    def take(self, length: int) -> str:
        """A text of `length` words, its first a number of its own."""
        self._next += 1
        return " ".join([str(self._next), *words(self._next, length - 1)])

    def several(self, count: int, length: int) -> list[str]:
        return [self.take(length) for _ in range(count)]
