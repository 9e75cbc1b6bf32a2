"""The body of `/v1/completions`."""

from typing import Annotated, Any

from msgspec import Meta

from mlxk2.entrypoints.http.openai.wire import Answers, Asking, TopLogprobs

MOST_PROMPTS = 128
"""Prompts, and answers to all of them together, that one request may ask for."""


def _filled(items: dict[str, Any], most: int | None = None) -> dict[str, Any]:
    filled = {"type": "array", "items": items, "minItems": 1}
    return filled if most is None else {**filled, "maxItems": most}


_TEXT = {"type": "string"}
_TOKENS = _filled({"type": "integer", "minimum": 0})
_Prompts = Annotated[
    list[str | int | list[int]],
    Meta(
        min_length=1,
        description="Texts, token ids, or lists of token ids",
        extra_json_schema={"anyOf": [_filled(_TEXT, MOST_PROMPTS), _TOKENS, _filled(_TOKENS, MOST_PROMPTS)]},
    ),
]


class CreateCompletion(Asking, kw_only=True):
    """`prompt` is a text, several texts, one text as token ids, or several of these."""

    prompt: str | _Prompts
    echo: bool | None = None
    logprobs: TopLogprobs | None = None
    best_of: Answers | None = None
    suffix: None = None
