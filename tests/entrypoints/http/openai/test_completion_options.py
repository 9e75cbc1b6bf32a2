"""What a completion request asks for: prompts of every kind, echo, and OpenAI's own default limit."""

from typing import Any

import pytest

from tests.entrypoints.http.openai.asking import text, text_refused


@pytest.mark.parametrize(
    ("prompt", "prompts"),
    [
        ("a", ["a"]),
        ("", [""]),
        (["a", "b"], ["a", "b"]),
        ([1, 2, 3], [(1, 2, 3)]),
        ([[1, 2], [3]], [(1, 2), (3,)]),
    ],
)
def test_a_prompt_is_text_or_tokens_one_or_several(prompt: Any, prompts: list[Any]) -> None:
    assert [question.prompt for question in text(prompt=prompt).questions] == prompts


@pytest.mark.parametrize("prompt", [["a", 1], ["a", [1]], [1, [1]], [], [1.5], None, {"a": 1}, [None], [[True]]])
def test_any_other_prompt_is_refused(prompt: Any) -> None:
    parameter = text_refused(prompt=prompt).parameter
    assert parameter is not None
    assert parameter.startswith("prompt")


def test_a_request_without_a_limit_gets_sixteen_tokens() -> None:
    assert text().questions[0].options.max_tokens == 16
    assert text(max_tokens=3).questions[0].options.max_tokens == 3


def test_every_prompt_has_its_answers() -> None:
    asked = text(prompt=["a", "b"], n=3, stop="x", seed=5, logprobs=2)
    assert [question.options for question in asked.questions] == [asked.questions[0].options] * 2
    options = asked.questions[0].options
    assert (options.answers, options.stops, options.sampling.seed, options.logprobs) == (3, ("x",), 5, 2)


def test_an_echo_says_each_prompt() -> None:
    assert text(prompt=["a", "b"], echo=True).echoes == ("a", "b")
    assert text(prompt=["a", "b"], echo=False).echoes == ()


@pytest.mark.parametrize(
    ("fields", "parameter"),
    [
        ({"suffix": "end"}, "suffix"),
        ({"best_of": 2}, "best_of"),
        ({"best_of": 3, "n": 2}, "best_of"),
        ({"logprobs": 21}, "logprobs"),
        ({"logprobs": True}, "logprobs"),
        ({"echo": True, "logprobs": 1}, "echo"),
        ({"echo": True, "prompt": [1, 2]}, "echo"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"prompt": ["a"] * 129}, "prompt"),
        ({"prompt": ["a"] * 5, "n": 32}, "prompt"),
        ({"messages": []}, "messages"),
    ],
)
def test_what_cannot_be_done_is_named(fields: dict[str, Any], parameter: str) -> None:
    assert text_refused(**fields).parameter == parameter


def test_the_best_of_as_many_as_asked_for_are_all_of_them() -> None:
    assert text(best_of=2, n=2).questions[0].options.answers == 2
