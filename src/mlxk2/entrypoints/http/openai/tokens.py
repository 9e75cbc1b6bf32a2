"""`/tokenize` and `/detokenize`: a text or a conversation to token ids, and back, as local servers have it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any

from msgspec import Meta, Struct

from mlxk2.domain.usecases.prepare_answers import ChatQuestion, prompt_tokens
from mlxk2.entrypoints.http.openai.chat.conversation import messages_of
from mlxk2.entrypoints.http.openai.chat.tools import tools_of
from mlxk2.entrypoints.http.openai.chat.wire import Effort, Messages, TemplateOptions, Tools
from mlxk2.entrypoints.http.openai.complaints import complaint, decode
from mlxk2.entrypoints.http.openai.options import reference_of
from mlxk2.entrypoints.http.openai.wire import Always, ModelName, Wire
from mlxk2.ports.checking import check_tokens
from mlxk2.ports.engine import Engine

_OF_A_CONVERSATION = ("tools", "chat_template_kwargs", "reasoning_effort", "add_generation_prompt")


class Tokenize(Wire, kw_only=True):
    """Either `prompt`, with the special tokens that the model puts first, or `messages`, as its chat template has them.

    `add_special_tokens` and `add_generation_prompt`, as other servers know them, may only say what is done anyway.
    """

    model: ModelName
    prompt: str | None = None
    messages: Messages | None = None
    tools: Tools | None = None
    chat_template_kwargs: TemplateOptions | None = None
    reasoning_effort: Effort | None = None
    add_special_tokens: bool | None = None
    add_generation_prompt: Always | None = None


def _only(name: str, kind: str, others: Iterable[str], *, adds: bool) -> dict[str, Any]:
    """The body with this field and without the others, for the OpenAPI document."""
    absent = {other: {"type": "null"} for other in others}
    return {
        "required": [name],
        "properties": {name: {"type": kind}, "add_special_tokens": {"enum": [adds, None]}, **absent},
    }


TokenizeEither = Annotated[
    Tokenize,
    Meta(
        extra_json_schema={
            "oneOf": [
                _only("prompt", "string", ("messages", *_OF_A_CONVERSATION), adds=True),
                _only("messages", "array", ("prompt",), adds=False),
            ]
        }
    ),
]
"""The body as the OpenAPI document has it."""


class Tokenized(Struct, frozen=True):
    """`max_model_len` is the context length in tokens, null where it is not known."""

    tokens: list[int]
    count: int
    max_model_len: int | None


class Detokenize(Wire, kw_only=True):
    model: ModelName
    tokens: list[Annotated[int, Meta(extra_json_schema={"minimum": 0})]]


class Detokenized(Struct, frozen=True):
    prompt: str


@dataclass(frozen=True, slots=True)
class TokensAsked:
    """Which model, and what is to be done with its engine; `work` waits for the engine."""

    reference: str
    work: Callable[[Engine], Tokenized | Detokenized]


def parse_tokenize(body: bytes) -> TokensAsked:
    """Raises Refusal for everything that is wrong with the body itself."""
    wire = decode(body, Tokenize)
    if (wire.prompt is None) == (wire.messages is None):
        raise complaint("prompt", "A text or a conversation becomes tokens; send prompt or messages, and not both")
    is_text = wire.prompt is not None
    _check_manner(wire, is_text=is_text)
    if wire.prompt is not None:
        text = wire.prompt
        return TokensAsked(reference_of(wire.model), lambda engine: _tokenized(engine, engine.tokenize(text)))
    question = _question(wire)
    return TokensAsked(
        reference_of(wire.model), lambda engine: _tokenized(engine, list(prompt_tokens(engine, question)))
    )


def parse_detokenize(body: bytes) -> TokensAsked:
    """Raises Refusal for everything that is wrong with the body itself."""
    wire = decode(body, Detokenize)
    return TokensAsked(reference_of(wire.model), lambda engine: _detokenized(engine, wire.tokens))


def _check_manner(wire: Tokenize, *, is_text: bool) -> None:
    for name in _OF_A_CONVERSATION:
        if is_text and getattr(wire, name) is not None:
            raise complaint(name, f"{name} is for messages; leave it out beside prompt")
    if wire.add_special_tokens is not None and wire.add_special_tokens != is_text:
        told = (
            "a text is given the special tokens that the model puts first"
            if is_text
            else "a conversation has those of its chat template and no others"
        )
        raise complaint("add_special_tokens", f"add_special_tokens cannot be chosen: {told}; leave it out")
    if wire.add_generation_prompt is False:
        raise complaint(
            "add_generation_prompt",
            "add_generation_prompt false is not supported: a conversation ends where the answer begins; leave it out",
        )


def _question(wire: Tokenize) -> ChatQuestion:
    return ChatQuestion(
        messages_of(wire.messages or ()),
        tools=tools_of(wire.tools),
        thinking=wire.chat_template_kwargs.enable_thinking if wire.chat_template_kwargs else None,
        effort=wire.reasoning_effort,
    )


def _tokenized(engine: Engine, tokens: list[int]) -> Tokenized:
    return Tokenized(tokens, len(tokens), engine.info().context_length)


def _detokenized(engine: Engine, tokens: list[int]) -> Detokenized:
    check_tokens("tokens", tokens, engine.info().vocab_size)
    return Detokenized(engine.detokenize(tokens))
