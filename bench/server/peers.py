"""Who takes part when the server is measured: engines without a server, ours, and other servers."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

from bench.engine.children import Child, module
from bench.engine.exchanges import Answer
from bench.engine.models import BenchModel
from bench.engine.requests import chat
from bench.engine.servers import KNIFE, OWN, PEER, Arena, Server, knife_command
from bench.engine.volleys import Volley, Volleyed

ENGINE, WORKER = "engine, in process", "engine, in a worker"
SERVERS = (OWN, PEER, KNIFE)
LABELS = (ENGINE, WORKER, *SERVERS)
ABSENT = {KNIFE: "not installed"}
_WORDS = 12
"""Of each prompt."""
_WARMING = 8
_REST = 0.1
"""Seconds before each is asked: BLAS threads of the one before spin for a while after their last product."""


@dataclass(frozen=True, slots=True)
class One:
    """One answer: seconds to its first text and to its end."""

    first: float
    total: float


class Field:
    """All of them, loaded with one model and warm, until the end of a `with`; `others` are asked beside them."""

    def __init__(self, home: Path, model: BenchModel, others: Sequence[str] = ()) -> None:
        self._others = others
        self._home = home
        self._model = model
        self._stack = ExitStack()
        self.engines: dict[str, Child] = {}
        self.servers: dict[str, Server] = {}

    def __enter__(self) -> "Field":
        with ExitStack() as stack:
            self.arena = stack.enter_context(Arena(self._home))
            for label, kind in ((ENGINE, "in-process"), (WORKER, "worker")):
                argv = module("inprocess", str(self._model.folder), "--engine", kind)
                self.engines[label] = stack.enter_context(Child(f"{label} {self._model.key}", argv, self._home))
                for at_once in (1, 4):
                    self.volley(label, at_once, _WARMING)
            for label in (*SERVERS, *self._others):
                if label != KNIFE or knife_command():
                    self.servers[label] = self.arena.start(label, self._model)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def labels(self) -> list[str]:
        """Who is there."""
        return [*self.engines, *self.servers]

    def volley(self, label: str, streams: int, tokens: int) -> tuple[int, float]:
        """Tokens that came from so many streams of equal length, and the seconds until the last."""
        time.sleep(_REST)
        prompts = self.arena.prompts.several(streams, _WORDS)
        if label in self.engines:
            volleyed = self._ask_engine(label, prompts, tokens)
            return volleyed.tokens, volleyed.seconds
        server = self.servers[label]
        outcome = self.arena.ask(server, server.errand([chat(prompt, tokens) for prompt in prompts], streams))
        return outcome.tokens, outcome.seconds

    def one(self, label: str, tokens: int, *, stream: bool) -> One:
        """A single answer, nothing else under way."""
        time.sleep(_REST)
        prompt = self.arena.prompts.take(_WORDS)
        if label in self.engines:
            volleyed = self._ask_engine(label, [prompt], tokens)
            return One(volleyed.first, volleyed.seconds)
        server = self.servers[label]
        answer: Answer = self.arena.ask(server, server.errand([chat(prompt, tokens, stream=stream)])).answers[0]
        return One(answer.first, answer.total)

    def _ask_engine(self, label: str, prompts: list[str], tokens: int) -> Volleyed:
        volley = Volley(tuple(prompts), tokens, len(prompts))
        return Volleyed.parse(self.engines[label].ask(asdict(volley)))
