"""Requests of careless programs: whatever the type of a value, the answer is one sentence that names the parameter."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.ports.checking import check_request
from mlxk2.ports.engine import EngineInfo
from mlxk2.ports.errors import ContextExceeded, ValidationError
from mlxk2.ports.generation import GenerationRequest, Sampling, Structure

INFO = EngineInfo(has_chat_template=True, has_thinking_switch=False, vocab_size=100, context_length=50)
GOOD = GenerationRequest((1, 2, 3), 10)
HUGE = 10**5000
"""Python refuses to write so long an integer in decimal."""


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def kind(value: object) -> str:
    return type(value).__name__


def refusal(request: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        check_request(request, INFO)
    assert "\n" not in caught.value.message
    assert len(caught.value.message) < 300
    return caught.value.message


def with_sampling(**changes: Any) -> GenerationRequest:
    return GOOD._replace(sampling=Sampling()._replace(**changes))


@pytest.mark.parametrize(
    "good",
    [
        GOOD,
        GOOD._replace(prompt=tuple(range(49))),
        GOOD._replace(max_tokens=2**63 - 1),
        GOOD._replace(logprobs=0),
        GOOD._replace(logprobs=20),
        GOOD._replace(borders=(1, 3)),
        GOOD._replace(structure=Structure("json_schema", "{}")),
        GOOD._replace(structure=Structure("json_schema", "true")),
        GOOD._replace(structure=Structure("regex", "(")),
        with_sampling(temperature=1, top_p=1, top_k=2**40, min_p=1, seed=2**64 - 1),
        with_sampling(temperature=0.0, top_p=1e-4, min_p=1e-4, seed=0),
        with_sampling(repetition_penalty=0.01, presence_penalty=-2, frequency_penalty=2.0),
        with_sampling(logit_bias=((0, -100), (99, 100.0))),
    ],
)
def test_what_an_engine_can_do_passes(good: GenerationRequest) -> None:
    check_request(good, INFO)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        (None, "The request is None: it must be a GenerationRequest"),
        (GOOD._replace(prompt=()), "prompt is empty: it must hold at least one token id"),
        (
            GOOD._replace(prompt=(1, 100)),
            "prompt[1] is 100, which is no token: it must be a whole number from 0 to 99",
        ),
        (
            GOOD._replace(max_tokens=0),
            "max_tokens 0 is out of range: it must be a whole number from 1 to 2^63-1",
        ),
        (
            with_sampling(temperature=-1),
            "temperature -1 is out of range: it must be 0, or from 0.0001 to 10000",
        ),
        (
            with_sampling(logit_bias=((100, 1.0),)),
            "logit_bias names 100, which is no token: it must be a whole number from 0 to 99",
        ),
        (
            with_sampling(logit_bias=((7, math.nan),)),
            "logit_bias of token 7 nan is out of range: it must be between -100 and 100",
        ),
        (
            with_sampling(logit_bias=((7, 1.0), (7, 2.0))),
            "logit_bias names a token twice: it must name each one once",
        ),
        (
            GOOD._replace(borders=(3, 2)),
            "borders are (3, 2): they must be whole numbers from 1 to 3, each above the one before",
        ),
    ],
)
def test_the_sentence_says_what_is_wrong_and_what_would_be_right(wrong: Any, sentence: str) -> None:
    assert refusal(wrong) == sentence


@pytest.mark.parametrize(
    "prompt", ["hello", b"hello", None, 5, [1, 2], {1: 2}, ("1",), (1.0,), (True,), (None,), (-1,), (HUGE,), (1, (2,))]
)
def test_a_prompt_is_a_tuple_of_token_ids_and_nothing_else(prompt: Any) -> None:
    assert refusal(GOOD._replace(prompt=prompt)).startswith("prompt")


@pytest.mark.parametrize("field", ["max_tokens", "logprobs"])
@pytest.mark.parametrize("value", [-1, 1.0, "3", True, math.nan, HUGE, (), Unshowable()], ids=kind)
def test_counts_are_whole_numbers(field: str, value: Any) -> None:
    assert refusal(GOOD._replace(**{field: value})).startswith(field)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("temperature", [-0.1, 1e-39, 1e5]),
        ("top_p", [0, -0.5, 1.01, 1e-320]),
        ("top_k", [-1, 1.0, 2**63]),
        ("min_p", [-0.1, 1.5, 1e-9]),
        ("repetition_penalty", [0, -1, 101]),
        ("presence_penalty", [-2.1, 3]),
        ("frequency_penalty", [-2.1, 3]),
        ("seed", [-1, 2**64, 1.5]),
        ("logit_bias", [{1: 2.0}, ((1,),), ((1, 2.0, 3.0),), ((1.0, 2.0),), ((-1, 0.0),), ((True, 0.0),), [(1, 2.0)]]),
        ("logit_bias", [((1, 101.0),), ((1, -math.inf),), ((1, "5"),), ((1, None),), ((HUGE, 1.0),), ((1, HUGE),)]),
    ],
)
def test_sampling_outside_its_range_is_refused_by_name(name: str, values: list[Any]) -> None:
    for value in values:
        assert refusal(with_sampling(**{name: value})).startswith(name)


@pytest.mark.parametrize(
    "name", ["temperature", "top_p", "top_k", "min_p", "repetition_penalty", "presence_penalty", "frequency_penalty"]
)
@pytest.mark.parametrize("value", [None, "0.5", True, math.nan, math.inf, HUGE, -HUGE, [], Unshowable()], ids=kind)
def test_a_sampling_parameter_of_another_type_is_refused_by_name(name: str, value: Any) -> None:
    assert refusal(with_sampling(**{name: value})).startswith(name)


@pytest.mark.parametrize("sampling", [None, 0.7, {"temperature": 1}, "greedy"])
def test_sampling_is_a_sampling(sampling: Any) -> None:
    assert refusal(GOOD._replace(sampling=sampling)).startswith("sampling")


@pytest.mark.parametrize(
    "structure",
    [
        "json",
        {"type": "object"},
        Structure("yaml", "a"),  # type: ignore[arg-type]
        Structure([], "a"),  # type: ignore[arg-type]
        Structure("regex", ""),
        Structure("regex", None),  # type: ignore[arg-type]
        Structure("lark", b"start: A"),  # type: ignore[arg-type]
        Structure("lark", "\ud800"),
        Structure("json_schema", "{not json"),
        Structure("json_schema", "[1]"),
        Structure("json_schema", "[" * 100_000),
    ],
)
def test_a_structure_is_a_known_kind_and_a_text(structure: Any) -> None:
    assert "tructure" in refusal(GOOD._replace(structure=structure)) or "JSON schema" in refusal(
        GOOD._replace(structure=structure)
    )


@pytest.mark.parametrize("borders", [None, [1], (0,), (4,), (1, 1), (1.0,), ("1",), (True,), (HUGE,)])
def test_borders_lie_in_the_prompt_and_rise(borders: Any) -> None:
    assert refusal(GOOD._replace(borders=borders)).startswith("borders")


def test_a_prompt_that_leaves_no_room_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextExceeded) as caught:
        check_request(GOOD._replace(prompt=(1,) * 50), INFO)
    assert (caught.value.prompt_tokens, caught.value.context_length) == (50, 50)
    assert "50 tokens" in caught.value.message


def test_a_limit_beyond_the_context_is_allowed() -> None:
    check_request(GOOD._replace(max_tokens=1000), INFO)


def test_a_model_of_unknown_context_takes_every_length() -> None:
    check_request(GOOD._replace(prompt=(1,) * 10_000), INFO._replace(context_length=None))


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.tuples(inner) | st.dictionaries(st.text(), inner),
)


@given(ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING, ANYTHING)
def test_no_value_of_any_type_gets_another_answer_than_a_validation_error(
    prompt: Any, max_tokens: Any, value: Any, logprobs: Any, structure: Any, borders: Any
) -> None:
    sampling = Sampling(value, value, value, value, value, value, value, value, value)
    for request in (
        GenerationRequest(prompt, 5, Sampling(), logprobs, structure, borders),
        GenerationRequest((1,), max_tokens, sampling),
        GenerationRequest((1,), 5, Sampling(logit_bias=value), None, structure, borders),
        GenerationRequest((1,), 5, Sampling(logit_bias=((value, value),)), None, None, borders),
        GenerationRequest((1,), 5, Sampling(), None, Structure(value, structure)),
    ):
        try:
            check_request(request, INFO)
        except ValidationError as error:
            assert error.message  # noqa: PT017 - most of these are refused, some may be right by chance
