"""The books of a prefix cache: which prompts an engine has seen, within a number of bytes, the latest used last."""

from collections.abc import Sequence


class PrefixBook:
    """Remembers finished prompts; `limit_bytes` 0 remembers none."""

    def __init__(self, limit_bytes: int, bytes_per_token: int) -> None:
        self._limit = limit_bytes
        self._bytes_per_token = bytes_per_token
        self._prompts: list[tuple[int, ...]] = []

    def __len__(self) -> int:
        return len(self._prompts)

    @property
    def held_bytes(self) -> int:
        return sum(map(len, self._prompts)) * self._bytes_per_token

    def cached(self, prompt: tuple[int, ...]) -> int:
        """How many tokens need not be computed again: at most all but one, since the last one starts the answer."""
        best = max(self._prompts, key=lambda known: _shared(known, prompt), default=())
        shared = _shared(best, prompt)
        if shared:
            self._prompts.remove(best)
            self._prompts.append(best)
        return min(shared, len(prompt) - 1)

    def add(self, prompt: tuple[int, ...]) -> None:
        if self._limit == 0:
            return
        self._prompts = [*(known for known in self._prompts if known != prompt), prompt]
        while self.held_bytes > self._limit:
            del self._prompts[0]

    def clear(self) -> None:
        self._prompts.clear()


def _shared(one: Sequence[int], other: Sequence[int]) -> int:
    """The length of the common beginning."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (left, right) in pairs if left != right), min(len(one), len(other)))
