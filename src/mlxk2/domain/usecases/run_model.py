"""`run`: one model answers one prompt."""

from typing import NamedTuple

from mlxk2.domain.sampling import SamplingChoice, check_choice
from mlxk2.domain.stopping import check_stops
from mlxk2.domain.usecases.answer_run import AnswerRun
from mlxk2.domain.usecases.open_model import OpenedModel, OpenModel, OpenOptions
from mlxk2.domain.usecases.prepare_answers import (
    AnswerOptions,
    ChatQuestion,
    Prepared,
    Question,
    TextQuestion,
    prepare,
)
from mlxk2.ports.checking import is_unicode
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import EngineInfo, Watch, unwatched
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Sampling, Structure


class RunOptions(NamedTuple):
    """What the user asked for.

    `max_tokens` None means: until the model ends, or context or memory have no more room; a running server gives 4,096
    tokens. `thinking` None leaves it to the model's chat template whether it reasons before it answers. `force_load`
    lifts all bounds of memory. `structure` is a form that the answer is held to. `local` asks no running server.
    """

    prompt: str
    system: str | None = None
    max_tokens: int | None = None
    sampling: SamplingChoice = SamplingChoice()
    stops: tuple[str, ...] = ()
    use_chat_template: bool = True
    thinking: bool | None = None
    trust_remote_code: bool = False
    force_load: bool = False
    local: bool = False
    structure: Structure | None = None


class RunSession(AnswerRun):
    """An opened model with one prompt ready to go. Close it when done."""

    def __init__(self, opened: OpenedModel, prepared: Prepared) -> None:
        super().__init__(opened, prepared)
        self.name = opened.name
        self.opened = opened

    def close(self) -> None:
        self.opened.close()


class RunModel:
    def __init__(self, open_model: OpenModel) -> None:
        self._open_model = open_model

    def open(self, reference: str, options: RunOptions, watch: Watch = unwatched) -> RunSession:
        """Everything that can be wrong is found here, before the first token.

        Raises what `OpenModel.open` raises, ValidationError, ContextExceeded, NotEnoughMemory, or OperationError for a
        prompt that the chat template refuses.
        """
        _check(options)
        opened = self._open_model.open(
            reference,
            OpenOptions(options.local, options.trust_remote_code, options.force_load, options.max_tokens),
            watch,
        )
        try:
            return RunSession(opened, _prepared(opened, options))
        except BaseException:
            opened.close()
            raise


def _check(options: RunOptions) -> None:
    """What can be told before anything is loaded, in the words of the command line."""
    if not options.prompt.strip():
        raise ValidationError('The prompt is empty; write it after the model: mlxk2 run <model> "your question"')
    if options.max_tokens is not None and options.max_tokens < 1:
        raise ValidationError(f"--max-tokens {options.max_tokens} is out of range: it must be 1 or more")
    stops = (("--stop", stop) for stop in options.stops)
    for option, text in (("The prompt", options.prompt), ("--system", options.system or ""), *stops):
        if not is_unicode(text):
            raise ValidationError(f"{option} is not valid UTF-8 text; check the terminal's encoding")
    check_choice(options.sampling)
    check_stops(options.stops)


def _prepared(opened: OpenedModel, options: RunOptions) -> Prepared:
    info = opened.engine.info()
    try:
        prepared = prepare(opened, _question(info, options), opened.limits)
    except ValidationError as error:
        if error.parameter == "thinking":
            error.message += "; leave --thinking/--no-thinking out"
        raise
    _check_room(info, prepared, options)
    return prepared


def _question(info: EngineInfo, options: RunOptions) -> Question:
    """Without a chat template the prompt goes to the model as it is."""
    answer = AnswerOptions(options.sampling, options.max_tokens, options.stops, structure=options.structure)
    if options.use_chat_template and info.has_chat_template:
        system = () if options.system is None else (Message("system", options.system),)
        return ChatQuestion((*system, Message("user", options.prompt)), answer, thinking=options.thinking)
    if options.system is not None or options.thinking is not None:
        raise ValidationError("--system and --thinking need a chat template; this run does not use one")
    return TextQuestion(options.prompt, answer)


def _check_room(info: EngineInfo, prepared: Prepared, options: RunOptions) -> None:
    """A limit that the context has no room for is refused: whoever names it should know what they get."""
    room = None if info.context_length is None else info.context_length - prepared.prompt_tokens
    if options.max_tokens is not None and room is not None and options.max_tokens > room:
        raise ValidationError(
            f"--max-tokens {options.max_tokens} does not fit: beside the prompt this model's context has room for"
            f" {room} tokens"
        )


def describe(sampling: Sampling) -> str:
    """The sampling in words, for people who asked to see it."""
    if sampling.temperature == 0:
        return "greedy"
    parts = [f"temperature {sampling.temperature:g}"]
    parts += [f"top-p {sampling.top_p:g}"] if sampling.top_p < 1 else []
    parts += [f"top-k {sampling.top_k}"] if sampling.top_k else []
    parts += [f"min-p {sampling.min_p:g}"] if sampling.min_p else []
    parts += [f"seed {sampling.seed}"] if sampling.seed is not None else []
    return ", ".join(parts)
