"""Sigmoid, tanh, softmax, attention, rotation and norm on an x86 processor, without MLX's own exponentials and sines.

MLX has vector instructions for them on ARM only (docs/ADR/0018). On x86 each takes 15 to 35 ns, and most of a long
prompt's time goes into them. numpy needs 1 to 3, but computes at once, and all that a result depends on with it: it is
asked in prompts, as far as their caches need it, and elsewhere for a large softmax and for very many sigmoids. For the
steps of a batch polynomials are enough: additions and products, which MLX is quick with, 6 to 8 ns in all, and as lazy
as the rest; tanh is always computed so, since some models squeeze the logits of a whole prompt with it, of which only
the last are wanted. What has fewer numbers stays MLX's, and so does what has no numbers: arrays inside of `mx.grad`,
`mx.vmap` and their kind. Norms, and mlx-lm's way of moving prompts within their rows, are replaced beside them.

At every attention of a step MLX is told to begin with what leads there: it computes the first layers while Python puts
the others together. Putting a step together takes a quarter of a small model's step.
"""

import functools
import platform
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

import mlx.core as mx
import numpy as np
from mlx_lm.models import cache

from mlxk2.adapters.mlx import polynomials
from mlxk2.adapters.mlx.quick_attention import attention, attention_of_steps, exponentials, view
from mlxk2.adapters.mlx.quick_norm import MOST_ROWS, norm
from mlxk2.adapters.mlx.quick_roll import roll_before
from mlxk2.adapters.mlx.quick_rotation import Turning, Waves, rotate, waves_at, waves_from
from mlxk2.adapters.mlx.urgency import attention_set_going, begin_attention, is_at_once, is_in_step, once_a_step

_SOME, _MANY = 2**14, 2**18
"""Numbers from which on it pays to do without MLX's own functions, and to have sigmoids computed at once anywhere."""


@functools.cache
def quicken() -> bool:
    """Have them computed so in this process from now on; False where MLX does it as well by itself."""
    if sys.platform != "linux" or platform.machine() != "x86_64" or mx.default_device() != mx.cpu:
        return False
    mx.disable_compile()  # what is traced has no numbers yet; it also spares the first answer a compiler's second
    mx.sigmoid = _by(mx.sigmoid, polynomials.sigmoid, _sigmoid_of_many)
    mx.tanh = _by(mx.tanh, polynomials.tanh)
    mx.softmax = _softmax_before(mx.softmax)
    mx.fast.scaled_dot_product_attention = _attention_before(mx.fast.scaled_dot_product_attention)
    mx.fast.rope = _rotation_before(mx.fast.rope)
    mx.fast.rms_norm = _norm_before(mx.fast.rms_norm)
    cache.dynamic_roll = roll_before(cache.dynamic_roll)
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
        if many is not None and is_at_once(otherwise=a.size >= _MANY) and _has_numbers(a):
            return many(a)
        return some(a)

    return function


def _has_numbers(*arrays: mx.array) -> bool:
    """Begins to compute them; false inside of a transformation, where there are none to be looked at."""
    try:
        mx.async_eval(*arrays)  # type: ignore[no-untyped-call]
    except (ValueError, RuntimeError):  # MLX's own function raises it again where it was something else
        return False
    return True


def _sigmoid_of_many(x: mx.array) -> mx.array:
    result = mx.contiguous(mx.negative(x))
    odds = view(result)
    with np.errstate(over="ignore"):  # exp(-x) is infinite, and its reciprocal is the right 0
        np.exp(odds, out=odds)
    odds += 1
    np.divide(1, odds, out=odds)
    return result


def _softmax_before(own: Callable[..., mx.array]) -> Callable[..., mx.array]:
    @wraps(own)
    def softmax(a: Any, /, axis: Any = None, *, precise: bool = False, stream: Any = None) -> mx.array:
        is_usual = axis == -1 and stream is None and isinstance(a, mx.array) and a.dtype == mx.float32
        if not is_usual or a.size < _SOME or not is_at_once(otherwise=True) or not _has_numbers(a):
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
        if is_in_step():
            mx.async_eval(q)  # type: ignore[no-untyped-call]
            attention_set_going()
        if not begin_attention() or not asked <= {"mask"} or not _is_usual(q, k, v):
            return own(q, k, v, scale=scale, **options)
        if q.shape[2] == 1 and _is_mask_of_step(mask, k.shape):
            return attention_of_steps(q, k, v, scale, mask)
        if q.shape[2] > 1 and _is_mask(mask, q.shape[1]) and _has_numbers(q, k, v):
            return attention(q, k, v, scale, mask)
        return own(q, k, v, scale=scale, **options)

    return function


def _is_usual(q: mx.array, k: mx.array, v: mx.array) -> bool:
    """Many scores."""
    if not q.dtype == k.dtype == v.dtype == mx.float32 or not q.ndim == k.ndim == v.ndim == 4:
        return False
    alike = q.shape[0] == k.shape[0] == v.shape[0] and k.shape[1:3] == v.shape[1:3] and q.shape[3] == k.shape[3]
    return alike and q.shape[1] % k.shape[1] == 0 and q.shape[0] * q.shape[1] * q.shape[2] * k.shape[2] >= _SOME


def _is_mask_of_step(mask: Any, keys: Sequence[int]) -> bool:
    """The same for all heads."""
    if not isinstance(mask, mx.array):
        return mask is None or mask == "causal"
    return mask.dtype == mx.bool_ and mask.ndim == 4 and mask.shape in ((1, 1, 1, keys[2]), (keys[0], 1, 1, keys[2]))


def _is_mask(mask: Any, heads: int) -> bool:
    if not isinstance(mask, mx.array):
        return mask is None or mask == "causal"
    return mask.ndim <= 4 and (mask.ndim < 3 or mask.shape[-3] in (1, heads)) and _has_numbers(mask)


def _rotation_before(own: Callable[..., mx.array]) -> Callable[..., mx.array]:
    @wraps(own)
    def function(a: mx.array, dims: int, *, base: float | None, offset: Any, freqs: Any = None, **options: Any) -> Any:
        is_usual = freqs is None and a.ndim == 4 and a.shape[3] == dims and a.dtype == mx.float32
        if base is not None and is_usual and options.keys() == {"traditional", "scale"}:
            turning = Turning(dims, base=base, **options)
            if (waves := _waves(a, turning, offset)) is not None:
                return rotate(a, turning, waves)
        return own(a, dims, base=base, offset=offset, freqs=freqs, **options)

    return function


def _norm_before(own: Callable[..., mx.array]) -> Callable[..., mx.array]:
    @wraps(own)
    def rms_norm(x: Any, weight: Any, eps: float, *, stream: Any = None) -> mx.array:
        if stream is None and isinstance(eps, float) and _are_few_rows(x) and _is_weight(weight, x.shape[-1]):
            return norm(x, weight, eps)
        return own(x, weight, eps, stream=stream)

    return rms_norm


def _are_few_rows(x: Any) -> bool:
    is_usual = isinstance(x, mx.array) and x.dtype == mx.float32 and x.ndim > 0
    return is_usual and 0 < x.size <= MOST_ROWS * x.shape[-1]


def _is_weight(weight: Any, size: int) -> bool:
    if not isinstance(weight, mx.array):
        return weight is None
    return weight.dtype == mx.float32 and weight.shape == (size,)


def _waves(a: mx.array, turning: Turning, offset: Any) -> Waves | None:
    """None where MLX computes them itself: there is nobody to share them with."""
    length = a.shape[2]
    if length == 1:
        if not isinstance(offset, mx.array):
            return waves_at(turning, (offset,), 1)
        return once_a_step(turning, offset, lambda: waves_from(turning, offset, 1))
    if a.size < _SOME or not is_at_once(otherwise=False):
        return None
    firsts: Any = offset.reshape(-1).tolist() if isinstance(offset, mx.array) else [offset]
    return waves_at(turning, tuple(firsts), length)
