"""Sigmoid, tanh, softmax and attention on an x86 processor, without MLX's own exponentials (docs/ADR/0018).

MLX has vector instructions for them on ARM only. On x86 each takes 25 to 35 ns, and most of a long prompt's time goes
into them. numpy needs 1 to 3, but computes at once, and all that a result depends on with it: it is asked where there
are many numbers, in prompts. For the steps of a batch a fraction of two polynomials is enough: additions and products,
which MLX is quick with, 8 ns in all, and as lazy as the rest; tanh is always computed so, since some models squeeze the
logits of a whole prompt with it, of which only the last are wanted. What has fewer numbers stays MLX's, and so does
what has no numbers: arrays inside of `mx.grad`, `mx.vmap` and their kind.
"""

import platform
import sys
from collections.abc import Callable
from functools import cache, wraps
from typing import Any

import mlx.core as mx
import numpy as np

from mlxk2.adapters.mlx.quick_attention import attention, exponentials, view

_SOME, _MANY = 2**14, 2**18
"""Numbers from which on it pays to compute them by polynomials, and by numpy."""
_SCORES = 2**14
"""As many of a softmax, and of attention for more than one query, from which on numpy pays."""
_SATURATED = 7.90531110763549805
_ABOVE = (
    -2.76076847742355e-16,
    2.00018790482477e-13,
    -8.60467152213735e-11,
    5.12229709037114e-08,
    1.48572235717979e-05,
    6.37261928875436e-04,
    4.89352455891786e-03,
)
_BELOW = (1.19825839466702e-06, 1.18534705686654e-04, 2.26843463243900e-03, 4.89352518554385e-03)
"""tanh(x) is x times the one over the other, both in powers of its square: the figures of Eigen's fast tanh."""


@cache
def quicken() -> bool:
    """Have them computed so in this process from now on; False where MLX does it as well by itself."""
    if sys.platform != "linux" or platform.machine() != "x86_64" or mx.default_device() != mx.cpu:
        return False
    mx.disable_compile()  # what is traced has no numbers yet; it also spares the first answer a compiler's second
    mx.sigmoid = _by(mx.sigmoid, _sigmoid_of_some, _sigmoid_of_many)
    mx.tanh = _by(mx.tanh, _tanh)
    mx.softmax = _softmax_before(mx.softmax)
    mx.fast.scaled_dot_product_attention = _attention_before(mx.fast.scaled_dot_product_attention)
    return True


def _by(
    own: Callable[..., mx.array],
    some: Callable[[mx.array], mx.array],
    many: Callable[[mx.array], mx.array] | None = None,
) -> Callable[..., mx.array]:
    @wraps(own)
    def function(a: Any, /, *, stream: Any = None) -> mx.array:
        if stream is not None or not isinstance(a, mx.array) or a.size < _SOME or a.dtype != mx.float32:
            return own(a, stream=stream)
        return many(a) if many is not None and a.size >= _MANY and _has_numbers(a) else some(a)

    return function


def _has_numbers(*arrays: mx.array) -> bool:
    """Begins to compute them; false inside of a transformation, where there are none to be looked at."""
    try:
        mx.async_eval(*arrays)  # type: ignore[no-untyped-call]
    except (ValueError, RuntimeError):  # MLX's own function raises it again where it was something else
        return False
    return True


def _tanh(x: mx.array) -> mx.array:
    """Within 4e-7, and exactly 1 and -1 far out."""
    x = mx.clip(x, -_SATURATED, _SATURATED)
    square = x * x
    return x * _polynomial(_ABOVE, square) / _polynomial(_BELOW, square)


def _polynomial(factors: tuple[float, ...], x: mx.array) -> mx.array:
    """The factor of the highest power comes first."""
    value = x * factors[0] + factors[1]
    for factor in factors[2:]:
        value = value * x + factor
    return value


def _sigmoid_of_some(x: mx.array) -> mx.array:
    """Within 3e-7, and within 3e-4 of itself where it is small, so that it can be a divisor.

    The odds are those of a quarter of x, to the power of four: so 1 is not lost in the sum with -1.
    """
    yes = _tanh(x * 0.125) * 0.5 + 0.5
    no = 1 - yes
    yes, no = yes * yes, no * no
    yes, no = yes * yes, no * no
    return yes / (yes + no)


def _sigmoid_of_many(x: mx.array) -> mx.array:
    with np.errstate(over="ignore"):  # exp(-x) is infinite, and its reciprocal is the right 0
        result = np.exp(np.negative(view(x)))
    result += 1
    return mx.array(np.divide(1, result, out=result))


def _softmax_before(own: Callable[..., mx.array]) -> Callable[..., mx.array]:
    @wraps(own)
    def softmax(a: Any, /, axis: Any = None, *, precise: bool = False, stream: Any = None) -> mx.array:
        is_usual = axis == -1 and stream is None and isinstance(a, mx.array) and a.dtype == mx.float32
        if not is_usual or a.size < _SCORES or not _has_numbers(a):
            return own(a, axis, precise=precise, stream=stream)
        result = mx.contiguous(a * 1)
        sums = exponentials(view(result))
        return result / mx.array(sums)

    return softmax


def _attention_before(own: Callable[..., mx.array]) -> Callable[..., mx.array]:
    @wraps(own)
    def function(q: mx.array, k: mx.array, v: mx.array, *, scale: float, **options: Any) -> mx.array:
        asked = {name for name, value in options.items() if value is not None}
        mask = options.get("mask")
        if asked <= {"mask"} and _is_usual(q, k, v) and _is_mask(mask, q.shape[1]) and _has_numbers(q, k, v):
            return attention(q, k, v, scale, mask)
        return own(q, k, v, scale=scale, **options)

    return function


def _is_usual(q: mx.array, k: mx.array, v: mx.array) -> bool:
    """Many scores of several queries; single ones, as in a step, gain little and would wait."""
    if not q.dtype == k.dtype == v.dtype == mx.float32 or not q.ndim == k.ndim == v.ndim == 4 or q.shape[2] < 2:
        return False
    alike = q.shape[0] == k.shape[0] == v.shape[0] and k.shape[1:3] == v.shape[1:3] and q.shape[3] == k.shape[3]
    return alike and q.shape[1] % k.shape[1] == 0 and q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] >= _SCORES


def _is_mask(mask: Any, heads: int) -> bool:
    if not isinstance(mask, mx.array):
        return mask is None or mask == "causal"
    return mask.ndim <= 4 and (mask.ndim < 3 or mask.shape[-3] in (1, heads)) and _has_numbers(mask)
