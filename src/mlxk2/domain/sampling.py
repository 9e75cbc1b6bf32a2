"""How tokens are drawn: what the user asked for, over what the model recommends, over greedy decoding.

A model recommends through generation_config.json (`do_sample` with `temperature`, `top_p`, `top_k`). Asking for top-p,
top-k or min-p alone means sampling, at temperature 1, since they do nothing to greedy decoding.
"""

from typing import NamedTuple

from mlxk2.domain.snapshot import JsonObject
from mlxk2.ports import checking
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Sampling


class SamplingChoice(NamedTuple):
    """What the user asked for; None means "not said". `logit_bias` as in `Sampling`."""

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    seed: int | None = None
    presence_penalty: float | None = None
    frequency_penalty: float | None = None
    logit_bias: tuple[tuple[int, float], ...] = ()

    @property
    def asks_to_sample(self) -> bool:
        return any(value is not None for value in (self.top_p, self.top_k, self.min_p))


def check_choice(choice: SamplingChoice) -> None:
    """Raises ValidationError naming the first option that is out of the range that `ports/checking.py` sets."""
    asked = (
        ("--temperature", choice.temperature, checking.TEMPERATURE),
        ("--top-p", choice.top_p, checking.TOP_P),
        ("--top-k", choice.top_k, checking.TOP_K),
        ("--min-p", choice.min_p, checking.MIN_P),
        ("--repetition-penalty", choice.repetition_penalty, checking.REPETITION_PENALTY),
        ("--seed", choice.seed, checking.SEED),
    )
    for option, value, allowed in asked:
        if value is not None:
            checking.check_range(option, value, allowed)


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
        presence_penalty=_first(choice.presence_penalty, 0.0),
        frequency_penalty=_first(choice.frequency_penalty, 0.0),
        logit_bias=choice.logit_bias,
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
