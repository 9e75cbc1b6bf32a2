"""The engine's thread, and the loader that hands engines out.

One thread serves all requests step by step, as a real engine does, so that whatever stands above meets the same order
of events: many answers at once, cancellation at the next step, `Stepped` after each. A test that wants to hold the
engine at some point blocks in its script or in its watch.
"""

import contextlib
import threading
from collections.abc import Callable, Sequence

from mlxk2.adapters.memory.engine.answers import (
    MEMORY_INFO,
    Script,
    Scripts,
    StructuredScript,
    no_structures,
    text_of_tokens,
)
from mlxk2.adapters.memory.engine.batch import ORDINARY, Batch, Manner
from mlxk2.adapters.memory.engine.prefixes import PrefixBook
from mlxk2.adapters.memory.engine.rendering import opening, rendered
from mlxk2.adapters.memory.engine.row import Row
from mlxk2.ports.checking import check_tokens
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo, EngineStats, Loading, LoadOptions, RequestId, Stepped, Watch, unwatched
from mlxk2.ports.errors import EngineFailure, ValidationError
from mlxk2.ports.generation import Failed, GenerationRequest, Sink


class MemoryEngine:
    """Answers `script(prompt)`, one character a token, up to the request's limit or the context's end.

    `structured` answers requests with a structure; `info` is what the engine says of itself, and binds it too: its
    vocabulary, its context length, its rows. `manner` slows the reading of prompts down or breaks the engine on the
    way. `requests` are all that were started, the wrong ones too.
    """

    def __init__(
        self,
        script: Script,
        *,
        structured: StructuredScript = no_structures,
        info: EngineInfo = MEMORY_INFO,
        manner: Manner = ORDINARY,
    ) -> None:
        self._scripts = Scripts(script, structured)
        self._model = info
        self._manner = manner
        self._condition = threading.Condition()
        self._thread: threading.Thread | None = None
        self.requests: list[GenerationRequest] = []
        self._open(LoadOptions(), unwatched)

    def load(self, options: LoadOptions, watch: Watch = unwatched) -> None:
        """Begin anew with these options, as a model that is loaded again: closed before, open afterwards."""
        self.close()
        with contextlib.suppress(Exception):
            watch(Loading("reading the script"))
        self._open(options, watch)

    def info(self) -> EngineInfo:
        return self._info

    def stats(self) -> EngineStats:
        return self._batch.stats(len(self._arrivals))

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        tokens = self.tokenize(rendered(self._info, messages, tools, options))
        return RenderedPrompt(tuple(tokens), opens_reasoning=bool(opening(self._info, options)))

    def detokenize(self, tokens: Sequence[int]) -> str:
        check_tokens("tokens", tuple(tokens), self._info.vocab_size)
        return text_of_tokens(tokens)

    def tokenize(self, text: str) -> list[int]:
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise ValidationError("The text is not valid Unicode: it holds half a surrogate pair; correct its encoding")
        return [ord(char) for char in text]

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        with self._condition:
            self._last_id += 1
            row = Row(self._last_id, request, sink)
            self.requests.append(request)
            accepted = not self.closed
            if accepted:
                self._arrivals.append(row)
                self._wake()
        if not accepted:
            with contextlib.suppress(Exception):
                sink(Failed(EngineFailure("This engine is closed: load the model again")))
        return row.request_id

    def cancel(self, request_id: RequestId) -> None:
        with self._condition:
            if request_id <= self._last_id:
                self._cancelled.add(request_id)

    def close(self) -> None:
        with self._condition:
            self.closed = True
            self._condition.notify_all()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _open(self, options: LoadOptions, watch: Watch) -> None:
        lengths = [length for length in (self._model.context_length, options.context_length) if length is not None]
        self._info = self._model._replace(
            max_rows=min(self._model.max_rows, options.max_rows),
            context_length=min(lengths, default=None),
        )
        prefixes = PrefixBook(options.prefix_cache_bytes, sum(layer.bytes_per_token for layer in self._info.kv.layers))
        self._batch = Batch(self._scripts, self._info, prefixes, self._manner)
        self._watch = watch
        self._arrivals: list[Row] = []
        self._cancelled: set[RequestId] = set()
        self._last_id = 0
        self._thread = None
        self.closed = False

    def _wake(self) -> None:
        """The thread begins with the first request, so that an engine nobody asks needs no closing."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="memory-engine", daemon=True)
            self._thread.start()
        self._condition.notify_all()

    def _serve(self) -> None:
        broken: EngineFailure | None = None
        try:
            while self._has_work():
                self._turn()
        except BaseException as error:  # noqa: BLE001 - nobody may wait for ever, whatever it is
            broken = EngineFailure(f"The engine broke: {error or type(error).__name__}; load the model again")
        with self._condition:
            self.closed = True
        self._batch.end(self._arrivals, broken)

    def _turn(self) -> None:
        with self._condition:
            arrivals, self._arrivals = self._arrivals, []
            cancelled, self._cancelled = self._cancelled, set()
        self._batch.step(arrivals, cancelled)
        with contextlib.suppress(BaseException):  # whoever watches does not stop what is watched
            self._watch(Stepped(self._batch.busy))

    def _has_work(self) -> bool:
        """Waits until there is some, or until the engine is closed, which ends it all."""
        with self._condition:
            self._condition.wait_for(lambda: self._arrivals or self._batch.busy or self.closed)
            return not self.closed


class MemoryEngineLoader:
    """The `EngineLoader` port: hands out one engine, or what a function makes of each location.

    `loaded` is what was asked for. An engine that is handed out again begins anew.
    """

    def __init__(self, engine: MemoryEngine | Callable[[str], MemoryEngine]) -> None:
        self._engine = engine
        self.loaded: list[tuple[str, LoadOptions]] = []

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> MemoryEngine:
        self.loaded.append((location, options))
        engine = self._engine if isinstance(self._engine, MemoryEngine) else self._engine(location)
        engine.load(options, watch)
        return engine
