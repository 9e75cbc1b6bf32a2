"""`run`: load one model and let it answer one prompt."""

from dataclasses import dataclass, field

from mlxk2.domain.admission import TicketId
from mlxk2.domain.answer import Answer
from mlxk2.domain.budget import MemoryPlan, check_fit, plan_memory
from mlxk2.domain.compatibility import judge_runtime
from mlxk2.domain.inspection import Inspector, Located, ModelSummary
from mlxk2.domain.kv import row_bytes
from mlxk2.domain.kv_estimate import expected_cost
from mlxk2.domain.metadata import context_length
from mlxk2.domain.names import parse_reference
from mlxk2.domain.runnable import incompatible, unhealthy
from mlxk2.domain.sampling import SamplingChoice, check_choice, decide
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.stopping import check_stops
from mlxk2.domain.subject import Subject
from mlxk2.domain.usecases.serve_requests import GateMaker, RequestGate
from mlxk2.domain.weights import loaded_bytes
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.checking import check_request
from mlxk2.ports.conversation import Message, RenderOptions
from mlxk2.ports.engine import Engine, EngineLoader, LoadOptions, RuntimeCatalogue
from mlxk2.ports.errors import ModelNotFound, ValidationError
from mlxk2.ports.generation import GenerationRequest, Sampling, Sink
from mlxk2.ports.system import Machine


@dataclass(frozen=True, slots=True)
class RunOptions:
    """What the user asked for. `max_tokens` None means: until the model ends, or context or memory have no more room.

    `thinking` None leaves it to the model's chat template whether it reasons before it answers. `force_load` lifts all
    bounds of memory.
    """

    prompt: str
    system: str | None = None
    max_tokens: int | None = None
    sampling: SamplingChoice = field(default_factory=SamplingChoice)
    stops: tuple[str, ...] = ()
    use_chat_template: bool = True
    thinking: bool | None = None
    trust_remote_code: bool = False
    force_load: bool = False


class RunSession:
    """A loaded model with one prompt ready to go. Close it when done."""

    def __init__(self, name: str, gate: RequestGate, request: GenerationRequest, stops: tuple[str, ...]) -> None:
        self.name = name
        self.request = request
        self.answer = Answer(stops)
        self._gate = gate
        self._ticket: TicketId | None = None

    def start(self, sink: Sink) -> None:
        self._ticket = self._gate.submit(self.request, sink)

    def cancel(self) -> None:
        if self._ticket is not None:
            self._gate.cancel(self._ticket)

    def close(self) -> None:
        self._gate.close()


class RunModel:
    def __init__(
        self,
        cache: ModelCache,
        inspector: Inspector,
        runtime: RuntimeCatalogue,
        loader: EngineLoader,
        machine: Machine,
        gates: GateMaker,
    ) -> None:
        self._cache = cache
        self._inspector = inspector
        self._runtime = runtime
        self._loader = loader
        self._machine = machine
        self._gates = gates

    def open(self, reference: str, options: RunOptions) -> RunSession:
        """Everything that can be wrong is found here, before the first token.

        Raises ValidationError, ModelNotFound, AmbiguousMatch, ContextExceeded, NotEnoughMemory, or OperationError with
        the reason why the model does not run.
        """
        _check(options)
        located = self._locate(reference)
        summary, subject = self._inspector.judge(located)
        if subject is None or not summary.health.healthy:
            raise unhealthy(summary, reference)
        self._check_runtime(summary, subject, options)
        snapshot = subject.snapshot
        plan = self._plan(summary.name, snapshot, options)
        engine = self._loader.load(
            self._cache.location(located.repo.folder, snapshot.commit),
            LoadOptions(
                options.trust_remote_code,
                context_length=context_length(snapshot.config),
                memory_limit=plan.ceiling,
                max_rows=1,
            ),
        )
        try:
            held = engine.info().weights_bytes or loaded_bytes(snapshot)
            gate = self._gates(engine, plan.for_requests(held))
            return RunSession(summary.name, gate, _request(engine, gate, snapshot, options), options.stops)
        except BaseException:
            engine.close()
            raise

    def _plan(self, name: str, snapshot: Snapshot, options: RunOptions) -> MemoryPlan:
        """No bounds at all with `force_load`: whoever asks for it takes the risk."""
        if options.force_load:
            return MemoryPlan()
        weights = loaded_bytes(snapshot)
        plan = plan_memory(self._machine)
        check_fit(name, plan, weights, _expected_kv(snapshot, options))
        return plan

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
            raise incompatible(summary.name, verdict.reason, step)


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


def _expected_kv(snapshot: Snapshot, options: RunOptions) -> int:
    """What the answer that was asked for will take at least, in bytes; 0 where nobody can tell before loading."""
    cost = expected_cost(snapshot.config)
    if cost is None or options.max_tokens is None:
        return 0
    return row_bytes(cost, min(options.max_tokens, context_length(snapshot.config) or options.max_tokens))


def _request(engine: Engine, gate: RequestGate, snapshot: Snapshot, options: RunOptions) -> GenerationRequest:
    prompt = tuple(_prompt_tokens(engine, options))
    if not prompt:
        raise ValidationError("The prompt has no tokens for this model; write some text")
    check_request(GenerationRequest(prompt, 1), engine.info())
    limit = engine.info().context_length
    room = None if limit is None else limit - len(prompt)
    sampling = decide(options.sampling, snapshot.json_object("generation_config.json"))
    request = GenerationRequest(prompt, _token_limit(gate, len(prompt), room, options.max_tokens), sampling)
    gate.check(request)
    return request


_UNKNOWN_CONTEXT = 4096


def _token_limit(gate: RequestGate, prompt_tokens: int, room: int | None, asked: int | None) -> int:
    """What the user asked for, within the context's `room`; else as much as context and memory have room for.

    Where the config names no context, 4,096 tokens.
    """
    if asked is not None and room is not None and asked > room:
        raise ValidationError(
            f"--max-tokens {asked} does not fit: beside the prompt this model's context has room for {room} tokens"
        )
    return asked or max(gate.room(prompt_tokens, room or _UNKNOWN_CONTEXT), 1)


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
