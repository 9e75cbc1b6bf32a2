"""Caches kept for reuse: whoever starts with the same tokens need not compute them again.

`PrefixStore` is what the engine asks of such a store; `PrefixCache` keeps everything in memory, within a number of
bytes, and forgets first what was used longest ago. Its keys are sorted: whatever shares the most with a prompt stands
beside the prompt's place, and the longest key that the prompt begins with is found by walking left from it.
"""

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx.caches import Caches

WORTHWHILE = 16
"""Fewer tokens than this are computed faster than looked after."""

Tokens = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Prefix:
    """Caches, free to be written to, that hold the first `length` tokens of what was asked for."""

    caches: Caches
    length: int


class PrefixStore(Protocol):
    """Keeps caches by the tokens that they hold."""

    def find(self, tokens: Sequence[int]) -> Prefix | None:
        """The longest kept prefix that leaves at least one token to compute."""

    def wants(self, length: int) -> bool:
        """Whether caches of so many tokens may get a place: making them ready costs time."""

    def put(self, tokens: Sequence[int], caches: Caches) -> None:
        """Keep a copy of caches that hold exactly `tokens`."""

    def clear(self) -> None: ...

    @property
    def size_bytes(self) -> int: ...

    def __len__(self) -> int: ...


class PrefixCache:
    """The `PrefixStore` in memory."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._size = 0
        self._entries: OrderedDict[Tokens, tuple[Caches, int]] = OrderedDict()
        self._sorted: list[Tokens] = []

    @property
    def size_bytes(self) -> int:
        return self._size

    def __len__(self) -> int:
        return len(self._entries)

    def find(self, tokens: Sequence[int]) -> Prefix | None:
        wanted = tuple(tokens[:-1])
        key, length = self._longest_start(wanted)
        near, shared = self._nearest_to_cut(wanted, more_than=length)
        if near is not None:
            key, length = near, shared
        if key is None or length < WORTHWHILE:
            return None
        self._entries.move_to_end(key)
        caches = kv.copy_of(self._entries[key][0])
        if length < len(key):
            kv.cut(caches, len(key), length)
        return Prefix(caches, length)

    def wants(self, length: int) -> bool:
        return length >= WORTHWHILE and self._limit > 0

    def put(self, tokens: Sequence[int], caches: Caches) -> None:
        key = tuple(tokens)
        size = kv.size_bytes(caches)
        if not self.wants(len(key)) or size > self._limit:
            return
        try:
            kept = kv.compact(caches)
        except Exception:  # noqa: BLE001 - a copy for which there is no memory is one that nobody will miss
            return
        if key in self._entries:
            self._forget(key)
        if kv.can_cut(kept):
            self._forget_starts_of(key)
        self._entries[key] = (kept, size)
        insort(self._sorted, key)
        self._size += size
        while self._size > self._limit:
            self._forget(next(iter(self._entries)))

    def clear(self) -> None:
        self._entries.clear()
        self._sorted.clear()
        self._size = 0

    def _forget(self, key: Tokens) -> None:
        self._size -= self._entries.pop(key)[1]
        del self._sorted[bisect_left(self._sorted, key)]

    def _forget_starts_of(self, tokens: Tokens) -> None:
        """What can be cut out of the new entry need not be kept beside it."""
        key, _ = self._longest_start(tokens[:-1])
        while key is not None:
            self._forget(key)
            key, _ = self._longest_start(tokens[:-1])

    def _longest_start(self, tokens: Tokens) -> tuple[Tokens | None, int]:
        """The longest key that `tokens` begin with.

        The last key up to `tokens` either is that key, or shares some tokens with it, and then no longer key is one.
        """
        while True:
            place = bisect_right(self._sorted, tokens)
            key = self._sorted[place - 1] if place else None
            if key is None:
                return None, 0
            shared = _shared(key, tokens)
            if shared == len(key):
                return key, shared
            tokens = tokens[:shared]

    def _nearest_to_cut(self, tokens: Tokens, *, more_than: int) -> tuple[Tokens | None, int]:
        """The key that shares the most tokens with these, of those whose caches can be cut."""
        place = bisect_left(self._sorted, tokens)
        best: tuple[Tokens | None, int] = (None, more_than)
        for keys in (self._sorted[place:], reversed(self._sorted[:place])):
            for key in keys:
                shared = _shared(key, tokens)  # less and less on the way out
                if shared <= best[1]:
                    break
                if kv.can_cut(self._entries[key][0]):
                    best = (key, shared)
                    break
        return best


def _shared(one: Tokens, other: Tokens) -> int:
    """How many tokens both begin with."""
    low, high = 0, min(len(one), len(other))
    while low < high:
        middle = (low + high + 1) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
