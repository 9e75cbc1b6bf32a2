"""Requests that end other servers of this kind for good, sent into the middle of sixteen good streams.

Each is known to have killed a server, to have corrupted its neighbours or to have made everybody wait. Here each gets
its answer or its own clear error, through the gate that `run` and a server use, and the sixteen lose no character.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.resources import files
from typing import Any

import pytest

from mlxk2.adapters.mlx.engine import MlxEngineLoader
from mlxk2.adapters.system import SystemClock, SystemMachine
from mlxk2.adapters.worker.engine import WorkerLoader
from mlxk2.domain.stopping import check_stops
from mlxk2.domain.usecases.serve_requests import RequestGate, gate_before
from mlxk2.ports.conversation import Message, Tool
from mlxk2.ports.engine import Engine, EngineLoader, LoadOptions
from mlxk2.ports.errors import Mlxk2Error, OperationError, ValidationError
from mlxk2.ports.generation import Delta, Event, Failed, Finished, GenerationRequest, Sampling, Structure
from mlxk2.testing.contracts.engine.listening import WAIT_SECONDS

DEMO = str(files("mlxk2") / "assets" / "demo")
CONTEXT = 2048
NEVER_ENDS = ((0, -100.0), (2, -100.0))
QUESTIONS = ("hello", "What is 2 + 3?", "How do I list my models?", "How do I delete a model?")

LOADERS: dict[str, Callable[[], EngineLoader]] = {
    "in process": lambda: MlxEngineLoader(SystemMachine()),
    "in a worker": WorkerLoader,
}


class Stream:
    """One request at the gate, and what came back."""

    def __init__(self, gate: RequestGate, request: GenerationRequest) -> None:
        self.events: list[Event] = []
        self._ended = threading.Event()
        self.under_way = threading.Event()
        gate.submit(request, self._hear)

    def _hear(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Delta) and event.generated_tokens > 3:
            self.under_way.set()
        if isinstance(event, (Finished, Failed)):
            self.under_way.set()
            self._ended.set()

    @property
    def has_ended(self) -> bool:
        return self._ended.is_set()

    def end(self) -> Event:
        assert self._ended.wait(WAIT_SECONDS)
        return self.events[-1]

    def text(self) -> str:
        assert isinstance(self.end(), Finished)
        return "".join(event.text for event in self.events if isinstance(event, Delta))


@pytest.fixture(scope="module", params=LOADERS.values(), ids=list(LOADERS))
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    options = LoadOptions(context_length=CONTEXT, prefix_cache_bytes=64_000_000)
    with closing(request.param().load(DEMO, options)) as engine:
        yield engine


@pytest.fixture(scope="module")
def gate(engine: Engine) -> RequestGate:
    return gate_before(engine, None, SystemClock(), threading.RLock())


@pytest.fixture(scope="module")
def sixteen(engine: Engine) -> list[GenerationRequest]:
    prompts = [engine.render([Message("user", question)]).tokens for question in QUESTIONS]
    sampling = Sampling(logit_bias=NEVER_ENDS)
    return [GenerationRequest(prompt[i:], 150, sampling) for prompt in prompts for i in range(4)]


@pytest.fixture(scope="module")
def quiet(gate: RequestGate, sixteen: list[GenerationRequest]) -> list[str]:
    """The sixteen's texts with nobody else there."""
    return [stream.text() for stream in [Stream(gate, request) for request in sixteen]]


def _sampled(engine: Engine, **changes: Any) -> GenerationRequest:
    prompt = engine.render([Message("user", QUESTIONS[0])]).tokens
    return GenerationRequest(prompt, 8, Sampling(temperature=1.0, seed=1)._replace(**changes))


def _structured(engine: Engine, kind: Any, text: str) -> GenerationRequest:
    return _sampled(engine)._replace(structure=Structure(kind, text))


def _rendered(engine: Engine, *messages: Any, tools: Any = ()) -> GenerationRequest:
    return GenerationRequest(engine.render(messages, tools).tokens, 8)


def _with_stops(engine: Engine, stops: Any) -> GenerationRequest:
    check_stops(stops)
    return _sampled(engine)


Make = Callable[[Engine], GenerationRequest]

REFUSED: dict[str, Make] = {
    "an empty prompt": lambda engine: GenerationRequest(tuple(engine.tokenize("")), 8),
    "a prompt of several texts": lambda _: GenerationRequest(("hi", "yo"), 8),  # type: ignore[arg-type]
    "a stop string that is a number": lambda engine: _with_stops(engine, 5),
    "an empty stop string": lambda engine: _with_stops(engine, [""]),
    "a bias far outside the vocabulary": lambda engine: _sampled(engine, logit_bias=((2**40, 1.0),)),
    "a bias of a negative token": lambda engine: _sampled(engine, logit_bias=((-5, 1.0),)),
    "a token outside the vocabulary": lambda _: GenerationRequest((1, 10**6), 8),
    "no tokens": lambda engine: _sampled(engine)._replace(max_tokens=0),
    "fewer than no tokens": lambda engine: _sampled(engine)._replace(max_tokens=-1),
    "a prompt beyond the context": lambda _: GenerationRequest((5,) * CONTEXT, 8),
    "a temperature that is no number": lambda engine: _sampled(engine, temperature=float("nan")),
    "a seed that is a text": lambda engine: _sampled(engine, seed="dice"),
    "a schema that is no schema": lambda engine: _structured(engine, "json_schema", '{"type": "orange"}'),
    "a schema that is no JSON": lambda engine: _structured(engine, "json_schema", "{"),
    "a schema that refers to itself for ever": lambda engine: _structured(
        engine, "json_schema", '{"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/a"}}}'
    ),
    "an expression with an open bracket": lambda engine: _structured(engine, "regex", "(a"),
    "a grammar with an unknown rule": lambda engine: _structured(engine, "lark", "start: nowhere"),
    "half a character": lambda engine: GenerationRequest(tuple(engine.tokenize("\ud800")), 8),
    "a tool whose parameters are no schema": lambda engine: _rendered(
        engine, Message("user", "hi"), tools=[Tool("f", parameters="{")]
    ),
}
ANSWERED: dict[str, Make] = {
    "a top-k above the vocabulary": lambda engine: _sampled(engine, top_k=10**6),
    "a seed": lambda engine: _sampled(engine, seed=2**64 - 1),
    "log-probabilities": lambda engine: _sampled(engine)._replace(logprobs=20),
    "a prompt that was answered before": lambda engine: _sampled(engine, temperature=0.0),
    "the same prompt again": lambda engine: _sampled(engine, temperature=0.0),
    "a prompt of one token": lambda _: GenerationRequest((5,), 8),
    "a conversation without a question": lambda engine: _rendered(engine, Message("assistant", "hello")),
}


def _ask(gate: RequestGate, engine: Engine, make: Make) -> Event:
    try:
        return Stream(gate, make(engine)).end()
    except Mlxk2Error as error:
        return Failed(error)


def test_sixteen_good_streams_do_not_lose_a_character(
    gate: RequestGate, engine: Engine, sixteen: list[GenerationRequest], quiet: list[str]
) -> None:
    good = [Stream(gate, request) for request in sixteen]
    assert all(stream.under_way.wait(WAIT_SECONDS) for stream in good)
    outcomes: dict[str, Event] = {}
    amid = []
    for name, make in [*REFUSED.items(), *ANSWERED.items()]:
        if all(stream.has_ended for stream in good):
            assert [stream.text() for stream in good] == quiet
            good = [Stream(gate, request) for request in sixteen]
        amid.append(any(not stream.has_ended for stream in good))
        outcomes[name] = _ask(gate, engine, make)
    assert [stream.text() for stream in good] == quiet
    assert all(amid)
    refusals = {name: outcomes[name] for name in REFUSED}
    assert {name for name, end in refusals.items() if not isinstance(end, Failed)} == set()
    assert {
        name: end
        for name, end in refusals.items()
        if isinstance(end, Failed) and not isinstance(end.error, ValidationError | OperationError)
    } == {}
    assert {name for name in ANSWERED if not isinstance(outcomes[name], Finished)} == set()
    again = outcomes["the same prompt again"]
    assert isinstance(again, Finished)
    assert again.cached_tokens == again.prompt_tokens - 1


@pytest.mark.parametrize("make", REFUSED.values(), ids=REFUSED.keys())
def test_each_is_told_what_is_wrong_in_one_sentence(gate: RequestGate, engine: Engine, make: Make) -> None:
    end = _ask(gate, engine, make)
    assert isinstance(end, Failed)
    assert isinstance(end.error, ValidationError)
    assert end.error.message
    assert "\n" not in end.error.message
    assert "Traceback" not in end.error.message
    assert len(end.error.message) < 300
