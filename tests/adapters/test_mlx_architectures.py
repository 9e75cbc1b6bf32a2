"""The engine on every kind of cache that mlx-lm has: full and sliding attention, recurrent states, mixtures, lists.

The models are tiny and random; mlx-lm's own answer to each prompt alone is what every way of serving it must give.
"""

import random
from collections.abc import Iterator
from contextlib import closing

import mlx.core as mx
import pytest

from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx import prefill
from mlxk2.adapters.mlx.engine import MlxEngine
from mlxk2.ports.engine import KvCost, LoadOptions
from mlxk2.ports.generation import Delta, GenerationRequest, PromptProgress
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered
from tests.adapters.mlx_configs import CONFIGS, WINDOW
from tests.adapters.mlx_models import CACHE, greedy, new_engine, new_model

Tokens = tuple[int, ...]
ANSWER = 8
FULL = ["llama", "qwen3", "qwen3_moe", "deepseek_v2", "minicpm3", "deepseek_v32", "longcat_flash"]
SLIDING = ["gemma3_text", "gpt_oss", "ministral3", "cohere2"]
RECURRENT = ["lfm2", "qwen3_next", "falcon_h1", "mamba2", "granitemoehybrid", "plamo2", "kimi_linear"]
UNPADDED = ["mamba", "recurrent_gemma", "rwkv7", "jamba", "baichuan_m1", "olmo_hybrid", "bailing_moe_linear"]
"""mlx-lm's own batches of padded prompts give other answers than the prompts alone."""
UNBATCHED = ["llama4", "deepseek_v41"]


def some_tokens(seed: int, count: int) -> Tokens:
    choose = random.Random(seed)  # noqa: S311 - the same tokens at every run
    return tuple(choose.randrange(3, 768) for _ in range(count))


LENGTHS = (1, 2, 17, WINDOW - 1, WINDOW, WINDOW + 1, 260)
PROMPTS = [some_tokens(length, length) for length in LENGTHS]
SHARED = some_tokens(1000, 150)


def asks(prompt: Tokens, borders: Tokens = ()) -> GenerationRequest:
    return GenerationRequest(prompt, ANSWER, borders=borders)


_expected: dict[tuple[str, Tokens], list[int]] = {}


def expected(architecture: str, prompts: list[Tokens]) -> list[list[int]]:
    missing = [prompt for prompt in prompts if (architecture, prompt) not in _expected]
    if missing:
        model = new_model(architecture)
        _expected.update({(architecture, prompt): greedy(model, prompt, ANSWER) for prompt in missing})
    return [_expected[architecture, prompt] for prompt in prompts]


@pytest.fixture(scope="module")
def architecture(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="module")
def engine(architecture: str) -> Iterator[MlxEngine]:
    """Without a prefix cache, so that everything is computed."""
    with closing(new_engine(architecture, LoadOptions())) as engine:
        yield engine


@pytest.fixture
def warm(architecture: str) -> Iterator[MlxEngine]:
    with closing(new_engine(architecture, CACHE)) as engine:
        yield engine


def on(*names: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("architecture", names, indirect=True)


@on(*CONFIGS)
def test_a_request_alone_gets_mlx_lms_answer(architecture: str, engine: MlxEngine) -> None:
    answers = [answered(engine, asks(prompt)).tokens for prompt in PROMPTS]
    assert answers == expected(architecture, PROMPTS)
    assert len({tuple(answer) for answer in answers}) == len(PROMPTS)  # the models do look at their prompts


@on(*FULL, *SLIDING, *RECURRENT, *UNBATCHED)
def test_requests_at_once_get_the_answers_they_get_alone(architecture: str, engine: MlxEngine) -> None:
    answers = [listener.tokens for listener in all_answered(engine, [asks(prompt) for prompt in PROMPTS])]
    assert answers == expected(architecture, PROMPTS)


@on(*FULL, *SLIDING, *RECURRENT, *UNPADDED, *UNBATCHED)
def test_requests_that_join_one_after_another_get_the_answers_they_get_alone(
    architecture: str, engine: MlxEngine
) -> None:
    started = []
    for place, prompt in enumerate(PROMPTS):
        started.append(Listener(engine, asks(prompt)))
        started[-1].wait_for(Delta if place % 3 else PromptProgress)
    for listener in started:
        listener.finished()
    assert [listener.tokens for listener in started] == expected(architecture, PROMPTS)


@on("llama", *SLIDING, *RECURRENT, *UNPADDED, *UNBATCHED)
@pytest.mark.parametrize("prefixes", [0, CACHE.prefix_cache_bytes])
def test_prompts_in_small_pieces_get_the_same_answers(
    architecture: str, monkeypatch: pytest.MonkeyPatch, prefixes: int
) -> None:
    monkeypatch.setattr(prefill, "IDLE_PIECE", 40)
    monkeypatch.setattr(prefill, "BUSY_PIECE", 16)
    monkeypatch.setattr(prefill, "SMALLEST_PIECE", 3)
    with closing(new_engine(architecture, LoadOptions(prefix_cache_bytes=prefixes))) as engine:
        started = []
        for prompt in PROMPTS[::-1]:
            started.append(Listener(engine, asks(prompt, borders=(len(prompt) // 2,) if len(prompt) > 4 else ())))
            started[-1].wait_for(Delta)
        for listener in started:
            listener.finished()
        assert [listener.tokens for listener in started] == expected(architecture, PROMPTS[::-1])


@on(*UNBATCHED)
def test_caches_that_cannot_be_batched_serve_one_request_at_a_time(engine: MlxEngine) -> None:
    assert engine.info().max_rows == 1
    listeners = [Listener(engine, asks(prompt)) for prompt in PROMPTS]
    listeners[0].wait_for(Delta)
    assert engine.stats().decoding <= 1
    assert all(listener.finished() for listener in listeners)


@on(*UNPADDED)
def test_prompts_of_one_length_at_once_get_the_answers_they_get_alone(architecture: str, engine: MlxEngine) -> None:
    prompts = [some_tokens(seed, 40) for seed in range(5)]
    answers = [listener.tokens for listener in all_answered(engine, [asks(prompt) for prompt in prompts])]
    assert answers == expected(architecture, prompts)


@on(*FULL, *RECURRENT, *UNPADDED)
def test_a_beginning_up_to_a_border_is_reused(architecture: str, warm: MlxEngine) -> None:
    border = len(SHARED)
    first, second = SHARED + some_tokens(1, 30), SHARED + some_tokens(2, 25)
    answers = [answered(warm, asks(prompt, (border,))) for prompt in (first, second)]
    assert [answer.finished().cached_tokens for answer in answers] == [0, border]
    assert [answer.tokens for answer in answers] == expected(architecture, [first, second])


@on(*FULL, *SLIDING, *RECURRENT, *UNPADDED)
def test_reuse_changes_no_answer(architecture: str, warm: MlxEngine) -> None:
    first = SHARED + some_tokens(1, 30)
    [answer] = expected(architecture, [first])
    whole = (*first, *answer)
    prompts = [
        first,
        first,
        whole + some_tokens(3, 9),  # the next turn
        whole,
        first[:100],
        SHARED[:75] + some_tokens(4, 60),
        first[: WINDOW - 8],
        first[:20],
        first[:20] + some_tokens(5, 80),
    ]
    answers = [answered(warm, asks(prompt, (150,) if len(prompt) > 150 else ())) for prompt in prompts]
    assert [answer.tokens for answer in answers] == expected(architecture, prompts)
    assert answers[1].finished().cached_tokens == len(first) - 1
    assert answers[2].finished().cached_tokens >= len(first)
    assert answers[3].finished().cached_tokens >= len(first) - 1


@on(*FULL, *SLIDING, *RECURRENT)
def test_many_share_a_beginning_at_once(architecture: str, warm: MlxEngine) -> None:
    prompts = [SHARED + some_tokens(length, length) for length in (3, 9, 20, 41, 66)]
    prompts += [SHARED[:length] + some_tokens(length, 9) for length in (20, 60, 149)]
    for _ in range(2):
        requests = [asks(prompt, (150,) if len(prompt) > 150 else ()) for prompt in prompts]
        answers = [listener.tokens for listener in all_answered(warm, requests)]
        assert answers == expected(architecture, prompts)


@on(*FULL, *SLIDING, *RECURRENT, *UNPADDED, "llama4")
@pytest.mark.parametrize("tokens", [1, 40, 600])
def test_the_projected_bytes_hold_what_a_request_takes(architecture: str, engine: MlxEngine, tokens: int) -> None:
    model = new_model(architecture)
    caches = kv.new_caches(model)
    model(mx.array([[5] * tokens]), cache=caches)
    for _ in range(3):
        model(mx.array([[5]]), cache=caches)
        kv.evaluate(caches)
    actual, cost = kv.size_bytes(caches), engine.info().kv
    assert 0 < actual <= bytes_for(cost, tokens + 3) <= max(3 * actual, bytes_for(cost, cost.block))


def bytes_for(cost: KvCost, tokens: int) -> int:
    """A row's layers, each with room for `tokens` and a block that is not full, or for its window."""
    room = tokens + cost.block - 1
    widths = [min(room, layers.window or room) * layers.bytes_per_token for layers in cost.layers]
    return cost.fixed_bytes + sum(widths)
