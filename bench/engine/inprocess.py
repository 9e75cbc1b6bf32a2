"""Our engine in a child of its own, driven through its port: `start` with a sink that counts."""

import argparse
import threading
import time
from collections import deque
from dataclasses import asdict
from typing import Any

from bench.engine.children import serve
from bench.engine.loading import KINDS, PREFIX_CACHE_BYTES, load_engine
from bench.engine.volleys import Volley, Volleyed
from mlxk2.ports.conversation import Message, RenderOptions
from mlxk2.ports.engine import Engine
from mlxk2.ports.generation import Delta, Event, Failed, Finished, GenerationRequest


class Drive:
    """Keeps `at_once` requests in the engine until all are answered: each that ends starts the next."""

    def __init__(self, engine: Engine, requests: deque[GenerationRequest]) -> None:
        self._engine = engine
        self._waiting = requests
        self._unfinished = len(requests)
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._failure: Failed | None = None
        self.generated = 0
        self.first = 0.0
        """When the first text came, 0 before."""

    def run(self, at_once: int) -> None:
        for _ in range(min(at_once, len(self._waiting))):
            self._start()
        self._done.wait()
        if self._failure is not None:
            raise self._failure.error

    def _start(self) -> None:
        try:
            request = self._waiting.popleft()
        except IndexError:
            return
        self._engine.start(request, self._take)

    def _take(self, event: Event) -> None:
        if not isinstance(event, Finished | Failed):
            if not self.first and isinstance(event, Delta) and event.text:
                self.first = time.perf_counter()
            return
        with self._lock:
            self._unfinished -= 1
            if isinstance(event, Finished):
                self.generated += event.generated_tokens
            else:
                self._failure = event
            if not self._unfinished:
                self._done.set()
        self._start()


def answer(engine: Engine, question: Any) -> dict[str, object]:
    volley = Volley.parse(question)
    plain = RenderOptions(thinking=False) if engine.info().has_thinking_switch else RenderOptions()
    rendered = [engine.render([Message("user", prompt)], options=plain) for prompt in volley.prompts]
    requests = deque(GenerationRequest(one.tokens, volley.tokens, borders=one.borders) for one in rendered)
    drive = Drive(engine, requests)
    started, processor = time.perf_counter(), time.process_time()
    drive.run(volley.at_once)
    ended, worked = time.perf_counter(), time.process_time() - processor
    return asdict(Volleyed(drive.generated, (drive.first or ended) - started, ended - started, worked))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.engine.inprocess", description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--engine", choices=KINDS, default="in-process")
    parser.add_argument("--prefix-cache-bytes", type=int, default=PREFIX_CACHE_BYTES)
    args = parser.parse_args()
    engine = load_engine(args.engine, args.folder, args.prefix_cache_bytes)
    serve(lambda question: answer(engine, question))
    engine.close()


if __name__ == "__main__":
    main()
