"""What a generation request must look like, whatever engine it goes to: types, ranges and room, decided in one place.

Requests also come from programs that were not written with care. A value of any type is met with one sentence that
names the parameter and what it may be, and nothing but `ValidationError` and `ContextExceeded` leaves this file.
"""

import json
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

from mlxk2.ports.engine import EngineInfo
from mlxk2.ports.errors import ContextExceeded, ValidationError
from mlxk2.ports.generation import GenerationRequest, Sampling, Structure

_LARGEST = 2**63 - 1
"""What every number that crosses a process border fits into."""
MOST_BIASES = 1024
"""Tokens that one request may bias: every step of its batch looks at all of them."""
LONGEST_STRUCTURE = 128 * 1024
"""Characters of a schema, expression or grammar: compiling a longer one takes a processor for many seconds."""
_SHOWN = 60
"""So many characters of a wrong value are repeated to whoever sent it."""


class Range(NamedTuple):
    """The numbers that a parameter may be: from `low` to `high`, both included, and 0 where `or_zero`.

    `words` say so after "it must be". NaN is in no range, and neither are True and False.
    """

    low: float
    high: float
    words: str
    whole: bool = False
    or_zero: bool = False

    def holds(self, value: object) -> bool:
        if isinstance(value, bool) or not isinstance(value, int if self.whole else (int, float)):
            return False
        return self.low <= value <= self.high or (self.or_zero and value == 0)


# Below 0.0001, 32-bit arithmetic turns a sharp distribution into a flat one; the upper ends keep 16-bit logits finite.
TEMPERATURE = Range(1e-4, 1e4, "0, or from 0.0001 to 10000", or_zero=True)
TOP_P = Range(1e-4, 1.0, "between 0.0001 and 1 (off)")
TOP_K = Range(0, _LARGEST, "a whole number from 0 (off) to 2^63-1", whole=True)
MIN_P = Range(1e-4, 1.0, "0 (off), or between 0.0001 and 1", or_zero=True)
REPETITION_PENALTY = Range(0.01, 100.0, "between 0.01 and 100; 1 is off")
PRESENCE_PENALTY = FREQUENCY_PENALTY = Range(-2.0, 2.0, "between -2 and 2; 0 is off")
LOGIT_BIAS = Range(-100.0, 100.0, "between -100 and 100")
SEED = Range(0, 2**64 - 1, "a whole number from 0 to 2^64-1", whole=True)
MAX_TOKENS = Range(1, _LARGEST, "a whole number from 1 to 2^63-1", whole=True)
LOGPROBS = Range(0, 20, "a whole number from 0 to 20", whole=True)


def check_range(name: str, value: object, allowed: Range, parameter: str | None = None) -> None:
    """Raises ValidationError with `name`, the value and what it must be; `parameter` where `name` says more."""
    if not allowed.holds(value):
        raise ValidationError(
            f"{name} {_shown(value)} is out of range: it must be {allowed.words}", parameter=parameter or name
        )


def check_request(request: GenerationRequest, info: EngineInfo) -> None:
    """Raises ValidationError for what no engine can do, ContextExceeded for a prompt that leaves no room for a token.

    Whether a structure can be compiled is for the engine to find out; here a JSON schema only has to be JSON.
    """
    if not isinstance(request, GenerationRequest):
        raise ValidationError(f"The request is {_shown(request)}: it must be a GenerationRequest")
    _check_prompt(request.prompt, info.vocab_size)
    check_range("max_tokens", request.max_tokens, MAX_TOKENS)
    if request.logprobs is not None:
        check_range("logprobs", request.logprobs, LOGPROBS)
    _check_sampling(request.sampling, info.vocab_size)
    if request.structure is not None:
        _check_structure(request.structure)
    _check_borders(request.borders, len(request.prompt))
    _check_room(len(request.prompt), info.context_length)


def check_tokens(name: str, tokens: tuple[int, ...] | list[int], vocab_size: int) -> None:
    """Raises ValidationError naming the first of `tokens` that is not an id of the vocabulary."""
    if set(map(type, tokens)) <= {int} and (not tokens or (min(tokens) >= 0 and max(tokens) < vocab_size)):
        return  # a long prompt is looked through at the speed of C
    place, token = next((place, token) for place, token in enumerate(tokens) if not _is_token(token, vocab_size))
    raise ValidationError(
        f"{name}[{place}] is {_shown(token)}, which is no token: it must be a whole number from 0 to {vocab_size - 1}",
        parameter=name,
    )


def _check_prompt(prompt: tuple[int, ...], vocab_size: int) -> None:
    if not isinstance(prompt, tuple):
        raise ValidationError(
            f"prompt is {_shown(prompt)}: it must be a tuple of token ids, as tokenize() makes them", parameter="prompt"
        )
    if not prompt:
        raise ValidationError("prompt is empty: it must hold at least one token id", parameter="prompt")
    check_tokens("prompt", prompt, vocab_size)


def _check_sampling(sampling: Sampling, vocab_size: int) -> None:
    if not isinstance(sampling, Sampling):
        raise ValidationError(f"sampling is {_shown(sampling)}: it must be a Sampling", parameter="sampling")
    check_range("temperature", sampling.temperature, TEMPERATURE)
    check_range("top_p", sampling.top_p, TOP_P)
    check_range("top_k", sampling.top_k, TOP_K)
    check_range("min_p", sampling.min_p, MIN_P)
    check_range("repetition_penalty", sampling.repetition_penalty, REPETITION_PENALTY)
    check_range("presence_penalty", sampling.presence_penalty, PRESENCE_PENALTY)
    check_range("frequency_penalty", sampling.frequency_penalty, FREQUENCY_PENALTY)
    if sampling.seed is not None:
        check_range("seed", sampling.seed, SEED)
    _check_logit_bias(sampling.logit_bias, vocab_size)


def _check_logit_bias(bias: tuple[tuple[int, float], ...], vocab_size: int) -> None:
    if not isinstance(bias, tuple) or not all(isinstance(pair, tuple) and len(pair) == 2 for pair in bias):
        raise ValidationError(
            f"logit_bias is {_shown(bias)}: it must be a tuple of pairs (token id, bias)", parameter="logit_bias"
        )
    if len(bias) > MOST_BIASES:
        raise ValidationError(
            f"logit_bias names {len(bias)} tokens: it may name at most {MOST_BIASES}", parameter="logit_bias"
        )
    for token, value in bias:
        if not _is_token(token, vocab_size):
            raise ValidationError(
                f"logit_bias names {_shown(token)}, which is no token: it must be a whole number from 0 to"
                f" {vocab_size - 1}",
                parameter="logit_bias",
            )
        check_range(f"logit_bias of token {token}", value, LOGIT_BIAS, "logit_bias")
    if len({token for token, _ in bias}) < len(bias):
        raise ValidationError("logit_bias names a token twice: it must name each one once", parameter="logit_bias")


def _check_structure(structure: Structure) -> None:
    if not isinstance(structure, Structure):
        raise ValidationError(f"structure is {_shown(structure)}: it must be a Structure", parameter="structure")
    if structure.kind not in ("json_schema", "regex", "lark"):
        raise ValidationError(
            f"structure kind {_shown(structure.kind)} is not known: use json_schema, regex or lark",
            parameter="structure",
        )
    text = structure.text
    if not isinstance(text, str) or not text or not is_unicode(text):
        raise ValidationError(
            f"structure text {_shown(text)} cannot be used: it must be text, and not empty", parameter="structure"
        )
    if len(text) > LONGEST_STRUCTURE:
        raise ValidationError(
            f"structure text has {len(text)} characters: it may have at most {LONGEST_STRUCTURE}; make it simpler",
            parameter="structure",
        )
    if structure.kind == "json_schema":
        _check_schema(text)


def is_unicode(text: str) -> bool:
    """Half a surrogate pair cannot be written as UTF-8."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


@lru_cache(maxsize=4)
def _check_schema(text: str) -> None:
    """Remembers the last good ones: several answers to one prompt have the same."""
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(
            f"The JSON schema is not JSON ({error}): correct it and ask again", parameter="structure"
        ) from None
    if not isinstance(schema, (dict, bool)):
        raise ValidationError(
            f"The JSON schema is {_shown(schema)}: it must be an object, or true", parameter="structure"
        )


def _check_borders(borders: tuple[int, ...], prompt_tokens: int) -> None:
    places = Range(1, prompt_tokens, f"whole numbers from 1 to {prompt_tokens}, each above the one before", whole=True)
    if not isinstance(borders, tuple) or not (all(map(places.holds, borders)) and _rises(borders)):
        raise ValidationError(f"borders are {_shown(borders)}: they must be {places.words}", parameter="borders")


def _rises(numbers: tuple[int, ...]) -> bool:
    return all(before < after for before, after in pairwise(numbers))


def _check_room(prompt_tokens: int, context_length: int | None) -> None:
    if context_length is not None and prompt_tokens >= context_length:
        raise ContextExceeded(
            f"The prompt has {prompt_tokens} tokens, and this model's context holds {context_length} with the answer;"
            " shorten the prompt",
            prompt_tokens=prompt_tokens,
            context_length=context_length,
        )


def _is_token(value: object, vocab_size: int) -> bool:
    return type(value) is int and 0 <= value < vocab_size


def _shown(value: object) -> str:
    """The value as Python writes it, cut short; its type where it cannot be written, as integers of 5,000 digits."""
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - whatever a stranger's object does, its sender gets a sentence
        return f"a {type(value).__name__} that cannot be shown"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"
