"""Steps that raise inside the MLX engine: who is saved, who is told, and what the engine is like afterwards.

The model is the real one; only its call is wrapped, so that it raises where a test says.
"""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest

from mlxk2.adapters.mlx.engine import MlxEngine
from mlxk2.adapters.mlx.loading import LoadedModel, load_model
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.errors import EngineFailure
from mlxk2.ports.generation import GenerationRequest, Sampling, Structure
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered, eventually

DEMO = str(files("mlxk2") / "assets" / "demo")
OPTIONS = LoadOptions(prefix_cache_bytes=64_000_000)
POISON = 700
"""A token that no good prompt here holds."""
QUESTIONS = ("hello", "What is 2 + 3?", "How do I list my models?", "How do I delete a model?")

When = Callable[[Any], bool]


class Fragile:
    """A model whose call raises when it is told to; everything else is the model's own."""

    def __init__(self, model: Any, breaks: When) -> None:
        self._model = model
        self._breaks = breaks

    def __call__(self, inputs: Any, cache: Any = None) -> Any:
        if self._breaks(inputs):
            raise RuntimeError("[metal::malloc] no memory for this step")
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
        return LoadedModel(Fragile(loaded.model, self.breaks), loaded.tokenizer)


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
    return [replace(GenerationRequest(prompt, 60), **kind) for prompt in prompts for kind in kinds]


def quiet_texts(engine: MlxEngine, requests: list[GenerationRequest]) -> list[str]:
    return [answered(engine, request).text for request in requests]


def test_a_step_that_raises_costs_nobody_a_word(
    engine: MlxEngine, switch: Switch, sixteen: list[GenerationRequest]
) -> None:
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


def test_a_model_that_cannot_be_loaded_again_fails_what_comes_and_closes(
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


def test_memory_of_a_cancelled_request_is_free_at_the_next_step(engine: MlxEngine) -> None:
    endless = Sampling(logit_bias=((0, -100.0), (2, -100.0)))
    long = Listener(engine, GenerationRequest((1, *range(50, 650)), 10**6, endless))
    short = Listener(engine, GenerationRequest((1, 5, 6), 10**6, endless))
    assert eventually(lambda: engine.stats().decoding == 2 and engine.stats().kv_bytes >= 2 * 600 * 8192)
    engine.cancel(long.request_id)
    assert eventually(lambda: engine.stats().decoding == 1 and engine.stats().kv_bytes < 600 * 8192)
    engine.cancel(short.request_id)
    assert eventually(lambda: engine.stats().decoding == 0 and engine.stats().kv_bytes == 0)
