"""The `Attachment` port in memory: every server can load every model of a dictionary."""

from collections.abc import Mapping, Sequence

from mlxk2.adapters.memory.engine import MemoryEngine
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import Engine, EngineInfo, EngineStats, LoadOptions, RequestId, Watch, unwatched
from mlxk2.ports.errors import Conflict, EngineFailure, ModelNotFound, ServerGone
from mlxk2.ports.generation import Failed, GenerationRequest, Sink
from mlxk2.ports.held import Held, HeldModel
from mlxk2.ports.servers import RunningServer


class MemoryAttachment:
    """`models` are engines by `name@commit`; the servers load them when they are asked to.

    `budget` is what is said of each. `gone` holds the urls of servers that cannot be reached. `opened` is what was
    asked for.
    """

    def __init__(
        self, models: Mapping[str, MemoryEngine], *, budget: int | None = None, gone: Sequence[str] = ()
    ) -> None:
        self.models = dict(models)
        self.gone = set(gone)
        self.opened: list[tuple[RunningServer, str]] = []
        self._budget = budget
        self._loaded: dict[str, dict[str, MemoryEngine]] = {}

    def open(self, server: RunningServer, model: str, watch: Watch = unwatched) -> tuple[Engine, int | None]:
        loaded = self._reach(server)
        self.opened.append((server, model))
        if model not in self.models:
            raise ModelNotFound(f"The server has no model '{model}'; see what there is with 'mlxk2 list'")
        if model not in loaded:
            self.models[model].load(LoadOptions(), watch)
            loaded[model] = self.models[model]
        return _Attached(loaded[model]), self._budget

    def held(self, server: RunningServer) -> Held:
        loaded = self._reach(server)
        models = tuple(_held_model(model, engine) for model, engine in loaded.items())
        return Held(models, None, sum(model.bytes for model in models), 0)

    def unload(self, server: RunningServer, model: str, *, force: bool) -> tuple[str, ...]:
        loaded = self._reach(server)
        meant = tuple(key for key in loaded if model in (key, key.partition("@")[0]))
        if not meant:
            raise ModelNotFound(f"The server has not loaded '{model}'; see what it holds with 'mlxk2 ps'")
        busy = [key for key in meant if _at_work(loaded[key].stats())]
        if busy and not force:
            raise Conflict(f"'{busy[0]}' is answering; wait, or end it with --force")
        for key in meant:
            loaded.pop(key).close()
        return meant

    def _reach(self, server: RunningServer) -> dict[str, MemoryEngine]:
        if server.url in self.gone:
            raise ServerGone(f"The server at {server.url} cannot be reached")
        return self._loaded.setdefault(server.url, {})


class _Attached:
    """One program's view of an engine that others use, too."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._started: set[RequestId] = set()
        self._closed = False

    def info(self) -> EngineInfo:
        return self._engine.info()

    def stats(self) -> EngineStats:
        return self._engine.stats()

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        return self._engine.render(messages, tools, options)

    def tokenize(self, text: str) -> list[int]:
        return self._engine.tokenize(text)

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._engine.detokenize(tokens)

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        if self._closed:
            sink(Failed(EngineFailure("This engine is closed: attach to the server again")))
            return 0
        request_id = self._engine.start(request, sink)
        self._started.add(request_id)
        return request_id

    def cancel(self, request_id: RequestId) -> None:
        if request_id in self._started:
            self._engine.cancel(request_id)

    def close(self) -> None:
        """Ends what was started here, and nothing else; what is over already does not notice."""
        self._closed = True
        for request_id in tuple(self._started):
            self._engine.cancel(request_id)


def _held_model(model: str, engine: Engine) -> HeldModel:
    name, _, revision = model.partition("@")
    info, stats = engine.info(), engine.stats()
    return HeldModel(
        model=name,
        revision=revision,
        state="loaded",
        stage="",
        bytes=info.weights_bytes,
        resident_bytes=stats.resident_bytes,
        busy=_at_work(stats),
        waiting=0,
        tokens_per_second=0.0,
        generated_tokens=stats.generated_tokens,
        idle_seconds=None if _at_work(stats) else 0.0,
        expires_in=None,
        pinned=False,
        restarts=stats.restarts,
        context_length=info.context_length,
    )


def _at_work(stats: EngineStats) -> int:
    return stats.waiting + stats.prefilling + stats.decoding
