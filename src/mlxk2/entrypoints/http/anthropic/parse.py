"""From the bytes of a request to what is asked of a model."""

from dataclasses import dataclass

from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.usecases.prepare_answers import AnswerOptions, ChatQuestion
from mlxk2.entrypoints.http.anthropic.complaints import complaint, decode
from mlxk2.entrypoints.http.anthropic.conversation import messages_of
from mlxk2.entrypoints.http.anthropic.ids import new_call_id
from mlxk2.entrypoints.http.anthropic.thinking import check_budget, thinking_of
from mlxk2.entrypoints.http.anthropic.tools import choice_of, tools_of
from mlxk2.entrypoints.http.anthropic.wire import CountTokens, CreateMessage
from mlxk2.ports.generation import Structure


@dataclass(frozen=True, slots=True)
class MessageAsked:
    """`reference` is the model; `shows_thinking` False keeps thinking out of the client's sight."""

    reference: str
    question: ChatQuestion
    stream: bool
    shows_thinking: bool


def parse_message(body: bytes) -> MessageAsked:
    """Raises ValidationError for everything that is wrong with the body itself."""
    asked = decode(body, CreateMessage)
    thinking = thinking_of(asked)
    check_budget(thinking, asked.max_tokens)
    options = AnswerOptions(
        sampling=SamplingChoice(asked.temperature, asked.top_p, asked.top_k),
        max_tokens=asked.max_tokens,
        stops=tuple(asked.stop_sequences or ()),
        structure=_structure(asked),
    )
    return MessageAsked(asked.model, _question(asked, options), bool(asked.stream), thinking.shown)


def parse_count(body: bytes) -> tuple[str, ChatQuestion]:
    """The model, and the question whose prompt is to be counted. Raises ValidationError as `parse_message`."""
    asked = decode(body, CountTokens)
    return asked.model, _question(asked, AnswerOptions())


def _question(asked: CountTokens, options: AnswerOptions) -> ChatQuestion:
    thinking = thinking_of(asked)
    tools, choice = choice_of(asked.tool_choice, tools_of(asked.tools))
    return ChatQuestion(
        messages_of(asked.system, asked.messages),
        options,
        tools,
        choice,
        thinking.switch,
        thinking.effort,
        thinking.budget,
        new_call_id,
    )


def _structure(asked: CountTokens) -> Structure | None:
    wanted = asked.output_config.format if asked.output_config else None
    if wanted is not None and asked.output_format is not None:
        raise complaint(("output_format",), "output_config.format says the same; leave one of them out")
    form = wanted or asked.output_format
    return None if form is None else Structure("json_schema", bytes(form.schema).decode())
