"""`run`: load one model and let it answer one prompt."""

from dataclasses import dataclass, field

from mlxk2.domain.answer import Answer
from mlxk2.domain.compatibility import judge_runtime
from mlxk2.domain.inspection import Inspector, Located, ModelSummary
from mlxk2.domain.metadata import context_length
from mlxk2.domain.names import DEMO_ALIAS, DEMO_NAME, parse_reference
from mlxk2.domain.sampling import SamplingChoice, check_choice, decide
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.stopping import check_stops
from mlxk2.domain.subject import Subject
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.conversation import Message, RenderOptions
from mlxk2.ports.engine import Engine, EngineLoader, LoadOptions, RequestId, RuntimeCatalogue
from mlxk2.ports.errors import ModelNotFound, OperationError, ValidationError
from mlxk2.ports.generation import GenerationRequest, Sampling, Sink


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asked for. `max_tokens` None means: until the model ends or the context is full.

    `thinking` None leaves it to the model's chat template whether it reasons before it answers.
    """

    prompt: str
    system: str | None = None
    max_tokens: int | None = None
    sampling: SamplingChoice = field(default_factory=SamplingChoice)
    stops: tuple[str, ...] = ()
    use_chat_template: bool = True
    thinking: bool | None = None
    trust_remote_code: bool = False


class RunSession:
    """A loaded model with one prompt ready to go. Close it when done."""

    def __init__(self, name: str, engine: Engine, request: GenerationRequest, stops: tuple[str, ...]) -> None:
        self.name = name
        self.request = request
        self.answer = Answer(stops)
        self._engine = engine
        self._request_id: RequestId | None = None

    def start(self, sink: Sink) -> None:
        self._request_id = self._engine.start(self.request, sink)

    def cancel(self) -> None:
        if self._request_id is not None:
            self._engine.cancel(self._request_id)

    def close(self) -> None:
        self._engine.close()


class RunModel:
    def __init__(
        self, cache: ModelCache, inspector: Inspector, runtime: RuntimeCatalogue, loader: EngineLoader
    ) -> None:
        self._cache = cache
        self._inspector = inspector
        self._runtime = runtime
        self._loader = loader

    def open(self, reference: str, options: RunOptions) -> RunSession:
        """Everything that can be wrong is found here, before the first token.

        Raises ValidationError, ModelNotFound, AmbiguousMatch, or OperationError with the reason why the model does not
        run.
        """
        _check(options)
        located = self._locate(reference)
        summary, subject = self._inspector.judge(located)
        if subject is None or not summary.health.healthy:
            raise OperationError(_unhealthy(summary, reference))
        self._check_runtime(summary, subject, options)
        snapshot = subject.snapshot
        location = self._cache.location(located.repo.folder, snapshot.commit)
        engine = self._loader.load(location, LoadOptions(options.trust_remote_code))
        try:
            return RunSession(summary.name, engine, _request(engine, snapshot, options), options.stops)
        except BaseException:
            engine.close()
            raise

    def _locate(self, reference: str) -> Located:
        parsed = parse_reference(reference)
        try:
            return self._inspector.locate(parsed)
        except ModelNotFound as error:
            if not parsed.exact and not parsed.revision:
                error.message += f", or download it with: mlxk2 pull {reference}"
            raise

    def _check_runtime(self, summary: ModelSummary, subject: Subject, options: RunOptions) -> None:
        verdict = judge_runtime(
            subject, summary.classification, self._runtime, trust_remote_code=options.trust_remote_code
        )
        if verdict.reason:
            code = subject.snapshot.config.get("model_file") is not None and not options.trust_remote_code
            step = "; only if you trust its author, add --trust-remote-code" if code else ""
            raise OperationError(f"'{summary.name}' cannot run here: {verdict.reason}{step}")


def _check(options: RunOptions) -> None:
    if not options.prompt.strip():
        raise ValidationError('The prompt is empty; write it after the model: mlxk2 run <model> "your question"')
    if options.max_tokens is not None and options.max_tokens < 1:
        raise ValidationError(f"--max-tokens {options.max_tokens} is out of range: it must be 1 or more")
    stops = (("--stop", stop) for stop in options.stops)
    for option, text in (("The prompt", options.prompt), ("--system", options.system or ""), *stops):
        if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
            raise ValidationError(f"{option} is not valid UTF-8 text; check the terminal's encoding")
    check_choice(options.sampling)
    check_stops(options.stops)


def _unhealthy(summary: ModelSummary, reference: str) -> str:
    revision = f"@{summary.commit[:12]}" if summary.commit and "@" in reference else ""
    name = DEMO_ALIAS if summary.name == DEMO_NAME else f"{summary.name}{revision}"
    return f"'{summary.name}' is unhealthy: {summary.health.reason}; repair it with: mlxk2 pull {name} --repair"


def _request(engine: Engine, snapshot: Snapshot, options: RunOptions) -> GenerationRequest:
    prompt = tuple(_prompt_tokens(engine, options))
    if not prompt:
        raise ValidationError("The prompt has no tokens for this model; write some text")
    limit = context_length(snapshot.config)
    if limit is not None and len(prompt) >= limit:
        raise ValidationError(
            f"The prompt has {len(prompt)} tokens, and this model's context holds {limit} with the answer;"
            " shorten the prompt"
        )
    room = None if limit is None else limit - len(prompt)
    sampling = decide(options.sampling, snapshot.json_object("generation_config.json"))
    return GenerationRequest(prompt, _token_limit(options.max_tokens, room), sampling)


_UNKNOWN_CONTEXT = 4096


def _token_limit(asked: int | None, room: int | None) -> int:
    """What the user asked for within the context's room; where the config names no context, 4,096 tokens."""
    if room is None:
        return asked or _UNKNOWN_CONTEXT
    if asked is not None and asked > room:
        raise ValidationError(
            f"--max-tokens {asked} does not fit: beside the prompt this model's context has room for {room} tokens"
        )
    return asked or room


def _prompt_tokens(engine: Engine, options: RunOptions) -> list[int]:
    if options.thinking is not None and not engine.info().has_thinking_switch:
        raise ValidationError(
            "This model's chat template has no switch for thinking; leave --thinking/--no-thinking out"
        )
    if not options.use_chat_template or not engine.info().has_chat_template:
        if options.system is not None or options.thinking is not None:
            raise ValidationError("--system and --thinking need a chat template; this run does not use one")
        return engine.tokenize(options.prompt)
    messages = [Message("user", options.prompt)]
    if options.system is not None:
        messages.insert(0, Message("system", options.system))
    return list(engine.render(messages, options=RenderOptions(options.thinking)).tokens)


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
