"""tanh, sigmoid and exp out of additions and products, which MLX is quick with on any processor (docs/ADR/0018).

All are lazy, as everything of MLX's is, and for arrays of float32.
"""

import mlx.core as mx

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
_POWER = (
    1.3400432165524283e-03,
    9.67603709787357e-03,
    5.5503272142086946e-02,
    0.24022107355830383,
    0.6931472067106206,
    1.0000000754953493,
)
"""Two to the power of a number between -0.5 and 0.5, in powers of that number: the best at Chebyshev's points."""
_LOG2_E = 1.4426950408889634
_NOTHING = -127.0
"""Two to this power is zero for float32's exponent."""
_MANTISSA_BITS = 23


def tanh(x: mx.array) -> mx.array:
    """Within 4e-7, and exactly 1 and -1 far out."""
    x = mx.clip(x, -_SATURATED, _SATURATED)
    square = x * x
    return x * _polynomial(_ABOVE, square) / _polynomial(_BELOW, square)


def sigmoid(x: mx.array) -> mx.array:
    """Within 3e-7, and within 3e-4 of itself down to -25, so that it can be a divisor.

    The odds are those of a quarter of x, to the power of four: so 1 is not lost in the sum with -1.
    """
    yes = tanh(x * 0.125) * 0.5 + 0.5
    no = 1 - yes
    yes, no = yes * yes, no * no
    yes, no = yes * yes, no * no
    return yes / (yes + no)


def exp_below_zero(x: mx.array) -> mx.array:
    """Of numbers up to 0: within 4e-6 of the result's own size, exactly 0 below -87.7."""
    doublings = mx.maximum(x * _LOG2_E, _NOTHING)
    whole = mx.round(doublings)
    power: mx.array = (whole.astype(mx.int32) + 127) << _MANTISSA_BITS
    return _polynomial(_POWER, doublings - whole) * power.view(mx.float32)


def _polynomial(factors: tuple[float, ...], x: mx.array) -> mx.array:
    """The factor of the highest power comes first."""
    value = x * factors[0] + factors[1]
    for factor in factors[2:]:
        value = value * x + factor
    return value
