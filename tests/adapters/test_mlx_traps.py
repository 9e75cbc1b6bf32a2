"""Traps that the engine has been in, one test or two for each, so that it does not fall into them again."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import ArraysCache
from mlx_lm.models.deepseek_v41 import LayerCache

from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx.batch import Batch
from mlxk2.adapters.mlx.engine import MlxEngine
from mlxk2.adapters.mlx.prefix_cache import PrefixCache
from mlxk2.ports.conversation import Message
from mlxk2.ports.generation import Sampling
from mlxk2.testing.contracts.engine import listening
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered
from tests.adapters.mlx_models import CACHE, new_engine, new_model
from tests.adapters.test_mlx_architectures import (
    PROMPTS,
    SHARED,
    SLIDING,
    UNPADDED,
    asks,
    bytes_for,
    expected,
    some_tokens,
)
from tests.adapters.test_mlx_prefix_cache import KEYS, PLENTY, Tokens, held, holding, shared, sliding
from tests.adapters.test_mlx_sampling import draw, filtered, many, random_logits, row

WINDOW_OF_SLIDING = 40


@pytest.fixture
def warm(request: pytest.FixtureRequest) -> Iterator[MlxEngine]:
    with closing(new_engine(request.param, CACHE)) as engine:
        yield engine


# ChunkedKVCache says it can always be cut, and cannot once its front is gone (llama4): wrong text.
@pytest.mark.parametrize("warm", ["llama4"], indirect=True)
@pytest.mark.parametrize("prompt", [SHARED + some_tokens(2, 25), SHARED[:75] + some_tokens(4, 60), SHARED[:20]])
def test_chunked_caches_reuse(warm: MlxEngine, prompt: Tokens) -> None:
    answered(warm, asks(SHARED + some_tokens(1, 30)))
    assert [answered(warm, asks(prompt)).tokens] == expected("llama4", [prompt])


# Caches of models with sliding windows count as cuttable because empty ones are: borders are never used.
@pytest.mark.parametrize("warm", SLIDING, indirect=True)
def test_sliding_windows_reuse_up_to_a_border(warm: MlxEngine) -> None:
    border = len(SHARED)
    answered(warm, asks(SHARED + some_tokens(1, 30), (border,)))
    second = answered(warm, asks(SHARED + some_tokens(2, 25), (border,)))
    assert second.finished().cached_tokens == border


@pytest.mark.parametrize("warm", SLIDING, indirect=True)
def test_sliding_windows_have_borders(warm: MlxEngine) -> None:
    assert warm.render([Message("system", "be kind"), Message("user", "hello")]).borders


# An entry of a recurrent layer is a view of the whole batch's array: it holds rows times what is counted.
def test_the_byte_limit_holds_in_memory_for_recurrent_states() -> None:
    def new() -> kv.Caches:
        cache = ArraysCache(1)
        cache[0] = mx.random.normal((1, 64, 256))
        mx.eval(cache[0])
        return [cache]

    store = PrefixCache(4_000_000)
    before = mx.get_active_memory()
    for place in range(40):
        batch = kv.merge([new() for _ in range(16)])
        kv.evaluate(batch)
        one = kv.extract(batch, 3)
        kv.evaluate(one)  # as Scheduler._keep_prefix does
        store.put((place,) * 20, one)
        del batch, one
    assert mx.get_active_memory() - before < 2 * store.size_bytes


# Padded prompts change the answers of models that do not mask the padding out of their states.
# mlx-lm's BatchGenerator has the same fault; prompts that are processed one by one are right (the join test passes).
@pytest.mark.parametrize("architecture", UNPADDED)
def test_requests_at_once_get_the_answers_they_get_alone(architecture: str) -> None:
    with closing(new_engine(architecture)) as engine:
        answers = [listener.tokens for listener in all_answered(engine, [asks(prompt) for prompt in PROMPTS])]
    assert answers == expected(architecture, PROMPTS)


# With equal logits (any 16-bit model), the order of ties under top-k depends on the largest top-k around.
@pytest.mark.parametrize("dtype", [mx.bfloat16, mx.float16])
def test_a_rows_token_does_not_depend_on_another_rows_top_k(dtype: mx.Dtype) -> None:
    sampling = Sampling(temperature=1.0, top_k=20)
    different = []
    for seed in range(100):
        logits = random_logits(seed, 1, 768, scale=3.0).astype(dtype)
        [alone] = draw(logits, [row(sampling, seed=seed)])
        beside = row(Sampling(temperature=1.0, top_k=100), seed=1)
        both = draw(mx.concatenate([logits, logits]), [row(sampling, seed=seed), beside])
        different += [seed] if both[0] != alone else []
    assert different == []


# Top_p 1 is not off beside a top-k: tokens behind a cumulative sum that rounds to 1 can never be drawn.
@pytest.mark.parametrize("sampling", [Sampling(top_k=12), Sampling(top_k=2000)])
def test_top_p_1_is_off(sampling: Sampling) -> None:
    logits = mx.array([20.0, 0.0, -1.0, -2.0])
    allowed = np.flatnonzero(np.array(filtered(logits, sampling)) > -np.inf).tolist()
    assert sorted(many(logits, Sampling(temperature=1e4, top_k=sampling.top_k), 200)) == allowed


# Caches that do not derive from mlx-lm's _BaseCache are not copied: whoever reuses an entry writes into it.
def test_caches_of_other_descent_are_copied() -> None:
    original = LayerCache(8)
    original.update_window(mx.ones((1, 4, 2)))
    [copied] = kv.copy_of([original])
    copied.update_window(mx.ones((1, 3, 2)))
    assert original.offset == 4


@pytest.mark.parametrize("warm", ["deepseek_v41"], indirect=True)
def test_caches_of_other_descent_reuse(warm: MlxEngine) -> None:
    prompts = [SHARED + some_tokens(1, 30), SHARED + some_tokens(2, 25)]
    answers = [answered(warm, asks(prompt, (len(SHARED),))).tokens for prompt in prompts]
    assert answers == expected("deepseek_v41", prompts)


# What raises while a finished row is kept or dropped (out of memory, say) ends the engine's thread: everybody
# else, and whoever comes later, waits for ever.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
@pytest.mark.parametrize("what", ["extract", "keep"])
def test_a_failure_beside_the_step_does_not_end_the_engine(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    whole, left = getattr(Batch, what), [1]

    def fails_once(batch: Batch, *arguments: Any) -> Any:
        if left and any(row.done for row in batch.rows):
            left.pop()
            raise RuntimeError("[malloc] Unable to allocate")
        return whole(batch, *arguments)

    monkeypatch.setattr(Batch, what, fails_once)
    monkeypatch.setattr(listening, "WAIT_SECONDS", 10.0)
    with closing(new_engine("llama")) as engine:
        listeners = [Listener(engine, asks(prompt)) for prompt in PROMPTS]
        for listener in listeners:
            listener.end()
        assert answered(engine, asks(PROMPTS[0])).tokens


# A growing cache without `keys` counts as fixed, at its size after one token (deepseek_v41).
def test_the_projected_bytes_hold_what_a_request_takes() -> None:
    model = new_model("deepseek_v41")
    caches = kv.new_caches(model)
    model(mx.array([[5] * 600]), cache=caches)
    kv.evaluate(caches)
    with closing(new_engine("deepseek_v41")) as engine:
        assert kv.size_bytes(caches) <= bytes_for(engine.info().kv, 600)


# The nearest key hides others: an entry that cannot be cut stands before one that can.
@settings(max_examples=200, deadline=None)
@given(puts=st.lists(KEYS, min_size=1, max_size=6), asked=st.lists(KEYS, min_size=1, max_size=5))
def test_the_longest_usable_beginning_is_found_among_windows(puts: list[Tokens], asked: list[Tokens]) -> None:
    store = PrefixCache(PLENTY)
    for key in puts:
        store.put(key, holding(key, sliding))
    for tokens in asked:
        prefix = store.find(tokens)
        wanted = tokens[:-1]
        useful = [
            common
            for key in puts
            if (common := shared(key, wanted)) >= 16 and (common == len(key) or len(key) < WINDOW_OF_SLIDING)
        ]
        assert (prefix.length if prefix else 0) == max(useful, default=0)
        if prefix:
            assert held(prefix.caches) == held(holding(tokens[: prefix.length], sliding))
