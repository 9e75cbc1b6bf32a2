"""Whose turn it is in the MLX engine: pieces of prompts, newcomers beside long ones; limits of memory; numbers."""

import threading
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from itertools import pairwise
from typing import Any

import mlx.core as mx
import pytest
from mlx_lm.tokenizer_utils import TokenizerWrapper
from tokenizers import AddedToken, Tokenizer
from transformers import PreTrainedTokenizerFast

from mlxk2.adapters.mlx import prefill
from mlxk2.adapters.mlx.engine import MlxEngine, MlxEngineLoader
from mlxk2.adapters.mlx.loading import LoadedModel, load_model
from mlxk2.adapters.mlx.markers import markers_of
from mlxk2.adapters.mlx.prefill import BUSY_PIECE, FIRST_PIECE, IDLE_PIECE, SMALLEST_PIECE, Pace, Prefill
from mlxk2.adapters.mlx.prefix_cache import PrefixCache
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.generation import Delta, Event, Finished, GenerationRequest, PromptProgress, Sampling
from mlxk2.testing.contracts.engine.listening import Listener, answered

DEMO = files("mlxk2") / "assets" / "demo"
LONG = 2_600
ENDLESS = Sampling(logit_bias=((0, -100.0), (2, -100.0)))


class Recorded:
    """The real model, and the shape of the inputs of every call."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.calls: list[tuple[int, int]] = []

    def __call__(self, inputs: Any, cache: Any = None) -> Any:
        self.calls.append(inputs.shape)
        return self._model(inputs, cache=cache)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


@pytest.fixture
def recorded() -> list[Recorded]:
    return []


@pytest.fixture
def engine(recorded: list[Recorded]) -> Iterator[MlxEngine]:
    def load() -> LoadedModel:
        loaded = load_model(str(DEMO), LoadOptions(), SystemMachine())
        recorded.append(Recorded(loaded.model))
        return LoadedModel(recorded[0], loaded.tokenizer)

    with closing(MlxEngine(load, LoadOptions(), SystemMachine())) as engine:
        yield engine


def long_prompt(seed: int = 0) -> tuple[int, ...]:
    return tuple(3 + (seed + 7 * place) % 700 for place in range(LONG))


def test_a_piece_has_as_many_tokens_as_the_machine_has_time_for() -> None:
    pace = Pace(512, 0.2)
    assert pace.piece == FIRST_PIECE == 256
    pace.took(256, 0.256)
    assert pace.piece == 200
    pace.took(200, 0.05)  # a quarter of a millisecond each, after one
    assert pace.piece == 320
    pace.took(320, 0.01)
    assert pace.piece == 512


def test_one_piece_that_was_held_up_is_soon_forgotten() -> None:
    pace = Pace(512, 0.2)
    for _ in range(5):
        pace.took(pace.piece, pace.piece * 0.0005)
    assert pace.piece == 400
    pace.took(400, 1.0)
    assert pace.piece < 200
    for _ in range(4):
        pace.took(pace.piece, pace.piece * 0.0005)
    assert pace.piece > 350


def test_a_piece_is_at_most_twice_as_large_as_the_one_before() -> None:
    pace = Pace(4096, 4.0)
    pace.took(256, 0.001)
    assert pace.piece == 512


@pytest.mark.parametrize(
    ("lengths", "groups"),
    [
        ([40, 40, 40], [[40, 40, 40]]),
        ([60, 125, 55, 120, 58], [[60, 58, 55], [125, 120]]),
        ([10, 74, 75], [[10, 74], [75]]),
        ([60] * 6, [[60] * 4, [60] * 2]),
        ([110, 40, 120, 40], [[110, 120], [40, 40]]),
        ([256, 255], [[256], [255]]),
        ([100, 130, 70], [[100, 70], [130]]),
    ],
)
def test_prompts_of_much_the_same_length_go_together_and_the_first_is_never_passed_over(
    lengths: list[int], groups: list[list[int]]
) -> None:
    prompts = Prefill(load_model(str(DEMO), LoadOptions(), SystemMachine()).model, PrefixCache(0))
    for number, length in enumerate(lengths):
        prompts.add(Row(number, GenerationRequest((1,) * length, 1), lambda _: None, limit=1))
    gone = []
    while group := prompts.next_short_group(others_decode=True):
        assert group[0] is prompts.rows[0]
        gone.append([row.unprocessed + 1 for row in group])
        prompts.rows = [row for row in prompts.rows if row not in group]
    assert gone == groups


def test_a_piece_stays_within_its_bounds() -> None:
    pace = Pace(512, 0.2)
    for _ in range(20):
        pace.took(pace.piece, 0.01)
    assert pace.piece == 512
    for _ in range(20):
        pace.took(pace.piece, 5.0)
    assert pace.piece == SMALLEST_PIECE


def test_a_small_piece_says_nothing_of_larger_ones() -> None:
    pace = Pace(512, 0.2)
    pace.took(5, 0.001)
    assert pace.piece == FIRST_PIECE


@pytest.mark.parametrize("tokens", [0, 1, 31])
@pytest.mark.parametrize("seconds", [0.0, 0.1, 5.0])
def test_a_tiny_piece_says_nothing_however_long_it_took(tokens: int, seconds: float) -> None:
    pace = Pace(512, 0.2)
    pace.took(tokens, seconds)
    assert pace.piece == FIRST_PIECE


def test_a_piece_that_took_no_time_is_survived() -> None:
    pace = Pace(512, 0.2)
    pace.took(256, 0.0)
    assert pace.piece == 512


def test_a_small_piece_that_was_slow_says_enough() -> None:
    pace = Pace(512, 0.2)
    pace.took(100, 0.4)
    assert pace.piece == 50


def test_a_short_newcomer_is_answered_while_a_long_prompt_is_processed(engine: MlxEngine) -> None:
    long = Listener(engine, GenerationRequest(long_prompt(), 2))
    long.wait_for(PromptProgress)
    short = answered(engine, GenerationRequest((5, 6, 7), 3, ENDLESS))
    assert short.finished().generated_tokens == 3
    assert not any(isinstance(event, Delta) for event in list(long.events))
    long.finished()


def test_pieces_are_smaller_while_others_decode(
    monkeypatch: pytest.MonkeyPatch, engine: MlxEngine, recorded: list[Recorded]
) -> None:
    monkeypatch.setattr(prefill, "FIRST_PIECE", IDLE_PIECE)
    scheduler = engine._core._scheduler
    assert scheduler is not None
    scheduler.prefill = Prefill(recorded[0], PrefixCache(0))  # as on a machine that has turned out to be quick
    answered(engine, GenerationRequest(long_prompt(1), 2))
    assert max(width for _, width in recorded[0].calls) == IDLE_PIECE
    running = Listener(engine, GenerationRequest((5, 6, 7), 10**6, ENDLESS))
    running.wait_for(Delta)
    recorded[0].calls.clear()
    answered(engine, GenerationRequest(long_prompt(2), 2))
    engine.cancel(running.request_id)
    running.finished()
    assert max(width for _, width in recorded[0].calls) == BUSY_PIECE


def test_those_who_decode_take_a_step_between_two_pieces(engine: MlxEngine, recorded: list[Recorded]) -> None:
    running = Listener(engine, GenerationRequest((5, 6, 7), 10**6, ENDLESS))
    running.wait_for(Delta)
    recorded[0].calls.clear()
    answered(engine, GenerationRequest(long_prompt(3), 1))
    engine.cancel(running.request_id)
    calls = recorded[0].calls
    pieces = [place for place, (_, width) in enumerate(calls) if width > 1]
    assert len(pieces) >= LONG // BUSY_PIECE
    assert all(later - earlier > 1 for earlier, later in pairwise(pieces))


def test_short_prompts_are_processed_together(engine: MlxEngine, recorded: list[Recorded]) -> None:
    hold = threading.Event()

    def wait() -> None:
        hold.wait()

    blocker = Listener(engine, GenerationRequest((5, 6), 10**6, ENDLESS))
    blocker.wait_for(Delta)
    engine._post(wait)
    waiting = [Listener(engine, GenerationRequest((5, *range(10, 20 + n)), 2)) for n in range(6)]
    recorded[0].calls.clear()
    hold.set()
    for listener in waiting:
        listener.finished()
    engine.cancel(blocker.request_id)
    assert (6, 15) in recorded[0].calls


def test_a_first_token_is_told_before_the_others_take_their_step() -> None:
    """What gathers events until a step is over, as a worker does, must not keep a newcomer's for a step longer."""
    told: list[str] = []
    decoding, ended = threading.Event(), threading.Event()

    def hear_the_first(_: Event) -> None:
        told.append("the others")
        decoding.set()

    def hear_the_newcomer(event: Event) -> None:
        told.append(type(event).__name__)
        if isinstance(event, Finished):
            ended.set()

    loader = MlxEngineLoader(SystemMachine())
    with closing(loader.load(str(DEMO), LoadOptions(), lambda seen: told.append(type(seen).__name__))) as engine:
        engine.start(GenerationRequest((5, 6, 7), 400, sampling=ENDLESS), hear_the_first)
        assert decoding.wait(60)
        engine.start(GenerationRequest((8, 9), 3, sampling=ENDLESS), hear_the_newcomer)
        assert ended.wait(60)
    assert told[told.index("Delta") + 1] == "Stepped"


def test_the_limit_of_memory_reaches_mlx() -> None:
    ordinary = mx.set_memory_limit(10**12)
    mx.set_memory_limit(ordinary)
    try:
        options = LoadOptions(memory_limit=3 * 10**9)
        with closing(MlxEngine(lambda: load_model(str(DEMO), options, SystemMachine()), options, SystemMachine())):
            assert mx.set_memory_limit(ordinary) == 3 * 10**9
            assert mx.set_cache_limit(ordinary) == 3 * 10**9 // 8
    finally:
        mx.set_memory_limit(ordinary)
        mx.set_cache_limit(ordinary)


def test_numbers_of_a_running_engine(engine: MlxEngine) -> None:
    first = engine.stats()._replace(steps=0)
    assert (first.waiting, first.prefilling, first.decoding, first.generated_tokens) == (0, 0, 0, 0)
    assert first.resident_bytes > first.active_bytes > engine.info().weights_bytes > 10**6
    running = Listener(engine, GenerationRequest(long_prompt()[:300], 10**6, ENDLESS))
    running.wait_for(Delta)
    busy = engine.stats()
    engine.cancel(running.request_id)
    running.finished()
    assert (busy.decoding, busy.prompt_tokens) == (1, 300)
    assert busy.steps > 0


def tokenizer_with(*special: str) -> TokenizerWrapper:
    """The demo's, with further special tokens."""
    tokenizer = Tokenizer.from_file(str(DEMO / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in special])
    fast: Any = PreTrainedTokenizerFast
    return TokenizerWrapper(fast(tokenizer_object=tokenizer))


@pytest.mark.parametrize(
    ("special", "form", "start"),
    [
        (("<|channel|>", "<|message|>", "<|call|>"), "harmony", None),
        (("<|python_tag|>", "<|eot_id|>"), "llama3", "<|python_tag|>"),
        ((), None, None),
    ],
)
def test_formats_that_mlx_lm_has_no_parser_for_are_known_by_their_tokens(
    special: tuple[str, ...], form: str | None, start: str | None
) -> None:
    markers = markers_of(tokenizer_with(*special))
    assert (markers.tool_format, markers.tool_start) == (form, start)
    assert set(special) <= {text for text, _ in markers.special}
