"""How tokens are drawn: what the user asked for, over what the model recommends, over greedy decoding.

A model recommends through generation_config.json (`do_sample` with `temperature`, `top_p`, `top_k`). Asking for top-p,
top-k or min-p alone means sampling, at temperature 1, since they do nothing to greedy decoding.
"""

import math
from dataclasses import dataclass

from mlxk2.domain.snapshot import JsonObject
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Sampling

_SMALLEST = 1e-4
"""Below this, 32-bit arithmetic turns a sharp distribution into a flat one."""


@dataclass(frozen=True, slots=True)
class SamplingChoice:
    """What the user asked for; None means "not said"."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None

    @property
    def asks_to_sample(self) -> bool:
        return any(value is not None for value in (self.top_p, self.top_k, self.min_p))


def check_choice(choice: SamplingChoice) -> None:
    """Raises ValidationError naming the first option that is out of range."""
    if choice.temperature != 0:
        _in_range("--temperature", choice.temperature, low=_SMALLEST, high=math.inf, note="0, or from 0.0001 up")
    _in_range("--top-p", choice.top_p, low=_SMALLEST, high=1.0, note="between 0.0001 and 1 (off)")
    _in_range("--top-k", choice.top_k, low=0, high=math.inf, note="0 (off) or more")
    if choice.min_p != 0:
        _in_range("--min-p", choice.min_p, low=_SMALLEST, high=1.0, note="0 (off), or between 0.0001 and 1")
    _in_range(
        "--repetition-penalty",
        choice.repetition_penalty,
        low=0.0,
        high=math.inf,
        note="above 0; 1 is off",
        open_low=True,
    )
    _in_range("--seed", choice.seed, low=0, high=2**64, note="a whole number from 0 to 2^64-1")


def decide(choice: SamplingChoice, generation_config: JsonObject) -> Sampling:
    """The sampling to use; values of generation_config that are out of range or of the wrong type are not used."""
    samples = generation_config.get("do_sample") is True
    recommended = _recommended(generation_config) if samples else SamplingChoice()
    fallback = 1.0 if samples or choice.asks_to_sample else 0.0
    return Sampling(
        temperature=_first(choice.temperature, recommended.temperature, fallback),
        top_p=_first(choice.top_p, recommended.top_p, 1.0),
        top_k=int(_first(choice.top_k, recommended.top_k, 0)),
        min_p=_first(choice.min_p, 0.0),
        repetition_penalty=_first(choice.repetition_penalty, 1.0),
        seed=choice.seed,
    )


def _recommended(config: JsonObject) -> SamplingChoice:
    def number(key: str) -> float | None:
        value = config.get(key)
        return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None

    top_k = number("top_k")
    try:
        choice = SamplingChoice(number("temperature"), number("top_p"), None if top_k is None else int(top_k))
        check_choice(choice)
    except (ValidationError, OverflowError, ValueError):
        return SamplingChoice()
    return choice


def _first(*values: float | None) -> float:
    return next(value for value in values if value is not None)


def _in_range(option: str, value: float | None, *, low: float, high: float, note: str, open_low: bool = False) -> None:
    if value is None:
        return
    above = value > low if open_low else value >= low
    below = value < high if math.isinf(high) or option == "--seed" else value <= high
    if not (above and below):
        raise ValidationError(f"{option} {value} is out of range: it must be {note}")
