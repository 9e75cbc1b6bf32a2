"""From what a client asks to what an engine is asked: prompts, limits, structures, and how the answer is to be read.

No words of any API here. Everything that is wrong with a question is found before the first token, and the error names
the parameter in the engine's own words. Grammars and budgets are imported once a question needs them: the command line
answers sooner without.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mlxk2.domain.answer import Answer
from mlxk2.domain.sampling import SamplingChoice, decide
from mlxk2.domain.snapshot import JsonObject
from mlxk2.domain.stopping import check_stops
from mlxk2.domain.text.outputs import Output
from mlxk2.domain.text.reader import Reading, numbered
from mlxk2.domain.text.tool_choice import ToolChoice
from mlxk2.domain.usecases.serve_requests import RequestGate
from mlxk2.ports.checking import check_request
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import Engine, EngineInfo, Markers
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Event, GenerationRequest, Sampling, Structure

if TYPE_CHECKING:
    from mlxk2.domain.thinking_budget import ThinkingBudget

MOST_ANSWERS = 32
"""Answers that one request may ask for."""
_UNKNOWN_CONTEXT = 4096
_NO_EFFORT = "none"


class AnswerOptions(NamedTuple):
    """How answers are made. `max_tokens` None leaves it to the server. `answers` is how many are made of one prompt.

    With a seed, answer number i is drawn with the seed + i: alike answers would be of no use.
    """

    sampling: SamplingChoice = SamplingChoice()
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    logprobs: int | None = None
    structure: Structure | None = None
    answers: int = 1


class ChatQuestion(NamedTuple):
    """A conversation to be continued.

    `thinking` and `effort` None leave it to the model whether, and how long, it reasons first; `thinking_budget` is the
    most tokens that it may reason. `call_id` gives ids to tool calls, by their number in the answer.
    """

    messages: tuple[Message, ...]
    options: AnswerOptions = AnswerOptions()
    tools: tuple[Tool, ...] = ()
    choice: ToolChoice = ToolChoice()
    thinking: bool | None = None
    effort: str | None = None
    thinking_budget: int | None = None
    call_id: Callable[[int], str] = numbered


class TextQuestion(NamedTuple):
    """A text, or token ids, to be continued as they are, without a chat template."""

    prompt: str | tuple[int, ...]
    options: AnswerOptions = AnswerOptions()


Question = ChatQuestion | TextQuestion


class AnswerLimits(NamedTuple):
    """Tokens of an answer: those where the client names no number, and the most that it may name.

    `default_max_tokens` None: as many as context and memory have room for.
    """

    default_max_tokens: int | None = 4096
    most_tokens: int | None = None


class AskedModel(Protocol):
    """A loaded model that questions are prepared for: a server's lease, or one that was opened for a run or a chat."""

    @property
    def engine(self) -> Engine: ...

    @property
    def gate(self) -> RequestGate: ...

    @property
    def generation_config(self) -> JsonObject: ...


class Reader(Protocol):
    """Reads the events on one request.

    `spent`: it is to be cancelled, and `following` takes its place; `continuation` is the same, once, after the last
    event of the one.
    """

    @property
    def spent(self) -> bool: ...

    @property
    def following(self) -> GenerationRequest | None: ...

    def read(self, event: Event) -> list[Output]: ...

    def continuation(self) -> GenerationRequest | None: ...


class UnboundedAnswer:
    """An answer that may reason as long as it likes."""

    spent = False
    following: GenerationRequest | None = None

    def __init__(self, answer: Answer) -> None:
        self.read = answer.read

    def continuation(self) -> GenerationRequest | None:
        return None


class Prepared(NamedTuple):
    """One request an answer, all of the same prompt."""

    requests: tuple[GenerationRequest, ...]
    stops: tuple[str, ...]
    reading: Reading
    budget: "ThinkingBudget | None" = None

    @property
    def prompt_tokens(self) -> int:
        return len(self.requests[0].prompt)

    def answer(self) -> Answer:
        return Answer(self.stops, self.reading)

    def reader(self, request: GenerationRequest, answer: Answer) -> Reader:
        """What the engine's events on this request are read by, into the answer."""
        if self.budget is None:
            return UnboundedAnswer(answer)
        from mlxk2.domain.thinking_budget import BudgetedAnswer

        return BudgetedAnswer(self.budget, request, answer)


def prepare(model: AskedModel, question: Question, limits: AnswerLimits) -> Prepared:
    """Waits for the engine to render or tokenize.

    Raises ValidationError, ContextExceeded or NotEnoughMemory for what is wrong whatever else goes on, OperationError
    for a conversation that the model's chat template refuses.
    """
    options = question.options
    check_options(options, limits)
    info = model.engine.info()
    if isinstance(question, ChatQuestion):
        prompt = _rendered(model.engine, info, question)
        reading = Reading(info.markers, question.tools, prompt.opens_reasoning, question.call_id)
        structure = _structure(info.markers, question, opens_reasoning=prompt.opens_reasoning)
    else:
        prompt = _plain(model.engine, question.prompt)
        reading, structure = Reading(), options.structure
    if not prompt.tokens:
        raise ValidationError("The prompt has no tokens for this model; write some text", parameter="prompt")
    request = GenerationRequest(
        prompt.tokens,
        1,
        decide(options.sampling, model.generation_config),
        options.logprobs,
        structure,
        prompt.borders,
    )
    check_request(request, info)
    request = request._replace(max_tokens=_limit(model.gate, info, len(prompt.tokens), options.max_tokens, limits))
    model.gate.check(request)
    requests = tuple(request._replace(sampling=_numbered(request.sampling, i)) for i in range(options.answers))
    budget = _budget(model.engine, info, question) if isinstance(question, ChatQuestion) else None
    return Prepared(requests, options.stops, reading, budget)


def prompt_tokens(engine: Engine, question: ChatQuestion) -> tuple[int, ...]:
    """The tokens of the question's prompt, however many. Raises as `prepare`."""
    return _rendered(engine, engine.info(), question).tokens


def count_tokens(engine: Engine, question: ChatQuestion) -> int:
    """How many tokens the prompt has. Raises as `prepare`."""
    return len(prompt_tokens(engine, question))


def check_options(options: AnswerOptions, limits: AnswerLimits) -> None:
    """What can be told without a model. Raises ValidationError."""
    check_stops(options.stops)
    if not 1 <= options.answers <= MOST_ANSWERS:
        raise ValidationError(
            f"n {options.answers} is out of range: it must be between 1 and {MOST_ANSWERS}", parameter="n"
        )
    asked, most = options.max_tokens, limits.most_tokens
    if asked is not None and asked < 1:
        raise ValidationError(f"max_tokens {asked} is out of range: it must be 1 or more", parameter="max_tokens")
    if asked is not None and most is not None and asked > most:
        raise ValidationError(
            f"max_tokens {asked} is more than this server allows: ask for at most {most}", parameter="max_tokens"
        )


def _rendered(engine: Engine, info: EngineInfo, question: ChatQuestion) -> RenderedPrompt:
    if not info.has_chat_template:
        raise ValidationError(
            "This model has no chat template, so it cannot hold a conversation; send a plain prompt instead",
            parameter="messages",
        )
    thinking, effort = _thinking(info, question)
    return engine.render(question.messages, question.tools, RenderOptions(thinking, effort))


def _thinking(info: EngineInfo, question: ChatQuestion) -> tuple[bool | None, str | None]:
    """What the template is told.

    A template that knows levels gets the level; one that only knows a switch is switched off by "none" and on by all
    others; one that knows neither can only be asked not to think when it has no marks for reasoning at all.
    """
    thinking, effort = question.thinking, question.effort
    if effort is not None and effort != _NO_EFFORT and info.has_effort_levels:
        return thinking if info.has_thinking_switch else None, effort
    if effort is not None:
        wanted = effort != _NO_EFFORT
        if thinking is not None and thinking != wanted:
            raise ValidationError(
                f"Thinking is switched both on and off: effort is '{effort}'; leave one of them out", parameter="effort"
            )
        thinking = wanted
    if thinking is None or info.has_thinking_switch or thinking == _always_thinks(info):
        return (thinking if info.has_thinking_switch else None), None
    raise ValidationError(
        "This model cannot be told to think: it has no reasoning"
        if thinking
        else "This model's reasoning cannot be switched off",
        parameter="thinking" if effort is None else "effort",
    )


def _always_thinks(info: EngineInfo) -> bool:
    return info.markers.think_end is not None or info.markers.tool_format == "harmony"


def _budget(engine: Engine, info: EngineInfo, question: ChatQuestion) -> "ThinkingBudget | None":
    if question.thinking_budget is None:
        return None
    from mlxk2.domain.thinking_budget import thinking_budget, without_reasoning

    following = _structure(without_reasoning(info.markers), question, opens_reasoning=False)
    return thinking_budget(question.thinking_budget, info, following, engine.tokenize)


def _structure(markers: Markers, question: ChatQuestion, *, opens_reasoning: bool) -> Structure | None:
    """What holds the answer to its form: tools, or the structure that was asked for, after the reasoning."""
    wanted = question.options.structure
    if question.tools and wanted is not None:
        raise ValidationError(
            "An answer cannot be held to tools and to a response format at once; leave one of them out",
            parameter="structure",
        )
    if question.tools or question.choice.required or question.choice.name is not None:
        from mlxk2.domain.text.grammar.choice import tool_structure

        return tool_structure(markers, question.tools, question.choice, opens_reasoning=opens_reasoning)
    if wanted is None:
        return None
    from mlxk2.domain.text.grammar.reasoning import after_reasoning

    return after_reasoning(wanted, markers, opens_reasoning=opens_reasoning)


def _plain(engine: Engine, prompt: str | Sequence[int]) -> RenderedPrompt:
    return RenderedPrompt(tuple(engine.tokenize(prompt) if isinstance(prompt, str) else prompt))


def _limit(gate: RequestGate, info: EngineInfo, prompt_tokens: int, asked: int | None, limits: AnswerLimits) -> int:
    """What was asked for, else the server's own number, as far as context and memory have room for it.

    More than the context has room for may be asked for, as many clients do whatever the model: such an answer ends at
    the context's end, and says so.
    """
    if asked is not None:
        return asked
    room = _UNKNOWN_CONTEXT if info.context_length is None else info.context_length - prompt_tokens
    usual = min(number for number in (limits.default_max_tokens, limits.most_tokens, room) if number is not None)
    return max(gate.room(prompt_tokens, usual), 1)


def _numbered(sampling: Sampling, index: int) -> Sampling:
    if sampling.seed is None or index == 0:
        return sampling
    return sampling._replace(seed=(sampling.seed + index) % 2**64)
