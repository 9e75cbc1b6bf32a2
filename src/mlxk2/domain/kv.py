"""How many bytes the keys and values of requests take, and how many tokens a number of bytes has room for.

The numbers come from the engine (`KvCost`). Requests that decode together are padded to the longest of them: a batch
takes rows times the bytes of its longest row, in layers with a window too. Caches grow a block at a time, from whatever
length they have, so that a row may hold room for almost a block of tokens that never come.
"""

from mlxk2.ports.engine import KvCost


def row_bytes(cost: KvCost, tokens: int) -> int:
    """What one request takes while it holds `tokens`, prompt and answer together."""
    room = tokens + max(cost.block, 1) - 1
    growing = sum(layers.bytes_per_token * _held(room, layers.window) for layers in cost.layers)
    return cost.fixed_bytes + growing


def most_tokens(cost: KvCost, budget: int, ceiling: int) -> int:
    """The most tokens, at most `ceiling`, with which one request stays within `budget` bytes; 0 when none do."""
    low, high = 0, ceiling
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if row_bytes(cost, middle) <= budget else (low, middle - 1)
    return low


def _held(tokens: int, window: int | None) -> int:
    return tokens if window is None else min(tokens, window)
