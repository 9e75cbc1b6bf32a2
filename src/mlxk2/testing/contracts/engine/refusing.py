"""Requests that are wrong, in the middle of good ones: each is told what is wrong, and nobody else notices.

`ports/checking.py` has tests of its own for every value; here is at least one of each kind, sent to the engine itself.
"""

import math
from typing import Any

import pytest

from mlxk2.ports.engine import Engine
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import GenerationRequest, Sampling
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures
from mlxk2.testing.contracts.engine.listening import Listener, all_answered

GOOD = GenerationRequest((1, 2, 3), 5)


def _sampled(**changes: Any) -> GenerationRequest:
    return GOOD._replace(sampling=Sampling()._replace(**changes))


WRONG: dict[str, Any] = {
    "no request": None,
    "empty prompt": GOOD._replace(prompt=()),
    "prompt of texts": GOOD._replace(prompt=("hi", "yo")),  # type: ignore[arg-type]
    "prompt is a text": GOOD._replace(prompt="hello"),  # type: ignore[arg-type]
    "prompt is None": GOOD._replace(prompt=None),  # type: ignore[arg-type]
    "negative token": GOOD._replace(prompt=(1, -1)),
    "token beyond the vocabulary": GOOD._replace(prompt=(1, 2**31)),
    "huge token": GOOD._replace(prompt=(10**5000,)),
    "token is True": GOOD._replace(prompt=(1, True)),
    "token is a float": GOOD._replace(prompt=(1.0, 2.0)),  # type: ignore[arg-type]
    "no tokens wanted": GOOD._replace(max_tokens=0),
    "fewer than no tokens": GOOD._replace(max_tokens=-5),
    "max_tokens is None": GOOD._replace(max_tokens=None),  # type: ignore[arg-type]
    "sampling is None": GOOD._replace(sampling=None),  # type: ignore[arg-type]
    "negative temperature": _sampled(temperature=-1.0),
    "temperature is nan": _sampled(temperature=math.nan),
    "temperature is infinite": _sampled(temperature=math.inf),
    "temperature is a text": _sampled(temperature="hot"),
    "top_p is 0": _sampled(top_p=0.0),
    "top_p above 1": _sampled(top_p=1.5),
    "negative top_k": _sampled(top_k=-1),
    "negative min_p": _sampled(min_p=-0.1),
    "min_p above 1": _sampled(min_p=1.1),
    "repetition_penalty is 0": _sampled(repetition_penalty=0.0),
    "repetition_penalty is nan": _sampled(repetition_penalty=math.nan),
    "presence_penalty is nan": _sampled(presence_penalty=math.nan),
    "frequency_penalty is infinite": _sampled(frequency_penalty=math.inf),
    "bias of a token beyond the vocabulary": _sampled(logit_bias=((2**31, 1.0),)),
    "bias of a negative token": _sampled(logit_bias=((-1, 1.0),)),
    "bias is nan": _sampled(logit_bias=((1, math.nan),)),
    "bias is a dictionary": _sampled(logit_bias={1: 1.0}),
    "negative seed": _sampled(seed=-1),
    "seed above 64 bits": _sampled(seed=2**64),
    "too many logprobs": GOOD._replace(logprobs=21),
    "negative logprobs": GOOD._replace(logprobs=-1),
    "structure is a text": GOOD._replace(structure="json"),  # type: ignore[arg-type]
    "borders beyond the prompt": GOOD._replace(borders=(4,)),
}


class Refusing(EngineFixtures):
    @pytest.mark.parametrize("wrong", WRONG.values(), ids=WRONG.keys())
    def test_a_wrong_request_is_told_in_one_sentence(self, engine: Engine, wrong: Any) -> None:
        error = Listener(engine, wrong).failure()
        assert isinstance(error, ValidationError)
        assert error.message
        assert "\n" not in error.message

    def test_wrong_requests_in_the_middle_of_good_ones_change_no_answer(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str]
    ) -> None:
        good: list[Listener] = []
        bad: list[Listener] = []
        wrong = list(WRONG.values())
        for place, request in enumerate(mixed):
            good.append(Listener(engine, request))
            bad += [Listener(engine, each) for each in wrong[place :: len(mixed)]]
        assert all(isinstance(listener.failure(), ValidationError) for listener in bad)
        assert [listener.finished() and listener.text for listener in good] == quiet
        assert [answer.text for answer in all_answered(engine, mixed)] == quiet
