"""From the bytes of a chat request to what is asked of a model."""

import secrets
import string
from dataclasses import dataclass

from mlxk2.domain.text.grammar.reasoning import JSON_OBJECT
from mlxk2.domain.usecases.prepare_answers import AnswerOptions, ChatQuestion
from mlxk2.entrypoints.http.openai.chat.conversation import messages_of
from mlxk2.entrypoints.http.openai.chat.tools import check_name, choice_of, text_of, tools_of
from mlxk2.entrypoints.http.openai.chat.wire import (
    CreateChatCompletion,
    GrammarFormat,
    JsonObjectFormat,
    JsonSchemaFormat,
    RegexFormat,
    ResponseFormat,
)
from mlxk2.entrypoints.http.openai.complaints import complaint, decode
from mlxk2.entrypoints.http.openai.manner import Manner, manner_of
from mlxk2.entrypoints.http.openai.options import check_common, check_optional, reference_of, sampling_of, stops_of
from mlxk2.ports import checking
from mlxk2.ports.generation import Structure

_CHARACTERS = string.ascii_letters + string.digits
CHAT_NAMES = {
    "effort": "reasoning_effort",
    "logprobs": "top_logprobs",
    "prompt": "messages",
    "structure": "response_format",
    "thinking": "chat_template_kwargs.enable_thinking",
}
"""The API's names of parameters where the engine has others."""


@dataclass(frozen=True, slots=True)
class ChatAsked:
    """Which model is asked what, and how the answer is to be written."""

    reference: str
    question: ChatQuestion
    stream: bool
    manner: Manner


def parse_chat(body: bytes) -> ChatAsked:
    """Raises Refusal and ValidationError for everything that is wrong with the body itself."""
    wire = decode(body, CreateChatCompletion)
    check_common(wire)
    _check_limits(wire)
    if wire.store:
        raise complaint("store", "store is not supported: this server keeps no answers; leave it out")
    tools, choice = choice_of(wire.tool_choice, tools_of(wire.tools), parallel=wire.parallel_tool_calls is not False)
    question = ChatQuestion(
        messages_of(wire.messages),
        _options(wire),
        tools,
        choice,
        wire.chat_template_kwargs.enable_thinking if wire.chat_template_kwargs else None,
        wire.reasoning_effort,
        call_id=new_call_id,
    )
    names = {**CHAT_NAMES, "max_tokens": "max_completion_tokens"} if wire.max_completion_tokens else CHAT_NAMES
    manner = manner_of(wire, names, logprobs=bool(wire.logprobs))
    return ChatAsked(reference_of(wire.model), question, bool(wire.stream), manner)


def new_call_id(_: int) -> str:
    """Nine letters and digits, as the chat templates of Mistral's models demand; no two calls share one."""
    return "".join(secrets.choice(_CHARACTERS) for _ in range(9))


def _options(wire: CreateChatCompletion) -> AnswerOptions:
    return AnswerOptions(
        sampling=sampling_of(wire),
        max_tokens=wire.max_tokens or wire.max_completion_tokens,
        stops=stops_of(wire),
        logprobs=_logprobs(wire),
        structure=_structure(wire.response_format),
        answers=1 if wire.n is None else wire.n,
    )


def _check_limits(wire: CreateChatCompletion) -> None:
    check_optional("max_completion_tokens", wire.max_completion_tokens, checking.MAX_TOKENS)
    if wire.max_tokens is not None and wire.max_completion_tokens is not None:
        raise complaint(
            "max_tokens", "max_tokens and max_completion_tokens are two names of one limit; leave one of them out"
        )


def _logprobs(wire: CreateChatCompletion) -> int | None:
    check_optional("top_logprobs", wire.top_logprobs, checking.LOGPROBS)
    if wire.logprobs:
        return wire.top_logprobs or 0
    if wire.top_logprobs is not None:
        raise complaint("top_logprobs", "top_logprobs is for answers with logprobs: send logprobs true as well")
    return None


def _structure(form: ResponseFormat | None) -> Structure | None:
    if isinstance(form, JsonSchemaFormat):
        check_name("response_format.json_schema.name", form.json_schema.name)
        return Structure("json_schema", text_of(form.json_schema.schema))
    if isinstance(form, JsonObjectFormat):
        return JSON_OBJECT
    if isinstance(form, RegexFormat):
        return Structure("regex", form.pattern)
    return Structure("lark", form.grammar) if isinstance(form, GrammarFormat) else None
