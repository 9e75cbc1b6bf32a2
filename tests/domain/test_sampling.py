"""Sampling: the user over the model's recommendation over greedy."""

import math

import pytest

from mlxk2.domain.sampling import SamplingChoice, check_choice, decide
from mlxk2.domain.snapshot import JsonObject
from mlxk2.domain.usecases.run_model import describe
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Sampling

RECOMMENDED: JsonObject = {"do_sample": True, "temperature": 0.6, "top_p": 0.95, "top_k": 20}


@pytest.mark.parametrize(
    ("choice", "config", "sampling"),
    [
        (SamplingChoice(), {}, Sampling()),
        (SamplingChoice(), {"temperature": 0.6}, Sampling()),
        (SamplingChoice(), RECOMMENDED, Sampling(temperature=0.6, top_p=0.95, top_k=20)),
        (SamplingChoice(top_k=5), RECOMMENDED, Sampling(temperature=0.6, top_p=0.95, top_k=5)),
        (SamplingChoice(temperature=0.0), RECOMMENDED, Sampling(temperature=0.0, top_p=0.95, top_k=20)),
        (SamplingChoice(temperature=1.5), RECOMMENDED, Sampling(temperature=1.5, top_p=0.95, top_k=20)),
        (SamplingChoice(top_p=0.5), {}, Sampling(temperature=1.0, top_p=0.5)),
        (SamplingChoice(seed=3), {}, Sampling(seed=3)),
        (SamplingChoice(), {"do_sample": True, "temperature": -1}, Sampling(temperature=1.0)),
        (SamplingChoice(), {"do_sample": True, "temperature": "hot", "top_k": True}, Sampling(temperature=1.0)),
        (SamplingChoice(), {"do_sample": True, "top_k": math.inf}, Sampling(temperature=1.0)),
        (SamplingChoice(repetition_penalty=1.2, min_p=0.1), {}, Sampling(1.0, min_p=0.1, repetition_penalty=1.2)),
    ],
)
def test_what_is_decided(choice: SamplingChoice, config: JsonObject, sampling: Sampling) -> None:
    assert decide(choice, config) == sampling


@pytest.mark.parametrize(
    ("choice", "option"),
    [
        (SamplingChoice(temperature=-0.1), "--temperature"),
        (SamplingChoice(temperature=math.nan), "--temperature"),
        (SamplingChoice(temperature=math.inf), "--temperature"),
        (SamplingChoice(temperature=1e-39), "--temperature"),
        (SamplingChoice(top_p=1e-320), "--top-p"),
        (SamplingChoice(min_p=1e-9), "--min-p"),
        (SamplingChoice(top_p=0.0), "--top-p"),
        (SamplingChoice(top_p=1.1), "--top-p"),
        (SamplingChoice(top_k=-1), "--top-k"),
        (SamplingChoice(min_p=1.5), "--min-p"),
        (SamplingChoice(repetition_penalty=0.0), "--repetition-penalty"),
        (SamplingChoice(seed=-1), "--seed"),
        (SamplingChoice(seed=2**64), "--seed"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(choice: SamplingChoice, option: str) -> None:
    with pytest.raises(ValidationError, match=f"{option} .* out of range"):
        check_choice(choice)


def test_sampling_is_described_in_words() -> None:
    assert describe(Sampling()) == "greedy"
    words = describe(Sampling(0.5, 0.9, 10, 0.05, 1.0, seed=3))
    assert words == "temperature 0.5, top-p 0.9, top-k 10, min-p 0.05, seed 3"
