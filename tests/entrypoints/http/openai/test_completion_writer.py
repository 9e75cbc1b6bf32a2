"""Continued texts as OpenAI's API writes them, in pieces and whole."""

from typing import Any

import msgspec
import pytest

from mlxk2 import __version__
from mlxk2.domain.text.reader import Reading
from mlxk2.entrypoints.http.openai.completions.replies import TextCompletion
from mlxk2.entrypoints.http.openai.completions.writer import CompletionWriter
from mlxk2.entrypoints.http.openai.manner import Manner
from mlxk2.ports.generation import FinishReason
from tests.entrypoints.http.openai.answering import Said, Session, chunks_of

HEAD = (
    'data: {"id":"cmpl-0123456789abcdef01234567","object":"text_completion","created":1700000000,"model":"org/demo",'
    '"choices":['
)
TAIL = '],"system_fingerprint":"mlxk2-VERSION"}'
STREAM = f"""\
{HEAD}{{"text":"a","index":0,"logprobs":null,"finish_reason":null}}{TAIL}

{HEAD}{{"text":"b","index":0,"logprobs":null,"finish_reason":null}}{TAIL}

{HEAD}{{"text":"","index":0,"logprobs":null,"finish_reason":"length"}}{TAIL}

data: [DONE]

"""


def session(
    *said: Said, stops: tuple[str, ...] = (), each: int = 1, echoes: tuple[str, ...] = (), **manner: Any
) -> Session:
    return Session(CompletionWriter(Manner(**manner), echoes), said, stops, each, Reading())


def test_a_stream_byte_by_byte() -> None:
    assert session(Said(["a", "b"], FinishReason.LENGTH)).streamed().decode() == STREAM.replace("VERSION", __version__)


def test_choices_are_numbered_through_all_prompts() -> None:
    choices = session(Said(["a"]), Said(["b"]), Said(["c"]), Said(["d"]), each=2).whole()["choices"]
    assert [(choice["index"], choice["text"]) for choice in choices] == [(0, "a"), (1, "b"), (2, "c"), (3, "d")]


def test_usage_counts_each_prompt_once() -> None:
    usage = session(Said(["a"]), Said(["b"]), Said(["c"]), Said(["d"]), each=2).whole()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"], usage["total_tokens"]) == (14, 8, 22)


def test_an_echo_comes_before_every_answer_to_its_prompt() -> None:
    def asked() -> Session:
        return session(Said(["a"]), Said(["b"]), Said(["c"]), Said(["d"]), each=2, echoes=("P", "Q"))

    chunks = chunks_of(asked().streamed())
    assert [chunk["choices"][0]["text"] for chunk in chunks[:4]] == ["P", "P", "Q", "Q"]
    assert [choice["text"] for choice in asked().whole()["choices"]] == ["Pa", "Pb", "Qc", "Qd"]


def test_log_probabilities_have_the_older_form() -> None:
    (choice,) = session(Said(["ab", "c"]), logprobs=True).whole()["choices"]
    assert choice["logprobs"] == {
        "tokens": ["ab", "c"],
        "token_logprobs": [-0.5, -0.5],
        "top_logprobs": [{"ab": -0.5, "~": -2.0}, {"c": -0.5, "~": -2.0}],
        "text_offset": [0, 2],
    }


def test_offsets_go_on_from_piece_to_piece() -> None:
    chunks = chunks_of(session(Said(["ab", "c"]), logprobs=True).streamed())
    assert [chunk["choices"][0]["logprobs"]["text_offset"] for chunk in chunks[:2]] == [[0], [2]]


@pytest.mark.parametrize(("said", "reason"), [(Said(["a"]), "stop"), (Said(["a"], FinishReason.LENGTH), "length")])
def test_the_reason_of_the_end_is_true(said: Said, reason: str) -> None:
    assert session(said).whole()["choices"][0]["finish_reason"] == reason


def test_usage_and_timings_come_last() -> None:
    *others, last = chunks_of(session(Said(["a"]), usage=True, timings=True).streamed())
    assert [chunk["usage"] for chunk in others] == [None, None]
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 9
    assert last["timings"]["total_seconds"] == 2.0


def test_what_is_written_is_what_the_document_says() -> None:
    for chunk in chunks_of(session(Said(["a"]), usage=True, timings=True, logprobs=True).streamed()):
        assert msgspec.to_builtins(msgspec.convert(chunk, TextCompletion)) == chunk
