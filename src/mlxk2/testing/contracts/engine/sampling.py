"""How tokens are drawn: seeds, filters and biases mean the same in any company."""

from mlxk2.ports.engine import Engine
from mlxk2.ports.generation import GenerationRequest, Sampling
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures
from mlxk2.testing.contracts.engine.listening import all_answered, answered

SEEDED = [
    Sampling(temperature=1.0, seed=1),
    Sampling(temperature=1.5, top_p=0.95, seed=2),
    Sampling(temperature=0.7, top_k=20, seed=2**64 - 1),
    Sampling(temperature=2.0, min_p=0.01, repetition_penalty=1.1, seed=0),
]

EXTREME = [
    Sampling(temperature=1e-4, seed=1),
    Sampling(temperature=1e4, seed=2),
    Sampling(temperature=1.0, top_p=1e-4, seed=3),
    Sampling(temperature=1.0, top_k=2**63 - 1, seed=4),
    Sampling(temperature=1.0, min_p=1e-4, seed=5),
    Sampling(temperature=1.0, min_p=1, seed=6),
    Sampling(repetition_penalty=0.01, presence_penalty=-2, frequency_penalty=-2),
    Sampling(repetition_penalty=100, presence_penalty=2, frequency_penalty=2),
    Sampling(temperature=1.0, top_p=1e-4, top_k=1, min_p=1, repetition_penalty=100, seed=7),
]


class Samples(EngineFixtures):
    def test_a_seeded_answer_is_the_same_alone_and_in_a_full_batch(
        self, engine: Engine, mixed: list[GenerationRequest]
    ) -> None:
        seeded = [mixed[0]._replace(sampling=sampling, max_tokens=24) for sampling in SEEDED]
        alone = [answered(engine, request).text for request in seeded]
        together = all_answered(engine, [*mixed[:6], *seeded, *mixed[6:]])[6 : 6 + len(seeded)]
        assert [answer.text for answer in together] == alone

    def test_another_seed_gives_another_text(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        requests = [GenerationRequest(prompt, 20, Sampling(temperature=3.0, seed=seed)) for seed in range(5)]
        assert len({answer.text for answer in all_answered(engine, requests)}) > 1

    def test_the_best_token_alone_is_the_greedy_answer(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        greedy = answered(engine, GenerationRequest(prompt, 20)).text
        assert answered(engine, GenerationRequest(prompt, 20, Sampling(temperature=2.0, top_k=1))).text == greedy

    def test_a_top_k_above_the_vocabulary_is_all_of_it(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        wide = Sampling(temperature=1.0, top_k=2**40, seed=3)
        everything = Sampling(temperature=1.0, seed=3)
        requests = [GenerationRequest(prompt, 12, sampling) for sampling in (wide, everything)]
        assert len({answer.text for answer in all_answered(engine, requests)}) == 1

    def test_the_ends_of_every_range_are_answered_and_disturb_nobody(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str]
    ) -> None:
        extreme = [mixed[0]._replace(sampling=sampling, max_tokens=12, logprobs=1) for sampling in EXTREME]
        answers = all_answered(engine, [*mixed[:6], *extreme])
        assert [answer.text for answer in answers[:6]] == quiet[:6]
        assert all(entry.chosen.logprob <= 0 for answer in answers for entry in answer.logprobs)

    def test_a_banned_token_does_not_appear(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        usual = answered(engine, GenerationRequest(prompt, 20)).tokens
        bias = tuple((token, -100.0) for token in sorted(set(usual[:3])))
        tokens = answered(engine, GenerationRequest(prompt, 20, Sampling(logit_bias=bias))).tokens
        assert not set(tokens) & set(usual[:3])

    def test_a_favoured_token_is_all_that_appears(self, engine: Engine, mixed: list[GenerationRequest]) -> None:
        usual = answered(engine, mixed[0]).tokens
        favoured = mixed[0]._replace(max_tokens=4, sampling=Sampling(logit_bias=((usual[1], 100.0),)))
        answers = all_answered(engine, [mixed[0], favoured, mixed[0]])
        assert answers[1].tokens == [usual[1]] * 4
        assert answers[0].tokens == answers[2].tokens == usual
