"""One loaded model in a thread of its own, which alone touches MLX (docs/ADR/0005).

Requests wait in a queue and are served one after the other; only plain Python values cross the thread's border.
"""

import itertools
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from typing import TypeVar

from mlxk2.adapters.mlx.loading import LoadedModel, end_streams, load_model, wired_memory
from mlxk2.adapters.mlx.rendering import has_thinking_switch, render
from mlxk2.adapters.mlx.sampling import make_processors, make_sampler
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo, EngineStats, LoadOptions, RequestId, Watch, unwatched
from mlxk2.ports.errors import Mlxk2Error, OperationError
from mlxk2.ports.generation import Delta, Event, Failed, Finished, FinishReason, GenerationRequest, Sink
from mlxk2.ports.system import Machine

T = TypeVar("T")
Job = Callable[[], None]


class MlxEngine:
    """The `Engine` port in this process. Made by `MlxEngineLoader`, which hands it the function that loads."""

    def __init__(self, load: Callable[[], LoadedModel]) -> None:
        self._jobs: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._ids = itertools.count(1)
        self._live: set[RequestId] = set()
        self._closed = False
        self._loaded: LoadedModel | None = None
        self._thread = threading.Thread(target=self._work, name="mlx-engine", daemon=True)
        self._thread.start()
        try:
            self._info = self._call(lambda: self._adopt(load()))
        except Exception:
            self.close()
            raise

    def info(self) -> EngineInfo:
        return self._info

    def stats(self) -> EngineStats:
        return EngineStats()

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        del tools
        return RenderedPrompt(
            tuple(self._call(lambda: render(self._model.tokenizer, messages, thinking=options.thinking)))
        )

    def detokenize(self, tokens: Sequence[int]) -> str:
        return self._call(lambda: str(self._model.tokenizer.decode(list(tokens))))

    def tokenize(self, text: str) -> list[int]:
        return self._call(lambda: [int(token) for token in self._model.tokenizer.encode(text)])

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        request_id = next(self._ids)
        self._live.add(request_id)
        started = time.perf_counter()
        self._jobs.put(lambda: self._serve(request_id, request, sink, started))
        return request_id

    def cancel(self, request_id: RequestId) -> None:
        self._live.discard(request_id)

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._live.clear()
        self._jobs.put(None)
        self._thread.join()

    @property
    def _model(self) -> LoadedModel:
        if self._loaded is None:
            raise OperationError("The model is not loaded")
        return self._loaded

    def _adopt(self, loaded: LoadedModel) -> EngineInfo:
        self._loaded = loaded
        return EngineInfo(
            has_chat_template=bool(loaded.tokenizer.has_chat_template),
            has_thinking_switch=has_thinking_switch(loaded.tokenizer),
            vocab_size=len(loaded.tokenizer),
        )

    def _call(self, work: Callable[[], T]) -> T:
        """Run `work` in the engine's thread and wait for its result."""
        future: Future[T] = Future()

        def job() -> None:
            try:
                future.set_result(work())
            except BaseException as error:  # noqa: BLE001 - whoever waits gets it, whatever it is
                future.set_exception(error)

        self._jobs.put(job)
        return future.result()

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            job()
        self._loaded = None
        end_streams()

    def _serve(self, request_id: RequestId, request: GenerationRequest, sink: Sink, started: float) -> None:
        try:
            for event in self._generate(request_id, request, started):
                sink(event)
        except Mlxk2Error as error:
            sink(Failed(error))
        except Exception as error:  # noqa: BLE001 - one request fails, the engine goes on
            sink(Failed(OperationError(f"The engine failed: {error}", details=type(error).__name__)))
        finally:
            self._live.discard(request_id)

    def _generate(self, request_id: RequestId, request: GenerationRequest, started: float) -> Iterator[Event]:
        tokens = 0
        first = 0.0
        reason = FinishReason.LENGTH
        detokenizer = self._model.tokenizer.detokenizer
        for token in self._tokens(request) if request_id in self._live else ():
            tokens += 1
            first = first or time.perf_counter() - started
            if token in self._model.tokenizer.eos_token_ids:
                reason = FinishReason.STOP
                break
            detokenizer.add_token(token)
            yield Delta(detokenizer.last_segment, tokens)
            if request_id not in self._live:
                break
        if request_id not in self._live and reason is not FinishReason.STOP:
            reason = FinishReason.CANCELLED
        detokenizer.finalize()
        if rest := detokenizer.last_segment:
            yield Delta(rest, tokens)
        yield Finished(reason, len(request.prompt), tokens, first, time.perf_counter() - started)

    def _tokens(self, request: GenerationRequest) -> Iterator[int]:
        import mlx.core as mx
        from mlx_lm.generate import generate_step

        steps = generate_step(
            mx.array(request.prompt),
            self._model.model,
            max_tokens=request.max_tokens,
            sampler=make_sampler(request.sampling, self._info.vocab_size),
            logits_processors=make_processors(request.sampling),
        )
        with wired_memory():
            for token, _ in steps:
                yield int(token)


class MlxEngineLoader:
    """The `EngineLoader` port."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> MlxEngine:
        del watch
        return MlxEngine(lambda: load_model(location, options, self._machine))
