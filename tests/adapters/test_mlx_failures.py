"""Steps that raise inside the MLX engine: who is saved, who is told, and what the engine is like afterwards.

The model is the real one; only its call is wrapped, so that it raises where a test says.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from importlib.resources import files
from typing import Any

import pytest

from mlxk2.adapters.mlx import caches
from mlxk2.adapters.mlx.batch import Batch, Taken
from mlxk2.adapters.mlx.core import Core
from mlxk2.adapters.mlx.engine import MlxEngine
from mlxk2.adapters.mlx.loading import LoadedModel, load_model
from mlxk2.adapters.mlx.structures import Matcher, StructureCompiler
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.errors import EngineFailure, ValidationError
from mlxk2.ports.generation import Delta, Failed, FinishReason, GenerationRequest, Sampling, Structure
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered, eventually

DEMO = str(files("mlxk2") / "assets" / "demo")
OPTIONS = LoadOptions(prefix_cache_bytes=64_000_000)
POISON = 700
"""A token that no good prompt here holds."""
QUESTIONS = ("hello", "What is 2 + 3?", "How do I list my models?", "How do I delete a model?")

When = Callable[[Any], bool]


class Fragile:
    """A model whose call raises when it is told to; everything else is the model's own."""

    def __init__(self, model: Any, switch: "Switch") -> None:
        self._model = model
        self._switch = switch

    def __call__(self, inputs: Any, cache: Any = None) -> Any:
        if self._switch.breaks(inputs):
            if self._switch.breaks_late:
                self._model(inputs, cache=cache)
            raise self._switch.error("[metal::malloc] no memory for this step")
        return self._model(inputs, cache=cache)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class Switch:
    """Tells a model when to break: the next `times` times that the condition holds, once it is on."""

    def __init__(self, condition: When) -> None:
        self.condition = condition
        self.times = 0
        self.loads = 0
        self.refuse_to_load = False
        self.breaks_late = False
        """After the pass has been put together: what was drawn before it has been told by then."""
        self.error: type[BaseException] = RuntimeError

    def breaks(self, inputs: Any) -> bool:
        if self.times and self.condition(inputs):
            self.times -= 1
            return True
        return False

    def load(self) -> LoadedModel:
        self.loads += 1
        if self.refuse_to_load:
            raise OSError("the weights are gone")
        loaded = load_model(DEMO, OPTIONS, SystemMachine())
        return LoadedModel(Fragile(loaded.model, self), loaded.tokenizer)


def many_decode(inputs: Any) -> bool:
    return bool(inputs.shape[0] > 8 and inputs.shape[1] == 1)


def holds_poison(inputs: Any) -> bool:
    return POISON in [token for row in inputs.tolist() for token in row]


@pytest.fixture
def switch() -> Switch:
    return Switch(many_decode)


@pytest.fixture
def engine(switch: Switch) -> Iterator[MlxEngine]:
    with closing(MlxEngine(switch.load, OPTIONS, SystemMachine())) as engine:
        yield engine


@pytest.fixture
def sixteen(engine: MlxEngine) -> list[GenerationRequest]:
    """Greedy, seeded, penalised and held to a form, so that all that a row carries along has to survive."""
    kinds: tuple[dict[str, Any], ...] = (
        {},
        {"sampling": Sampling(temperature=1.3, seed=11)},
        {"sampling": Sampling(repetition_penalty=1.2, frequency_penalty=0.4, presence_penalty=0.2)},
        {"structure": Structure("regex", "[a-z ]{30,60}"), "sampling": Sampling(temperature=1.0, seed=3)},
    )
    prompts = [engine.render([Message("user", question)]).tokens for question in QUESTIONS]
    return [GenerationRequest(prompt, 60)._replace(**kind) for prompt in prompts for kind in kinds]


def quiet_texts(engine: MlxEngine, requests: list[GenerationRequest]) -> list[str]:
    return [answered(engine, request).text for request in requests]


@pytest.mark.parametrize("late", [False, True])
def test_a_step_that_raises_costs_nobody_a_word(
    engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest], late: bool
) -> None:
    switch.breaks_late = late
    quiet = quiet_texts(engine, sixteen)
    listeners = [Listener(engine, request) for request in sixteen]
    switch.times = 1
    assert [listener.finished() and listener.text for listener in listeners] == quiet
    assert switch.times == 0
    assert engine.stats().restarts == 0
    assert switch.loads == 1


def test_steps_may_raise_again_and_again_with_good_ones_between(
    engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest]
) -> None:
    quiet = quiet_texts(engine, sixteen)
    calls = iter(range(10**6))
    switch.condition = lambda inputs: many_decode(inputs) and next(calls) % 7 == 6
    switch.times = 4
    listeners = [Listener(engine, request) for request in sixteen]
    assert [listener.finished() and listener.text for listener in listeners] == quiet
    assert switch.times < 3
    assert engine.stats().restarts == 0


def test_two_failures_in_a_row_load_the_model_again_and_the_requests_may_be_tried_again(
    engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest]
) -> None:
    quiet = quiet_texts(engine, sixteen)
    switch.condition = lambda inputs: bool(inputs.shape[1] == 1)
    listeners = [Listener(engine, request) for request in sixteen]
    switch.times = 10**6
    errors = [listener.failure() for listener in listeners]
    switch.times = 0
    assert all(isinstance(error, EngineFailure) for error in errors)
    assert "The engine failed: [metal::malloc] no memory for this step; try it again" in {
        error.message for error in errors
    }
    assert [answer.text for answer in all_answered(engine, sixteen)] == quiet
    assert engine.stats().restarts == switch.loads - 1 >= 1


def test_a_prompt_that_cannot_be_processed_fails_alone(
    engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest]
) -> None:
    quiet = quiet_texts(engine, sixteen)
    switch.condition = holds_poison
    switch.times = 10**6
    good = [Listener(engine, request) for request in sixteen[:8]]
    poisoned = Listener(engine, GenerationRequest((1, 5, POISON, 6, 7), 10))
    good += [Listener(engine, request) for request in sixteen[8:]]
    error = poisoned.failure()
    assert isinstance(error, EngineFailure)
    assert error.message == "The prompt could not be processed: [metal::malloc] no memory for this step; try it again"
    assert [listener.finished() and listener.text for listener in good] == quiet
    assert engine.stats().restarts == 0


def test_a_token_that_breaks_every_step_it_is_in_fails_its_own_request(
    engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest]
) -> None:
    """The first step fails for all, then each is processed alone and only the guilty one fails again."""
    quiet = quiet_texts(engine, sixteen)
    switch.condition = holds_poison
    switch.times = 10**6
    good = [Listener(engine, request) for request in sixteen]
    forced = Sampling(logit_bias=((POISON, 100.0),))
    guilty = Listener(engine, GenerationRequest((1, 5, 6, 7), 10, forced))
    assert isinstance(guilty.failure(), EngineFailure)
    assert [listener.finished() and listener.text for listener in good] == quiet
    assert engine.stats().restarts == 0


def test_a_model_that_cannot_be_loaded_again_fails_what_comes_until_it_can(
    engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest]
) -> None:
    switch.condition = lambda inputs: bool(inputs.shape[1] == 1)
    switch.times = 10**6
    switch.refuse_to_load = True
    for request in sixteen[:2]:
        assert isinstance(Listener(engine, request).failure(), EngineFailure)
    error = Listener(engine, sixteen[0]).failure()
    assert isinstance(error, EngineFailure)
    assert "could not be loaded again: the weights are gone" in error.message
    switch.times = 0
    switch.refuse_to_load = False
    assert answered(engine, sixteen[0]).text


def test_a_token_without_a_text_costs_nobody_a_word(
    engine: MlxEngine, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with a vocabulary that is larger than the tokenizer's, seen through log-probabilities."""
    quiet = quiet_texts(engine, sixteen)
    tokenizer = engine._core.text._tokenizer._tokenizer
    decode = type(tokenizer).decode

    def fails_alone(self: Any, tokens: list[int], **options: Any) -> Any:
        if len(tokens) == 1:
            raise OverflowError("no such token")
        return decode(self, tokens, **options)

    monkeypatch.setattr(type(tokenizer), "decode", fails_alone)
    asking = [request._replace(logprobs=3 if place % 4 == 0 else None) for place, request in enumerate(sixteen)]
    answers = all_answered(engine, asking)
    assert [answer.text for answer in answers] == quiet
    assert {chance.chosen.text for chance in answers[0].logprobs} == {""}


def test_tokens_that_cannot_be_read_are_drawn_again(
    engine: MlxEngine, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = quiet_texts(engine, sixteen)
    read = Batch.read
    calls = iter(range(10**6))

    def fails_once(self: Batch, text: Callable[[int], str]) -> list[Taken]:
        if next(calls) in (5, 6):  # the step's own reading, and the rescue's
            raise RuntimeError("the device was lost")
        return read(self, text)

    monkeypatch.setattr(Batch, "read", fails_once)
    assert [answer.text for answer in all_answered(engine, sixteen)] == quiet


@pytest.mark.parametrize("method", ["join", "merge"])
def test_newcomers_that_cannot_join_cost_nobody_a_word(
    method: str, engine: MlxEngine, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = quiet_texts(engine, sixteen)
    whole = getattr(caches, method)
    calls = iter(range(10**6))

    def fails_once(*arguments: Any) -> Any:
        if next(calls) == 1:
            raise MemoryError
        return whole(*arguments)

    monkeypatch.setattr(caches, method, fails_once)
    listeners = []
    for place, request in enumerate(sixteen):
        listeners.append(Listener(engine, request))
        if place % 4 == 3:
            listeners[-1].wait_for(Delta)
    assert [listener.finished() and listener.text for listener in listeners] == quiet


def test_rows_that_cannot_be_saved_are_told(
    engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = quiet_texts(engine, sixteen)
    listeners = [Listener(engine, request) for request in sixteen]
    whole = caches.new_caches
    short = iter([True])

    def no_memory(model: Any) -> Any:
        if switch.times == 0 and next(short, False):
            raise MemoryError
        return whole(model)

    switch.times = 1
    monkeypatch.setattr(caches, "new_caches", no_memory)
    ends = [listener.end() for listener in listeners]
    assert any(isinstance(end, Failed) for end in ends)
    assert all(isinstance(end.error, EngineFailure) for end in ends if isinstance(end, Failed))
    assert eventually(lambda: engine.stats().decoding == 0)
    assert [answer.text for answer in all_answered(engine, sixteen)] == quiet


def test_rows_that_are_ready_when_the_engine_gives_up_are_told(engine: MlxEngine, switch: Switch) -> None:
    """Two prompts that fail alone, one after the other, in the turn in which another has just got its first token."""
    switch.condition = holds_poison
    switch.times = 10**6
    go_on = threading.Event()

    def wait() -> None:
        go_on.wait()

    engine._post(wait)
    prompts = [(1, 5, 6, 7), (1, 5, POISON, 6), (1, POISON, 5, 6)]
    listeners = [Listener(engine, GenerationRequest(prompt, 300)) for prompt in prompts]
    go_on.set()
    for listener in listeners:
        listener.end()
    switch.times = 0
    assert eventually(lambda: engine.stats().decoding == 0)
    assert answered(engine, GenerationRequest((1, 5, 6, 7), 3)).finished().generated_tokens


class Panic(BaseException):
    """As what is written in Rust raises."""


@pytest.mark.parametrize("kind", [SystemExit, Panic, MemoryError, NotImplementedError])
def test_whatever_a_model_raises_nobody_waits_for_ever(
    kind: type[BaseException], engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest]
) -> None:
    quiet = quiet_texts(engine, sixteen)
    switch.error = kind
    switch.condition = lambda inputs: bool(inputs.shape[1] == 1)
    switch.times = 40
    for listener in [Listener(engine, request) for request in sixteen]:
        listener.end()
    switch.times = 0
    assert [answer.text for answer in all_answered(engine, sixteen)] == quiet
    assert engine.stats().restarts == switch.loads - 1


def test_an_engine_that_breaks_outside_a_step_tells_everybody_and_refuses_what_comes(
    engine: MlxEngine, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    listeners = [Listener(engine, request._replace(max_tokens=1000)) for request in sixteen]
    listeners[0].wait_for(Delta)

    def breaks(_: object) -> None:
        raise Panic("the floor is gone")

    monkeypatch.setattr(Core, "turn", breaks)
    ends = [listener.end() for listener in listeners]
    failures = [end.error for end in ends if isinstance(end, Failed)]
    assert failures
    assert {error.message for error in failures} == {"The engine broke: the floor is gone; load the model again"}
    assert isinstance(Listener(engine, sixteen[0]).failure(), EngineFailure)
    engine.close()


def test_numbers_that_cannot_be_had_stop_nobody(
    engine: MlxEngine, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    quiet = quiet_texts(engine, sixteen)
    monkeypatch.setattr(Batch, "size_bytes", property(lambda _: 1 // 0))
    assert [answer.text for answer in all_answered(engine, sixteen)] == quiet


def test_what_was_computed_again_does_not_count_as_cached(engine: MlxEngine, switch: Switch) -> None:
    request = GenerationRequest((1, *range(50, 250)), 30, Sampling(logit_bias=((0, -100.0), (2, -100.0))))
    answered(engine, request)
    assert answered(engine, request).finished().cached_tokens > 150
    switch.condition = lambda inputs: bool(inputs.shape[1] == 1)
    listener = Listener(engine, request)
    listener.wait_for(Delta)
    switch.times = 1
    assert listener.finished().cached_tokens == 0
    assert switch.times == 0


def test_ctrl_c_does_not_wait_until_the_model_is_loaded() -> None:
    let_go = threading.Event()

    def loads_slowly() -> LoadedModel:
        os.kill(os.getpid(), signal.SIGINT)
        let_go.wait()
        raise OSError("too late")

    with pytest.raises(KeyboardInterrupt):
        MlxEngine(loads_slowly, OPTIONS, SystemMachine())
    let_go.set()


def test_a_structure_that_is_being_compiled_can_be_cancelled_and_counts_as_waiting(
    engine: MlxEngine, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    compiled = StructureCompiler.compile

    def slowly(self: StructureCompiler, structure: Structure) -> Matcher:
        go_on.wait()
        return compiled(self, structure)

    monkeypatch.setattr(StructureCompiler, "compile", slowly)
    held = Listener(engine, sixteen[0]._replace(structure=Structure("regex", "[a-z]{4}")))
    assert eventually(lambda: engine.stats().waiting == 1)
    assert answered(engine, sixteen[0]).text
    engine.cancel(held.request_id)
    assert held.finished().reason is FinishReason.CANCELLED
    assert eventually(lambda: engine.stats().waiting == 0)
    go_on.set()
    assert len(answered(engine, sixteen[0]._replace(structure=Structure("regex", "[a-z]{4}"))).text) == 4


def test_a_compiler_that_panics_fails_its_own_request(
    engine: MlxEngine, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch
) -> None:
    def panics(*_: object) -> Matcher:
        raise Panic("unreachable code")

    monkeypatch.setattr(StructureCompiler, "compile", panics)
    error = Listener(engine, sixteen[0]._replace(structure=Structure("regex", "a"))).failure()
    assert isinstance(error, EngineFailure)
    assert answered(engine, sixteen[0]).text


@pytest.mark.parametrize("method", ["consume", "problem"])
def test_a_structure_that_panics_in_the_middle_of_a_step_costs_nobody_a_word(
    engine: MlxEngine, sixteen: list[GenerationRequest], monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    quiet = quiet_texts(engine, sixteen)
    consume, problem = Matcher.consume, Matcher.problem
    assert isinstance(problem, property)
    panics = iter([False] * 40 + [True] + [False] * 10**5)
    again = iter([True] * (method == "problem") + [False] * 10**5)
    failing = threading.Event()

    def may_panic(self: Matcher, token: int) -> None:
        if next(panics):
            failing.set()
            raise Panic("unreachable code")
        consume(self, token)

    def problem_of(self: Matcher) -> Any:
        if failing.is_set() and next(again):
            raise Panic("unreachable code")
        return problem.__get__(self)

    monkeypatch.setattr(Matcher, "consume", may_panic)
    monkeypatch.setattr(Matcher, "problem", property(problem_of))
    assert [answer.text for answer in all_answered(engine, sixteen)] == quiet
    assert failing.is_set()


def test_a_structure_that_fails_half_way_is_told_in_one_sentence(engine: MlxEngine) -> None:
    request = GenerationRequest((5, 6, 7), 2000, structure=Structure("regex", "a{1000000}b"))
    error = Listener(engine, request).failure()
    assert isinstance(error, ValidationError)
    assert "\n" not in error.message
    assert len(error.message) < 350


def test_memory_of_a_cancelled_request_is_free_at_the_next_step(engine: MlxEngine) -> None:
    endless = Sampling(logit_bias=((0, -100.0), (2, -100.0)))
    long = Listener(engine, GenerationRequest((1, *range(50, 650)), 10**6, endless))
    short = Listener(engine, GenerationRequest((1, 5, 6), 10**6, endless))
    assert eventually(lambda: engine.stats().decoding == 2 and engine.stats().kv_bytes >= 2 * 600 * 8192)
    engine.cancel(long.request_id)
    assert eventually(lambda: engine.stats().decoding == 1 and engine.stats().kv_bytes < 600 * 8192)
    engine.cancel(short.request_id)
    assert eventually(lambda: engine.stats().decoding == 0 and engine.stats().kv_bytes == 0)
