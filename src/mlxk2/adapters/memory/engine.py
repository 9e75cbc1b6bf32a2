"""The `Engine` port without a model: answers follow a script, tokens are single characters.

Each request runs in a thread of its own, so that callers meet the same timing as with a real model: events arrive while
they do other things, and a cancelled request ends at its next token.
"""

import threading
from collections.abc import Callable, Sequence

from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo, EngineStats, LoadOptions, RequestId, Watch, unwatched
from mlxk2.ports.errors import OperationError
from mlxk2.ports.generation import Delta, Failed, Finished, FinishReason, GenerationRequest, Sink

Script = Callable[[str], str]
"""The prompt as text → the whole answer."""


class MemoryEngine:
    """Answers `script(prompt)`, one character a token, up to the request's limit."""

    def __init__(self, script: Script, *, has_chat_template: bool = True) -> None:
        self._script = script
        self._info = EngineInfo(has_chat_template, has_thinking_switch=False, vocab_size=0x110000)
        self._cancelled: set[RequestId] = set()
        self._threads: list[threading.Thread] = []
        self.requests: list[GenerationRequest] = []
        self.closed = False

    def info(self) -> EngineInfo:
        return self._info

    def stats(self) -> EngineStats:
        return EngineStats()

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        del tools, options
        return RenderedPrompt(
            tuple(self.tokenize("".join(f"{message.role}: {message.content}\n" for message in messages)))
        )

    def detokenize(self, tokens: Sequence[int]) -> str:
        return "".join(chr(token) for token in tokens)

    def tokenize(self, text: str) -> list[int]:
        return [ord(char) for char in text]

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        request_id = len(self._threads) + 1
        self.requests.append(request)
        thread = threading.Thread(target=self._serve, args=(request_id, request, sink), daemon=True)
        self._threads.append(thread)
        thread.start()
        return request_id

    def cancel(self, request_id: RequestId) -> None:
        self._cancelled.add(request_id)

    def close(self) -> None:
        self.closed = True
        self._cancelled.update(range(1, len(self._threads) + 1))
        for thread in self._threads:
            thread.join()

    def _serve(self, request_id: RequestId, request: GenerationRequest, sink: Sink) -> None:
        prompt = "".join(chr(token) for token in request.prompt)
        try:
            answer = self._script(prompt)
        except OperationError as error:
            sink(Failed(error))
            return
        reason = FinishReason.STOP if len(answer) < request.max_tokens else FinishReason.LENGTH
        made = 0
        for char in answer[: request.max_tokens]:
            if request_id in self._cancelled:
                reason = FinishReason.CANCELLED
                break
            made += 1
            sink(Delta(char, made))
        if reason is FinishReason.STOP:
            made += 1
        sink(Finished(reason, len(request.prompt), made, 0.25, 0.5))


class MemoryEngineLoader:
    """The `EngineLoader` port: hands out one engine, and remembers what was asked for."""

    def __init__(self, engine: MemoryEngine) -> None:
        self._engine = engine
        self.loaded: list[tuple[str, LoadOptions]] = []

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> MemoryEngine:
        del watch
        self.loaded.append((location, options))
        return self._engine
