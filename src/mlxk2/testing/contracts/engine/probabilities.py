"""Log-probabilities: one entry for each token of whoever asked, and nothing for the others."""

import pytest

from mlxk2.ports.engine import Engine
from mlxk2.ports.generation import GenerationRequest, Sampling
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures
from mlxk2.testing.contracts.engine.listening import all_answered, answered


class Probabilities(EngineFixtures):
    @pytest.mark.parametrize("asked", [0, 1, 5, 20])
    def test_every_token_has_its_entry_of_the_length_asked_for(
        self, engine: Engine, prompt: tuple[int, ...], asked: int
    ) -> None:
        answer = answered(engine, GenerationRequest(prompt, 200, logprobs=asked))
        assert [entry.chosen.token for entry in answer.logprobs] == answer.tokens
        assert {len(entry.top) for entry in answer.logprobs} == {asked}
        assert all(len(delta.logprobs) == len(delta.tokens) for delta in answer.deltas)

    def test_the_best_come_first_and_are_probabilities(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        for entry in answered(engine, GenerationRequest(prompt, 12, logprobs=20)).logprobs:
            values = [chance.logprob for chance in entry.top]
            assert values == sorted(values, reverse=True)
            assert values[0] <= 0
            assert len({chance.token for chance in entry.top}) == 20

    def test_a_greedy_answer_takes_the_best(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        for entry in answered(engine, GenerationRequest(prompt, 12, logprobs=3)).logprobs:
            assert entry.chosen == entry.top[0]

    def test_a_chance_carries_the_text_of_its_token(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        answer = answered(engine, GenerationRequest(prompt, 12, logprobs=2))
        assert "".join(entry.chosen.text for entry in answer.logprobs) == answer.text

    def test_nobody_else_gets_them_or_is_changed_by_them(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str]
    ) -> None:
        asking = [request._replace(logprobs=5) if place % 3 == 0 else request for place, request in enumerate(mixed)]
        answers = all_answered(engine, asking)
        assert [answer.text for answer in answers] == quiet
        for request, answer in zip(asking, answers, strict=True):
            assert bool(answer.logprobs) is (request.logprobs is not None)

    def test_they_are_the_models_own_before_bias_and_penalties(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        plain = answered(engine, GenerationRequest(prompt, 1, logprobs=20)).logprobs[0]
        changed = Sampling(temperature=1.7, repetition_penalty=1.3, logit_bias=((plain.top[0].token, 100.0),))
        biased = answered(engine, GenerationRequest(prompt, 1, changed, logprobs=20)).logprobs[0]
        assert biased.chosen.token == plain.chosen.token
        assert biased.chosen.logprob == pytest.approx(plain.chosen.logprob, abs=1e-3)
        assert [c.token for c in biased.top[:5]] == [c.token for c in plain.top[:5]]
