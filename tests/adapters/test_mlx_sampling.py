"""Drawing tokens: held against mlx-lm's filters, a reference in NumPy, and the model's own probabilities."""

import random
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import mlx.core as mx
import numpy as np
import pytest
from mlx_lm.sample_utils import apply_min_p, apply_top_k, apply_top_p, make_repetition_penalty

from mlxk2.adapters.mlx.engine import MlxEngine, MlxEngineLoader
from mlxk2.adapters.mlx.loading import load_model
from mlxk2.adapters.mlx.noise import gumbel
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.sampling import BatchSampler
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.generation import Delta, GenerationRequest, Sampling
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered
from tests.adapters.mlx_configs import VOCABULARY
from tests.adapters.mlx_models import CACHE, DEMO

FEW = 12
"""A vocabulary small enough that every token it may draw is drawn."""
ENDS = (0, 2)

FILTERS = [
    Sampling(top_p=0.5),
    Sampling(top_p=0.9),
    Sampling(top_k=3),
    Sampling(top_k=FEW),
    Sampling(top_k=10**12),
    Sampling(top_k=2**63 - 1),
    Sampling(min_p=0.1),
    Sampling(min_p=0.01, top_p=0.95),
    Sampling(top_p=0.8, top_k=4),
    Sampling(min_p=0.05, top_k=5),
    Sampling(top_p=0.9, top_k=6, min_p=0.1),
    Sampling(),
]
MIXED = [
    Sampling(),
    Sampling(temperature=1.0),
    Sampling(temperature=0.7, top_k=5),
    Sampling(temperature=1.3, top_p=0.9),
    Sampling(temperature=0.9, min_p=0.05),
    Sampling(temperature=1.0, top_k=400, top_p=0.95),
    Sampling(temperature=2.0, top_k=1500, min_p=0.01),
    Sampling(temperature=1.0, repetition_penalty=1.3, top_k=40),
    Sampling(temperature=0.8, presence_penalty=1.0, frequency_penalty=0.5),
    Sampling(temperature=1.0, logit_bias=((5, 3.0), (9, -100.0))),
    Sampling(repetition_penalty=0.7, frequency_penalty=-0.5),
]


def row(sampling: Sampling, *, seed: int | None = None, prompt: Sequence[int] = (1, 2, 3)) -> Row:
    seeded = sampling if seed is None else sampling._replace(seed=seed)
    return Row(1, GenerationRequest(tuple(prompt), 99, seeded), lambda _: None, limit=99)


def draw(logits: mx.array, rows: Sequence[Row]) -> list[int]:
    """The first token of each row."""
    tokens: list[int] = BatchSampler(rows)(logits).tokens.tolist()
    return tokens


def chooser(seed: int) -> random.Random:
    return random.Random(seed)  # noqa: S311 - the same choices at every run


def many(logits: mx.array, sampling: Sampling, count: int) -> Counter[int]:
    """How often each token is drawn with the seeds from 0 to `count`."""
    return Counter(draw(mx.repeat(logits[None], count, axis=0), [row(sampling, seed=seed) for seed in range(count)]))


def filtered(logits: mx.array, sampling: Sampling) -> mx.array:
    """What mlx-lm's own filters leave of the log-probabilities, in its order."""
    chances = (logits - mx.logsumexp(logits))[None]
    if sampling.top_p < 1:
        chances = apply_top_p(chances, sampling.top_p)
    if sampling.min_p:
        chances = apply_min_p(chances, sampling.min_p)
    if 0 < sampling.top_k < logits.size:
        chances = apply_top_k(chances, sampling.top_k)
    return chances[0]


def random_logits(seed: int, *shape: int, scale: float = 2.0) -> mx.array:
    return mx.random.normal(shape, key=mx.random.key(seed)) * scale


@pytest.mark.parametrize("sampling", FILTERS)
@pytest.mark.parametrize("seed", range(5))
def test_the_tokens_that_may_be_drawn_are_those_of_mlx_lm(sampling: Sampling, seed: int) -> None:
    logits = random_logits(seed, FEW)
    allowed = np.flatnonzero(np.array(filtered(logits, sampling)) > -np.inf)
    assert sorted(many(logits, sampling._replace(temperature=1e4), 400)) == allowed.tolist()


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("sampling", FILTERS)
def test_tokens_come_as_often_as_their_probabilities_say(sampling: Sampling, temperature: float) -> None:
    logits = random_logits(99, FEW)
    count = 4000
    expected = np.array(mx.softmax(filtered(logits, sampling) / temperature)) * count
    drawn = many(logits, sampling._replace(temperature=temperature), count)
    seen = np.array([drawn[token] for token in range(FEW)])
    assert not seen[expected == 0].any()
    possible = expected > 0
    surprise = float((((seen - expected) ** 2)[possible] / expected[possible]).sum())
    freedom = int(possible.sum()) - 1
    assert surprise < freedom + 5 * (2 * freedom) ** 0.5 + 1


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(temperature=1.0, top_k=1),
        Sampling(temperature=1e4, top_k=1),
        Sampling(temperature=1.0, top_p=1e-4),
        Sampling(temperature=1e4, top_p=1e-4),
        Sampling(temperature=1e4, min_p=1.0),
        Sampling(temperature=1e-4),
        Sampling(temperature=1e-4, top_k=2000),
        Sampling(temperature=1e-4, top_p=0.99, top_k=50, min_p=0.01),
        Sampling(),
        Sampling(top_k=3, top_p=0.5),
    ],
)
@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_the_sharpest_parameters_take_the_most_probable_token(sampling: Sampling, scale: float) -> None:
    logits = random_logits(3, 8, VOCABULARY, scale=scale)
    best: Any = mx.argmax(logits, axis=-1).tolist()
    assert draw(logits, [row(sampling, seed=seed) for seed in range(8)]) == best


def test_the_highest_temperature_draws_every_token() -> None:
    assert set(many(random_logits(4, FEW, scale=10.0), Sampling(temperature=1e4), 400)) == set(range(FEW))


@pytest.mark.parametrize("top_p", [1e-6, 0.05, 0.5, 0.95, 0.999999])
@pytest.mark.parametrize("scale", [0.0, 0.01, 1.0, 8.0])
@pytest.mark.parametrize("temperature", [0.5, 1e4])
def test_top_p_alone_draws_nothing_that_it_rules_out_however_flat_a_large_vocabulary_is(
    top_p: float, scale: float, temperature: float
) -> None:
    size, count = 20_000, 8
    logits = random_logits(11, count, size, scale=scale)
    tokens = draw(logits, [row(Sampling(temperature, top_p), seed=seed) for seed in range(count)])
    for own, token in zip(np.array(logits).astype(np.float64), tokens, strict=True):
        chances = np.exp(own - own.max()) / np.exp(own - own.max()).sum()
        assert chances[chances > chances[token]].sum() < top_p + 1e-4


def test_top_p_alone_draws_the_token_with_the_largest_noisy_score_of_those_that_pass() -> None:
    size, seed = 5_000, 12
    for number in range(40):
        logits = random_logits(number, size, scale=1 + number / 10)
        drawn = row(Sampling(1.3, 0.3), seed=seed + number)
        keys = [mx.array([[word]], dtype=mx.uint32) for word in row(Sampling(), seed=seed + number).key()]
        scores = np.array(logits / 1.3 + gumbel(mx.arange(size)[None], *keys)[0])
        passed = np.array(filtered(logits, Sampling(top_p=0.3))) > -np.inf
        assert draw(logits[None], [drawn]) == [int(np.where(passed, scores, -np.inf).argmax())]


@pytest.mark.parametrize("sampling", FILTERS)
@pytest.mark.parametrize("temperature", [1e-4, 1.0, 1e4])
def test_what_has_no_probability_is_never_drawn(sampling: Sampling, temperature: float) -> None:
    logits = mx.where(mx.arange(FEW) % 3 == 1, random_logits(5, FEW), -float("inf"))
    assert {token % 3 for token in many(logits, sampling._replace(temperature=temperature), 200)} == {1}


@pytest.mark.parametrize("dtype", [mx.float16, mx.bfloat16])
@pytest.mark.parametrize("sampling", MIXED)
def test_logits_of_16_bits_are_drawn_from_as_if_they_had_32(dtype: mx.Dtype, sampling: Sampling) -> None:
    logits = random_logits(6, 16, VOCABULARY).astype(dtype)
    rows = [[row(sampling, seed=seed) for seed in range(16)] for _ in range(2)]
    assert draw(logits, rows[0]) == draw(logits.astype(mx.float32), rows[1])


@pytest.mark.parametrize("seed", range(6))
def test_a_rows_token_does_not_depend_on_the_other_rows(seed: int) -> None:
    order = chooser(seed)
    kinds = [MIXED[place % len(MIXED)] for place in range(32)]
    prompts = [[order.randrange(VOCABULARY) for _ in range(order.randrange(1, 40))] for _ in range(32)]
    logits = random_logits(seed, 32, VOCABULARY)
    new = [lambda i=i: row(kinds[i], seed=i, prompt=prompts[i]) for i in range(32)]
    alone = [draw(logits[i : i + 1], [new[i]()])[0] for i in range(32)]
    for width in (32, 32, 17, 5):
        places = order.sample(range(32), width)
        assert draw(logits[mx.array(places)], [new[i]() for i in places]) == [alone[i] for i in places]


def test_the_caller_keeps_its_logits() -> None:
    logits = random_logits(7, len(MIXED), VOCABULARY)
    before = np.array(logits)
    draw(logits, [row(sampling) for sampling in MIXED])
    assert np.array_equal(np.array(logits), before)


class Reference:
    """The demo model, asked for one token after another by recomputing everything, with penalties in NumPy."""

    def __init__(self) -> None:
        self._model = load_model(DEMO, LoadOptions(), SystemMachine()).model

    def logits(self, tokens: Sequence[int]) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.array(self._model(mx.array([list(tokens)]))[0, -1].astype(mx.float32)).astype(np.float64)

    def greedy(self, request: GenerationRequest) -> list[int]:
        made: list[int] = []
        while len(made) < request.max_tokens:
            logits = penalised(self.logits((*request.prompt, *made)), request, made)
            token = int(logits.argmax())
            if token in ENDS:
                break
            made.append(token)
        return made


def penalised(
    logits: np.ndarray[Any, np.dtype[np.float64]], request: GenerationRequest, made: list[int]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Repetition by mlx-lm's own processor, presence and frequency as OpenAI writes them, then the biases."""
    sampling = request.sampling
    if sampling.repetition_penalty != 1:
        penalty = make_repetition_penalty(sampling.repetition_penalty, 20)
        seen = mx.array([*request.prompt, *made])
        logits = np.array(penalty(seen, mx.array(logits.astype(np.float32))[None])[0]).astype(np.float64)
    for token, count in Counter(made).items():
        logits[token] -= sampling.presence_penalty + count * sampling.frequency_penalty
    for token, bias in sampling.logit_bias:
        logits[token] += bias
    return logits


@pytest.fixture(scope="module")
def engine() -> Iterator[MlxEngine]:
    with closing(MlxEngineLoader(SystemMachine()).load(DEMO, CACHE)) as engine:
        yield engine


@pytest.fixture(scope="module")
def reference() -> Reference:
    return Reference()


@pytest.fixture(scope="module")
def prompts(engine: MlxEngine) -> list[tuple[int, ...]]:
    questions = ("How do I list my models?", "Count to nine.", "hello", "What is a snapshot? Tell me everything.")
    rendered = [engine.render([Message("user", question)]).tokens for question in questions]
    return [*rendered, (7,), (7, 7, 7), tuple(engine.tokenize("a b a b a b a b a b a b a b"))]


PENALTIES = [
    Sampling(repetition_penalty=1.3),
    Sampling(repetition_penalty=0.6),
    Sampling(presence_penalty=1.5),
    Sampling(frequency_penalty=0.8),
    Sampling(presence_penalty=-1.0, frequency_penalty=-0.3),
    Sampling(repetition_penalty=1.2, presence_penalty=0.5, frequency_penalty=0.4, logit_bias=((65, 2.0), (70, -4.0))),
]


@pytest.mark.parametrize("sampling", PENALTIES)
def test_penalties_are_those_of_the_reference_over_whole_answers(
    engine: MlxEngine, reference: Reference, prompts: list[tuple[int, ...]], sampling: Sampling
) -> None:
    for prompt in prompts[1:6:2]:
        request = GenerationRequest(prompt, 32, sampling)
        assert answered(engine, request).tokens == reference.greedy(request)


def test_penalties_hold_while_rows_join_and_leave(
    engine: MlxEngine, reference: Reference, prompts: list[tuple[int, ...]]
) -> None:
    kinds = [Sampling(), *PENALTIES]
    requests = [
        GenerationRequest(prompts[place % len(prompts)], 4 + 3 * place, kinds[(place * 5) % len(kinds)])
        for place in range(10)
    ]
    started = []
    for request in reversed(requests):
        started.append(Listener(engine, request))
        started[-1].wait_for(Delta)  # it decodes already when the next comes
    for listener, request in zip(started, reversed(requests), strict=True):
        listener.finished()
        assert listener.tokens == reference.greedy(request)


def test_a_bias_forces_and_bans(engine: MlxEngine, prompts: list[tuple[int, ...]]) -> None:
    forced = GenerationRequest(prompts[0], 5, Sampling(logit_bias=((300, 100.0),)))
    assert answered(engine, forced).tokens == [300] * 5
    usual = answered(engine, GenerationRequest(prompts[0], 8)).tokens
    banned = Sampling(logit_bias=tuple((token, -100.0) for token in set(usual)))
    assert not set(usual) & set(answered(engine, GenerationRequest(prompts[0], 8, banned)).tokens)


@pytest.mark.parametrize("most", [0, 1, 5, 20])
@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=1.5, seed=3),
        Sampling(temperature=2.0, top_k=50, top_p=0.9, seed=4),
        Sampling(repetition_penalty=1.5, presence_penalty=1.0, logit_bias=((300, 5.0), (0, -100.0), (2, -100.0))),
    ],
)
def test_log_probabilities_are_the_models_own(
    engine: MlxEngine, reference: Reference, prompts: list[tuple[int, ...]], sampling: Sampling, most: int
) -> None:
    requests = [
        GenerationRequest(prompt, 6, sampling, logprobs=asked)
        for prompt, asked in zip(prompts[:4], (most, None, 3, most), strict=True)
    ]
    for request, answer in zip(requests, all_answered(engine, requests), strict=True):
        if request.logprobs is None:
            assert answer.logprobs == []
            continue
        assert [entry.chosen.token for entry in answer.logprobs] == answer.tokens
        tokens = list(request.prompt)
        for entry in answer.logprobs:
            logits = reference.logits(tokens)
            own = logits - np.log(np.exp(logits - logits.max()).sum()) - logits.max()
            assert entry.chosen.logprob == pytest.approx(own[entry.chosen.token], abs=2e-3)
            assert [chance.logprob for chance in entry.top] == pytest.approx(
                sorted(own)[::-1][: request.logprobs], abs=2e-3
            )
            assert [own[chance.token] for chance in entry.top] == pytest.approx(
                [chance.logprob for chance in entry.top], abs=2e-3
            )
            assert len({chance.token for chance in entry.top}) == request.logprobs
            tokens.append(entry.chosen.token)


@pytest.mark.parametrize("script", range(3))
def test_a_seeded_text_is_the_same_alone_and_among_rows_that_come_and_go(
    engine: MlxEngine, prompts: list[tuple[int, ...]], script: int
) -> None:
    choose = chooser(script)
    requests = [
        GenerationRequest(
            choose.choice(prompts),
            choose.randrange(1, 40),
            MIXED[place % len(MIXED)]._replace(seed=choose.randrange(2**64)),
            logprobs=choose.choice([None, None, 0, 4]),
        )
        for place in range(32)
    ]
    alone = [answered(engine, request).tokens for request in requests]
    order = list(range(32))
    choose.shuffle(order)
    started: dict[int, Listener] = {}
    guests: list[Listener] = []
    for place in order:
        started[place] = Listener(engine, requests[place])
        match choose.randrange(4):
            case 0:
                started[place].wait_for(Delta)
            case 1:
                guests.append(Listener(engine, GenerationRequest(choose.choice(prompts), 500, MIXED[1])))
            case 2 if guests:
                engine.cancel(guests.pop().request_id)
            case _:
                pass
    for guest in guests:
        engine.cancel(guest.request_id)
    for place, listener in started.items():
        listener.finished()
        assert listener.tokens == alone[place]
