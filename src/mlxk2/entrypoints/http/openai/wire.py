"""What every body has that comes in through OpenAI's API, and the ranges of its numbers for the OpenAPI document.

Fields that are None here exist in the API and are refused unless they are null (`complaints.py` says why). Types and
names are checked where bodies are decoded, ranges in `options.py`: by the rules that the engine has for them.
"""

from typing import Annotated, Any

from msgspec import Meta, Struct

from mlxk2.domain.names import LONGEST_NAME
from mlxk2.domain.stopping import LONGEST_STOP, MOST_STOPS
from mlxk2.domain.usecases.prepare_answers import MOST_ANSWERS
from mlxk2.ports import checking
from mlxk2.ports.checking import Range

TOP_P = checking.TOP_P._replace(words="0, or between 0.0001 and 1 (off)", or_zero=True)
SEED = Range(-(2**63), 2**63 - 1, "a whole number from -2^63 to 2^63-1", whole=True)
ANSWERS = Range(1, MOST_ANSWERS, f"a whole number from 1 to {MOST_ANSWERS}", whole=True)


def ranged(allowed: Range) -> Meta:
    """The range as JSON Schema has it."""
    within: dict[str, Any] = {"minimum": allowed.low, "maximum": allowed.high}
    return Meta(extra_json_schema={"anyOf": [{"const": 0}, within]} if allowed.or_zero else within)


class Wire(Struct, forbid_unknown_fields=True, kw_only=True):
    """Whatever is not named in a class is refused, as the API itself does."""


class StreamOptions(Wire, kw_only=True):
    """`include_obfuscation` is taken without effect: no stream has padding."""

    include_usage: bool | None = None
    include_obfuscation: bool | None = None


ModelName = Annotated[
    str,
    Meta(
        extra_json_schema={
            "maxLength": LONGEST_NAME,
            "pattern": "^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*(@[0-9a-f]{3,40})?$",
        }
    ),
]
"""A model's name, a part of it that is enough, or name@hash. Folders with stranger names can be asked for as well."""
Temperature = Annotated[float, ranged(checking.TEMPERATURE)]
TopP = Annotated[float, ranged(TOP_P)]
TopK = Annotated[int, ranged(checking.TOP_K)]
MinP = Annotated[float, ranged(checking.MIN_P)]
RepetitionPenalty = Annotated[float, ranged(checking.REPETITION_PENALTY)]
Penalty = Annotated[float, ranged(checking.PRESENCE_PENALTY)]
Seed = Annotated[int, ranged(SEED)]
MaxTokens = Annotated[int, ranged(checking.MAX_TOKENS)]
Answers = Annotated[int, ranged(ANSWERS)]
TopLogprobs = Annotated[int, ranged(checking.LOGPROBS)]
_StopText = Annotated[str, Meta(extra_json_schema={"minLength": 1, "maxLength": LONGEST_STOP})]
Stops = Annotated[list[_StopText], Meta(extra_json_schema={"maxItems": MOST_STOPS})]
LogitBias = Annotated[
    dict[str, Annotated[float, ranged(checking.LOGIT_BIAS)]],
    Meta(
        extra_json_schema={
            "maxProperties": checking.MOST_BIASES,
            "propertyNames": {"pattern": "^(0|[1-9][0-9]{0,9})$"},
        }
    ),
]


Never = Annotated[bool, Meta(extra_json_schema={"const": False})]
Always = Annotated[bool, Meta(extra_json_schema={"const": True})]


class Asking(Wire, kw_only=True):
    """What both ways to ask have in common. `top_k`, `min_p`, `repetition_penalty` and `timings` are extensions."""

    model: ModelName
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    temperature: Temperature | None = None
    top_p: TopP | None = None
    top_k: TopK | None = None
    min_p: MinP | None = None
    repetition_penalty: RepetitionPenalty | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    logit_bias: LogitBias | None = None
    seed: Seed | None = None
    max_tokens: MaxTokens | None = None
    n: Answers | None = None
    stop: _StopText | Stops | None = None
    timings: bool | None = None
    user: str | None = None
