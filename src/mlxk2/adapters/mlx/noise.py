"""Random numbers for sampling that belong to a row and a token, wherever the token stands in whatever order.

The token with the largest sum of log-probability and Gumbel noise is a fair draw (the Gumbel-max trick). Noise that is
a function of the row's key and the token's id makes that draw robust: rounding moves it only where two sums are all but
equal, while a point on a line of summed probabilities moves with every rounding before it.
"""

from typing import Any

_SPREAD = 0x9E3779B9
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B
"""Multipliers of a 32-bit mixing function of low bias, found by search (C. Wellons, "hash prospector")."""


def gumbel(tokens: Any, first_key: Any, second_key: Any) -> Any:
    """Noise for token ids (rows by width, or 1 by width), with a column of 32-bit keys for each of two words."""
    import mlx.core as mx

    word = tokens.astype(mx.uint32) * mx.array(_SPREAD, dtype=mx.uint32) + first_key
    word = (word ^ (word >> 16)) * mx.array(_FIRST, dtype=mx.uint32) + second_key
    word = (word ^ (word >> 15)) * mx.array(_SECOND, dtype=mx.uint32)
    word = word ^ (word >> 16)
    uniform = word.astype(mx.float32) * 2.0**-32 + 2.0**-33
    # An exponential variate, -log(1 - u), which is u where 1 - u rounds to 1: the largest noise comes from there.
    # At the other end it is infinite, and the noise minus infinity, which harms nobody. (log1p takes far longer.)
    return -mx.log(mx.maximum(-mx.log(1 - uniform), uniform))
