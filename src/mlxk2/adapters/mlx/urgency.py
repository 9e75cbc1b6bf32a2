"""What is wanted of a model's pass over a piece of a prompt: what its caches hold, and nothing that follows.

MLX itself computes only what is asked for in the end. Whoever computes at once, because that is quicker, must know how
far that is.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class _Pass(threading.local):
    """`wanted` attentions are still to come before the one whose result nobody asks for; None outside of a pass."""

    wanted: int | None = None


_pass = _Pass()


@contextmanager
def only_caches(layers: int) -> Iterator[None]:
    """For a pass over a piece of a prompt that fills the caches of so many layers, in this thread."""
    _pass.wanted = layers - 1
    try:
        yield
    finally:
        _pass.wanted = None


def begin_attention() -> bool:
    """To be called at every attention: whether its result is wanted. The last layer's keys are in the cache by then."""
    if _pass.wanted is None:
        return True
    _pass.wanted -= 1
    return _pass.wanted >= 0


def is_at_once(*, otherwise: bool) -> bool:
    """Whether to compute at once: in a piece of a prompt, but nothing behind its last attention."""
    return otherwise if _pass.wanted is None else _pass.wanted >= 0
