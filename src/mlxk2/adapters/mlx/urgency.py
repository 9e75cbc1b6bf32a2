"""What is wanted of a model's pass over a piece of a prompt: what its caches hold, and nothing that follows.

MLX itself computes only what is asked for in the end. Whoever computes at once, because that is quicker, must know how
far that is.
"""

from collections.abc import Iterator
from contextlib import contextmanager


class _Pass:
    """`wanted` attentions are still to come before the one whose result nobody asks for; None outside of a pass."""

    wanted: int | None = None


@contextmanager
def only_caches(layers: int) -> Iterator[None]:
    """For a pass over a piece of a prompt that fills the caches of so many layers, in the thread that owns MLX."""
    _Pass.wanted = layers - 1
    try:
        yield
    finally:
        _Pass.wanted = None


def is_attention_wanted() -> bool:
    """To be asked once at every attention. That of the last layer is not: its keys and values are in the cache."""
    if _Pass.wanted is None:
        return True
    _Pass.wanted -= 1
    return _Pass.wanted >= 0


def is_at_once(*, otherwise: bool) -> bool:
    """Whether to compute at once: in a piece of a prompt, but nothing behind its last attention."""
    return otherwise if _Pass.wanted is None else _Pass.wanted >= 0
