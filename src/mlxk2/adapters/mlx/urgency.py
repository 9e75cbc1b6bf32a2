"""What is known of a model's pass before it begins, for those who compute parts of it in their own way.

Of a piece of a prompt is wanted what the caches hold, and nothing that follows: MLX itself computes only what is asked
for in the end, but whoever computes at once must know how far that is. In a step all of it is wanted, and as soon as
can be; and all layers are at the same places.
"""

import threading
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass(slots=True)
class Step:
    """One pass of a step: how many `attentions` of it have been set going."""

    attentions: int = 0


class _Pass(threading.local):
    """`wanted` attentions of a piece are still to come before the one whose result nobody asks for; None outside.

    `in_step` is true within a step. `places` are the arrays, by their ids, that tell its layers where each row is: one
    is like the other. `known` is what was made of them in this step. `meanwhile` is to be done after attention number
    `middle`.
    """

    def __init__(self) -> None:
        self.wanted: int | None = None
        self.in_step = False
        self.places: dict[int, Any] = {}
        self.known: dict[Hashable, Any] = {}
        self.meanwhile: Callable[[], None] | None = None
        self.middle = 0
        self.step = Step()

    def do_meanwhile(self) -> None:
        do, self.meanwhile = self.meanwhile, None
        if do is not None:
            do()


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


@contextmanager
def one_step(places: Sequence[Any], meanwhile: Callable[[], None] | None = None, middle: int = 1) -> Iterator[Step]:
    """For the pass of a step whose layers have these arrays of places, all with the same numbers.

    `meanwhile` is done once: when attention number `middle` has been set going, or at the end of a pass that has fewer.
    What it raises ends the pass; of a pass that is ended so or otherwise it is not done any more.
    """
    _pass.in_step, _pass.places = True, {id(array): array for array in places}
    _pass.meanwhile, _pass.middle, _pass.step = meanwhile, middle, Step()
    try:
        yield _pass.step
        _pass.do_meanwhile()
    finally:
        _pass.in_step, _pass.places, _pass.known, _pass.meanwhile = False, {}, {}, None


def is_in_step() -> bool:
    """Whether what is there of a pass may be set going while the rest of it is still being put together."""
    return _pass.in_step


def attention_set_going() -> None:
    """To be called in a step when what leads to an attention has been set going."""
    _pass.step.attentions += 1
    if _pass.step.attentions == _pass.middle:
        _pass.do_meanwhile()


def once_a_step(key: Hashable, places: Any, make: Callable[[], T]) -> T | None:
    """What was made of this step's places for `key`, or is made now; None when these are not the step's places."""
    if id(places) not in _pass.places:
        return None
    if key not in _pass.known:
        _pass.known[key] = make()
    made: T = _pass.known[key]
    return made
