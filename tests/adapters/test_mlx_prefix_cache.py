"""The prefix cache: held against a naive search, with real caches whose contents say which tokens they hold."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from itertools import takewhile
from typing import Any

import mlx.core as mx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mlx_lm.models.cache import ArraysCache, KVCache, RotatingKVCache

from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx.caches import Caches
from mlxk2.adapters.mlx.engine import MlxEngine
from mlxk2.adapters.mlx.loading import LoadedModel, load_model
from mlxk2.adapters.mlx.prefix_cache import WORTHWHILE, PrefixCache
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.generation import Delta, Event, Finished, GenerationRequest, Sampling
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered
from tests.adapters.mlx_models import CACHE, DEMO

Tokens = tuple[int, ...]
WIDE = 40
"""The window of the rotating caches here: some keys are longer, some shorter."""
PLENTY = 10**9

# Keys that share beginnings: two tokens only, and lengths on both sides of WORTHWHILE and of the window.
KEYS = st.one_of(
    st.integers(1, 70).map(lambda length: (1,) * length),
    st.tuples(st.integers(0, 50), st.integers(1, 30)).map(lambda parts: (1,) * parts[0] + (2,) * parts[1]),
    st.lists(st.integers(1, 2), min_size=1, max_size=60).map(tuple),
)


def read(caches: Caches, tokens: Sequence[int]) -> None:
    """What a model does with its caches: every layer remembers the tokens, a recurrent one their sum."""
    if not tokens:
        return
    values = mx.array(list(tokens), dtype=mx.float32)[None, None, :, None]
    for cache in caches:
        if isinstance(cache, ArraysCache):
            cache[0] = mx.sum(values)[None] + (0 if cache[0] is None else cache[0])
        else:
            cache.update_and_fetch(values, -values)


def holding(tokens: Sequence[int], new: Callable[[], Caches]) -> Caches:
    caches = new()
    read(caches, tokens)
    kv.evaluate(caches)
    return caches


def held(caches: Caches) -> list[Any]:
    """What each layer remembers, oldest first."""
    return [cache[0].tolist() if isinstance(cache, ArraysCache) else _held(cache) for cache in caches]


def _held(cache: Any) -> tuple[int, Any, Any]:
    arrays = [cache.keys, cache.values]
    if isinstance(cache, RotatingKVCache):
        arrays = [cache._temporal_order(array) for array in arrays]
        return cache.offset, *(array[..., -cache.size() :, :].tolist() for array in arrays)
    return cache.offset, *(array[..., : cache.size(), :].tolist() for array in arrays)


def full() -> Caches:
    return [KVCache(), KVCache()]


def hybrid() -> Caches:
    return [KVCache(), ArraysCache(1)]


def sliding() -> Caches:
    return [KVCache(), RotatingKVCache(WIDE)]


def shared(one: Tokens, other: Tokens) -> int:
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


def usable(key: Tokens, tokens: Tokens, *, cuttable: bool) -> int:
    """How much of `tokens` an entry gives: what is shared, or all of itself, and never the last token."""
    common = shared(key, tokens[:-1])
    length = common if cuttable or common == len(key) else 0
    return length if length >= WORTHWHILE else 0


@pytest.mark.parametrize("new", [full, hybrid])
@settings(max_examples=60, deadline=None)
@given(puts=st.lists(KEYS, max_size=8), asked=st.lists(KEYS, min_size=1, max_size=6), more=st.integers(0, 3))
def test_the_longest_usable_beginning_is_found(
    new: Callable[[], Caches], puts: list[Tokens], asked: list[Tokens], more: int
) -> None:
    store = PrefixCache(PLENTY)
    kept = []
    for key in puts:
        store.put(key, holding(key, new))
        kept += [key] if len(key) >= WORTHWHILE else []
    for tokens in [*asked, *(key + (2,) * more for key in puts)]:
        prefix = store.find(tokens)
        best = max((usable(key, tokens, cuttable=new is full) for key in kept), default=0)
        assert (prefix.length if prefix else 0) == best


@pytest.mark.parametrize("new", [full, hybrid, sliding])
@settings(max_examples=60, deadline=None)
@given(puts=st.lists(KEYS, min_size=1, max_size=6), asked=st.lists(KEYS, min_size=1, max_size=5))
def test_what_is_found_holds_exactly_its_tokens_whatever_others_write_later(
    new: Callable[[], Caches], puts: list[Tokens], asked: list[Tokens]
) -> None:
    store = PrefixCache(PLENTY)
    for key in puts:
        store.put(key, holding(key, new))
    for tokens in [*asked, *puts, *asked, *puts]:
        prefix = store.find(tokens)
        if prefix is None:
            continue
        assert 0 < prefix.length < len(tokens)
        assert held(prefix.caches) == held(holding(tokens[: prefix.length], new))
        read(prefix.caches, tokens[prefix.length :])
        read(prefix.caches, (7,))  # as a decoding step
        kv.evaluate(prefix.caches)
        rest = (*tokens, 7)
        if new is not sliding:
            assert held(prefix.caches) == held(holding(rest, new))


@pytest.mark.parametrize("new", [full, hybrid, sliding])
@settings(max_examples=40, deadline=None)
@given(puts=st.lists(KEYS, max_size=12), asked=st.lists(KEYS, max_size=12), limit=st.integers(0, 20_000))
def test_the_limit_in_bytes_is_never_passed(
    new: Callable[[], Caches], puts: list[Tokens], asked: list[Tokens], limit: int
) -> None:
    store = PrefixCache(limit)
    sizes = {key: kv.size_bytes(holding(key, new)) for key in puts}
    for place, key in enumerate(puts):
        store.put(key, holding(key, new))
        assert store.size_bytes <= limit
        assert (store.size_bytes == 0) == (len(store) == 0)
        assert len(store) * min(sizes.values()) <= store.size_bytes
        if place < len(asked):
            store.find(asked[place])
    store.clear()
    assert (store.size_bytes, len(store)) == (0, 0)


@settings(max_examples=60, deadline=None)
@given(uses=st.lists(st.tuples(st.booleans(), st.integers(1, 9)), max_size=40), room=st.integers(1, 5))
def test_what_was_used_longest_ago_is_forgotten_first(uses: list[tuple[bool, int]], room: int) -> None:
    one = kv.size_bytes(holding((1,) * 20, full))
    store = PrefixCache(room * one)
    expected: OrderedDict[int, None] = OrderedDict()
    for is_put, first in uses:
        key = (first,) * 20
        if is_put:
            store.put(key, holding(key, full))
            expected.pop(first, None)
            expected[first] = None
            while len(expected) > room:
                expected.popitem(last=False)
        else:
            assert (store.find((*key, 0)) is not None) == (first in expected)
            if first in expected:
                expected.move_to_end(first)
    assert len(store) == len(expected)


def test_an_entry_that_can_be_cut_replaces_its_own_beginnings() -> None:
    store = PrefixCache(PLENTY)
    for length in (20, 40, 30, 60):
        store.put((1,) * length, holding((1,) * length, full))
    assert len(store) == 1
    for length in (20, 30):
        store.put((2,) * length, holding((2,) * length, hybrid))
    assert len(store) == 3


def test_a_short_beginning_is_not_worth_keeping() -> None:
    store = PrefixCache(PLENTY)
    store.put((1,) * (WORTHWHILE - 1), holding((1,) * (WORTHWHILE - 1), full))
    assert len(store) == 0


def test_writing_to_what_was_copied_leaves_the_original_and_the_other_way_round() -> None:
    for new in (full, hybrid, sliding):
        original = holding((1, 2, 3) * 20, new)
        before = held(original)
        copied = kv.copy_of(original)
        for _ in range(3):
            read(copied, (9,))
            kv.evaluate(copied)
        assert held(original) == before
        kept = held(copied)
        read(original, (8, 8))
        read(original, (8,))
        kv.evaluate(original)
        assert held(copied) == kept


@pytest.mark.parametrize("new", [full, sliding])
@pytest.mark.parametrize("target", [1, 5, 29])
def test_caches_are_cut_to_their_beginning_and_go_on_from_there(new: Callable[[], Caches], target: int) -> None:
    caches = holding(range(30), new)
    kv.cut(caches, 30, target)
    assert held(caches) == held(holding(range(target), new))
    for token in range(40, 55):
        read(caches, (token,))
    assert held(caches) == held(holding([*range(target), *range(40, 55)], new))


class Counting:
    """A model that counts the tokens it is given, padding included."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.computed = 0

    def __call__(self, inputs: mx.array, **rest: Any) -> mx.array:
        self.computed += inputs.size
        logits: mx.array = self._model(inputs, **rest)
        return logits

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)


class Counted:
    """An engine on the demo model that says how many tokens each request made it compute."""

    def __init__(self, options: LoadOptions) -> None:
        self.models: list[Counting] = []
        self.engine = MlxEngine(self._load, options, SystemMachine())

    def _load(self) -> LoadedModel:
        loaded = load_model(DEMO, LoadOptions(), SystemMachine())
        self.models.append(Counting(loaded.model))
        return LoadedModel(self.models[-1], loaded.tokenizer)

    def ask(self, request: GenerationRequest) -> tuple[list[int], Finished, int]:
        before = self.models[-1].computed
        answer = answered(self.engine, request)
        return answer.tokens, answer.finished(), self.models[-1].computed - before


@pytest.fixture
def warm() -> Iterator[Counted]:
    counted = Counted(CACHE)
    with closing(counted.engine):
        yield counted


@pytest.fixture(scope="module")
def cold() -> Iterator[MlxEngine]:
    counted = Counted(LoadOptions())
    with closing(counted.engine):
        yield counted.engine


NO_END = Sampling(logit_bias=((0, -100.0), (2, -100.0)))
FIRST = tuple(3 + (7 * i * i) % 760 for i in range(180))
OTHER = tuple(3 + (11 * i * i + 5) % 760 for i in range(60))


def to(prompt: Tokens, count: int = 12) -> GenerationRequest:
    return GenerationRequest(prompt, count, NO_END)


SECOND: dict[str, tuple[Callable[[Tokens], Tokens], int]] = {
    "the same again": (lambda _: FIRST, len(FIRST) - 1),
    "the next turn": (lambda answer: FIRST + answer + OTHER, len(FIRST) + 12),
    "a divergent middle": (lambda _: FIRST[:77] + OTHER + FIRST[80:], 77),
    "a shared beginning": (lambda _: FIRST[:150] + OTHER, 150),
    "exactly prompt and answer": (lambda answer: FIRST + answer, len(FIRST) + 11),
    "prompt and part of the answer": (lambda answer: FIRST + answer[:5], len(FIRST) + 4),
    "a strict beginning": (lambda _: FIRST[:100], 99),
    "a beginning that is hardly worth it": (lambda _: FIRST[: WORTHWHILE + 1], WORTHWHILE),
    "a beginning that is too short": (lambda _: FIRST[:WORTHWHILE], 0),
    "something else": (lambda _: OTHER, 0),
}


@pytest.mark.parametrize("case", SECOND)
def test_reuse_saves_what_it_says_and_changes_no_answer(warm: Counted, cold: MlxEngine, case: str) -> None:
    first, _, computed = warm.ask(to(FIRST))
    assert computed == len(FIRST) + 12
    second, expected = SECOND[case]
    prompt = second(tuple(first))
    for _ in range(2):  # the second time it meets itself too
        tokens, finished, computed = warm.ask(to(prompt))
        assert tokens == answered(cold, to(prompt)).tokens
        assert finished.cached_tokens == expected
        assert computed == len(prompt) - expected + 12
        expected = max(expected, len(prompt) - 1 if len(prompt) > WORTHWHILE else 0)


def test_many_at_once_share_a_beginning_and_nobody_writes_into_anothers(warm: Counted, cold: MlxEngine) -> None:
    warm.ask(to(FIRST))
    prompts = [FIRST[: 20 * place] + OTHER[: 5 + place] for place in range(1, 9)] * 2
    requests = [to(prompt, 3 + place) for place, prompt in enumerate(prompts)]
    expected = [answered(cold, request).tokens for request in requests]
    for _ in range(2):
        answers = all_answered(warm.engine, requests)
        assert [answer.tokens for answer in answers] == expected
        assert all(answer.finished().cached_tokens >= 20 for answer in answers)
    assert [warm.ask(request)[0] for request in requests] == expected


def test_a_prompt_is_kept_while_its_answer_goes_on(warm: Counted) -> None:
    begun = Listener(warm.engine, to(FIRST, 400))
    begun.wait_for(Delta)
    _, finished, _ = warm.ask(to(FIRST, 1))
    assert finished.cached_tokens == len(FIRST) - 1
    assert not begun.has_ended
    warm.engine.cancel(begun.request_id)


def test_a_first_token_does_not_wait_for_its_prompt_to_be_kept(monkeypatch: pytest.MonkeyPatch, warm: Counted) -> None:
    order: list[str] = []
    put = PrefixCache.put

    def slowly(self: PrefixCache, tokens: Tokens, caches: Caches) -> None:
        order.append("kept")
        put(self, tokens, caches)

    monkeypatch.setattr(PrefixCache, "put", slowly)
    ended = threading.Event()

    def hear(event: Event) -> None:
        order.append(type(event).__name__)
        if isinstance(event, Finished):
            ended.set()

    warm.engine.start(to(FIRST, 2), hear)
    assert ended.wait(60)
    assert order.index("Delta") < order.index("kept") < order.index("Finished")


def test_nothing_is_kept_beyond_the_limit_and_answers_stay_the_same(cold: MlxEngine) -> None:
    counted = Counted(CACHE._replace(prefix_cache_bytes=3_000_000))
    with closing(counted.engine) as engine:
        prompts = [tuple(3 + (place * i * i + place) % 760 for i in range(120)) for place in range(1, 8)]
        for prompt in [*prompts, *reversed(prompts)]:
            assert answered(engine, to(prompt)).tokens == answered(cold, to(prompt)).tokens
            assert engine.stats().prefix_cache_bytes <= 3_000_000
        assert answered(engine, to(prompts[0])).finished().cached_tokens == len(prompts[0]) - 1


def test_the_sums_of_the_engine_are_those_of_its_requests(warm: Counted) -> None:
    ends = [warm.ask(to(prompt))[1] for prompt in (FIRST, FIRST + OTHER, OTHER, FIRST[:50])]
    stats = warm.engine.stats()
    assert stats.cached_tokens == sum(end.cached_tokens for end in ends) > 0
    assert stats.prompt_tokens == sum(end.prompt_tokens for end in ends)
