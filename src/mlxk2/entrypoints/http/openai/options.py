"""The options of a body that both ways to ask have, checked by the engine's own rules before any model is asked.

Where OpenAI's numbers are wider than the engine's they are given the same meaning: `top_p` 0 leaves the most probable
token only, which is what `top_k` 1 does, and a negative seed is one of 64 bits like any other.
"""

from mlxk2.domain.names import parse_reference
from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.stopping import check_stops
from mlxk2.entrypoints.http.openai.complaints import complaint
from mlxk2.entrypoints.http.openai.wire import ANSWERS, SEED, TOP_P, Asking
from mlxk2.ports import checking
from mlxk2.ports.checking import Range, check_range
from mlxk2.ports.errors import ValidationError

_RANGES = (
    ("temperature", checking.TEMPERATURE),
    ("top_p", TOP_P),
    ("top_k", checking.TOP_K),
    ("min_p", checking.MIN_P),
    ("repetition_penalty", checking.REPETITION_PENALTY),
    ("presence_penalty", checking.PRESENCE_PENALTY),
    ("frequency_penalty", checking.FREQUENCY_PENALTY),
    ("seed", SEED),
    ("max_tokens", checking.MAX_TOKENS),
    ("n", ANSWERS),
)
_MOST_DIGITS = 10


def check_common(asked: Asking) -> None:
    """Raises Refusal and ValidationError for what is wrong in the fields that both ways to ask have."""
    if asked.stream_options is not None and not asked.stream:
        raise complaint("stream_options", "stream_options is for streams: send it with stream true, or leave it out")
    for name, allowed in _RANGES:
        check_optional(name, getattr(asked, name), allowed)


def reference_of(model: str) -> str:
    """Raises Refusal for what cannot be the name of a model."""
    try:
        parse_reference(model)
    except ValidationError as error:
        raise complaint("model", error.message) from None
    return model


def check_optional(name: str, value: float | None, allowed: Range) -> None:
    """Raises ValidationError for a value out of range; None is the API's way to say nothing."""
    if value is not None:
        check_range(name, value, allowed)


def sampling_of(asked: Asking) -> SamplingChoice:
    """Of a body that `check_common` has passed. Raises Refusal and ValidationError for a wrong `logit_bias`."""
    greedy = asked.top_p == 0
    return SamplingChoice(
        temperature=asked.temperature,
        top_p=None if greedy else asked.top_p,
        top_k=1 if greedy else asked.top_k,
        min_p=asked.min_p,
        repetition_penalty=asked.repetition_penalty,
        presence_penalty=asked.presence_penalty,
        frequency_penalty=asked.frequency_penalty,
        logit_bias=_biases(asked.logit_bias or {}),
        seed=None if asked.seed is None else asked.seed % 2**64,
    )


def stops_of(asked: Asking) -> tuple[str, ...]:
    """Raises ValidationError for an empty stop string, and for too many or too long ones."""
    stops = asked.stop
    return check_stops([stops] if isinstance(stops, str) else stops or [])


def _biases(written: dict[str, float]) -> tuple[tuple[int, float], ...]:
    if len(written) > checking.MOST_BIASES:
        raise complaint(
            "logit_bias", f"logit_bias names {len(written)} tokens: it may name at most {checking.MOST_BIASES}"
        )
    for name, value in written.items():
        if not _is_token(name):
            raise complaint("logit_bias", f"logit_bias names '{name[:40]}': write a token's id, like \"1234\"")
        check_range(f"logit_bias of token {name}", value, checking.LOGIT_BIAS, "logit_bias")
    return tuple((int(name), value) for name, value in written.items())


def _is_token(name: str) -> bool:
    plain = name.isascii() and name.isdigit() and len(name) <= _MOST_DIGITS
    return plain and str(int(name)) == name
