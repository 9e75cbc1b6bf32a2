"""A crowd of every kind at once: what each promise says alone also holds beside all the others."""

from typing import Any

import pytest

from mlxk2.ports.engine import Engine
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Delta, FinishReason, GenerationRequest, Sampling
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures
from mlxk2.testing.contracts.engine.listening import Listener, answered
from mlxk2.testing.contracts.engine.structures import GRAMMAR, PATTERN, SCHEMA


class Crowds(EngineFixtures):
    @pytest.fixture(scope="class")
    @classmethod
    def good(cls, mixed: list[GenerationRequest]) -> list[GenerationRequest]:
        """Sixteen requests whose answers depend on nothing but themselves."""
        seeded = Sampling(temperature=0.8, top_k=5, seed=11)
        bent = Sampling(repetition_penalty=1.3, presence_penalty=0.4, frequency_penalty=0.2)
        short = mixed[0]._replace(max_tokens=20)
        return [
            *mixed[:6],
            *(request._replace(sampling=seeded, max_tokens=20) for request in mixed[6:9]),
            *(short._replace(structure=structure, max_tokens=60) for structure in (SCHEMA, PATTERN, GRAMMAR)),
            short._replace(structure=SCHEMA, sampling=seeded, logprobs=3, max_tokens=60),
            short._replace(sampling=bent, logprobs=0),
            short._replace(sampling=Sampling(logit_bias=((mixed[1].prompt[0], -100.0),)), logprobs=20),
            short._replace(prompt=mixed[9].prompt, logprobs=5),
        ]

    def test_nobody_in_a_crowd_of_all_kinds_is_mistaken_for_another(
        self, engine: Engine, good: list[GenerationRequest], endless: GenerationRequest
    ) -> None:
        alone = [answered(engine, request) for request in good]
        wrong: list[Any] = [None, good[0]._replace(prompt=()), good[0]._replace(max_tokens=0)]
        leaving = [Listener(engine, endless) for _ in wrong]
        refused: list[Listener] = []
        crowd: list[Listener] = []
        for place, request in enumerate(good):
            crowd.append(Listener(engine, request))
            refused += [Listener(engine, each) for each in wrong[place : place + 1]]
        for listener in leaving:
            listener.wait_for(Delta)
            engine.cancel(listener.request_id)
        assert all(isinstance(listener.failure(), ValidationError) for listener in refused)
        assert {listener.finished().reason for listener in leaving} == {FinishReason.CANCELLED}
        for request, one, among in zip(good, alone, crowd, strict=True):
            assert among.finished().reason is one.finished().reason, request
            assert among.text == one.text, request
            assert among.tokens == one.tokens
            assert [entry.chosen.token for entry in among.logprobs] == [entry.chosen.token for entry in one.logprobs]
