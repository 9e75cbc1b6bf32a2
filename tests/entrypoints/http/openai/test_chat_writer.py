"""Chat answers as OpenAI's API writes them, byte by byte, in pieces and whole."""

import json
from typing import Any

import msgspec
import pytest

from mlxk2 import __version__
from mlxk2.domain.text.reader import Reading
from mlxk2.entrypoints.http.errors import Problem
from mlxk2.entrypoints.http.openai.chat.logprobs import logprobs_of
from mlxk2.entrypoints.http.openai.chat.parse import CHAT_NAMES
from mlxk2.entrypoints.http.openai.chat.replies import ChatChunk, ChatCompletion
from mlxk2.entrypoints.http.openai.chat.writer import ChatWriter
from mlxk2.entrypoints.http.openai.manner import Manner
from mlxk2.ports.errors import Overloaded
from mlxk2.ports.generation import FinishReason, TokenLogprobs
from tests.entrypoints.http.openai.answering import CALL, Said, Session, chance, chunks_of

ALL = ("<think>", "hm", "</think>", "Yes ", CALL)
HEAD = (
    'data: {"id":"chatcmpl-0123456789abcdef01234567","object":"chat.completion.chunk","created":1700000000,'
    '"model":"org/demo","system_fingerprint":"mlxk2-VERSION","choices":['
)
STREAM = f"""\
{HEAD}{{"index":0,"delta":{{"content":"","role":"assistant","refusal":null}},"logprobs":null,"finish_reason":null}}]}}

{HEAD}{{"index":0,"delta":{{"reasoning_content":"hm","reasoning":"hm"}},"logprobs":null,"finish_reason":null}}]}}

{HEAD}{{"index":0,"delta":{{"content":"Yes"}},"logprobs":null,"finish_reason":null}}]}}

{HEAD}{{"index":0,"delta":{{"tool_calls":[{{"index":0,"id":"abcdefgh0","type":"function",\
"function":{{"name":"f","arguments":"{{\\"a\\": 1}}"}}}}]}},"logprobs":null,"finish_reason":null}}]}}

{HEAD}{{"index":0,"delta":{{}},"logprobs":null,"finish_reason":"tool_calls"}}]}}

data: [DONE]

"""


def session(*said: Said, stops: tuple[str, ...] = (), **manner: Any) -> Session:
    return Session(ChatWriter(Manner(**manner)), said, stops, each=len(said))


def test_a_stream_byte_by_byte() -> None:
    assert session(Said(ALL)).streamed().decode() == STREAM.replace("VERSION", __version__)


def test_usage_is_null_until_the_last_chunk_which_has_no_choices() -> None:
    chunks = chunks_of(session(Said(ALL), usage=True).streamed())
    assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * 5
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == {
        "prompt_tokens": 7,
        "completion_tokens": 6,
        "total_tokens": 13,
        "prompt_tokens_details": {"cached_tokens": 4},
        "completion_tokens_details": {"reasoning_tokens": 3},
    }


def test_answers_to_one_prompt_come_as_they_are_made() -> None:
    chunks = chunks_of(session(Said(["a", "b"]), Said(["c"])).streamed())
    told = [(one["choices"][0]["index"], one["choices"][0]["delta"].get("content")) for one in chunks]
    assert told == [(0, ""), (1, ""), (0, "a"), (1, "c"), (0, "b"), (1, None), (0, None)]


def test_a_prompt_with_several_answers_is_counted_once() -> None:
    usage = session(Said(["a", "b"]), Said(["c"])).whole()["usage"]
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (7, 5)


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (Said(["a"]), "stop"),
        (Said(["a"], FinishReason.LENGTH), "length"),
        (Said([CALL]), "tool_calls"),
        (Said([CALL, "<tool"], FinishReason.LENGTH), "length"),
    ],
)
def test_the_reason_of_the_end_is_true(said: Said, reason: str) -> None:
    assert chunks_of(session(said).streamed())[-1]["choices"][0]["finish_reason"] == reason
    assert session(said).whole()["choices"][0]["finish_reason"] == reason


def test_an_answer_that_lost_its_engine_has_no_end() -> None:
    with pytest.raises(Overloaded, match="ask again"):
        session(Said(["a"], FinishReason.CANCELLED)).streamed()


def test_what_follows_a_stop_string_is_neither_said_nor_counted() -> None:
    whole = session(Said(["a", "b", "c", "d"], FinishReason.CANCELLED), stops=("c",), logprobs=True).whole()
    (choice,) = whole["choices"]
    assert (choice["message"]["content"], choice["finish_reason"]) == ("ab", "stop")
    assert whole["usage"]["completion_tokens"] == len(choice["logprobs"]["content"]) == 3


def test_a_whole_answer_with_everything() -> None:
    whole = session(Said(ALL)).whole()
    assert whole["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "Yes",
                "refusal": None,
                "reasoning_content": "hm",
                "reasoning": "hm",
                "tool_calls": [
                    {"id": "abcdefgh0", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}
                ],
            },
            "logprobs": None,
            "finish_reason": "tool_calls",
        }
    ]
    assert (whole["object"], whole["id"][:9], whole["created"]) == ("chat.completion", "chatcmpl-", 1700000000)


def test_an_answer_without_text_has_content_unless_there_are_calls() -> None:
    assert session(Said([])).whole()["choices"][0]["message"]["content"] == ""
    assert session(Said([CALL])).whole()["choices"][0]["message"]["content"] is None


def test_log_probabilities_have_their_bytes() -> None:
    (choice,) = session(Said(["ä", "\ufffd"]), logprobs=True).whole()["choices"]
    first, half = choice["logprobs"]["content"]
    top = [
        {"token": "ä", "logprob": -0.5, "bytes": [195, 164]},
        {"token": "~", "logprob": -2.0, "bytes": [126]},
    ]
    assert first == {**top[0], "top_logprobs": top}
    assert half["bytes"] is None


def test_log_probabilities_of_text_that_is_held_back_come_without_text() -> None:
    chunks = chunks_of(session(Said(["a", "b", "x"]), stops=("ab!",), logprobs=True).streamed())
    told = [(one["choices"][0]["delta"], one["choices"][0]["logprobs"] is not None) for one in chunks[1:-1]]
    assert told == [({}, True), ({}, True), ({"content": "abx"}, True)]


def test_a_token_that_cannot_come_has_the_number_that_stands_for_it() -> None:
    told = logprobs_of([TokenLogprobs(chance("a"), (chance("b", float("-inf")),))])
    assert told.content[0].top_logprobs[0].logprob == -9999.0


def test_timings_come_at_the_end_when_asked_for() -> None:
    timings = {
        "load_seconds": 1.0,
        "queue_seconds": 0.25,
        "first_token_seconds": 1.5,
        "total_seconds": 2.0,
        "tokens_per_second": 4.0,
    }
    assert session(Said(["a", "b"]), timings=True).whole()["timings"] == timings
    last = chunks_of(session(Said(["a", "b"]), timings=True).streamed())[-1]
    assert (last["timings"], last["choices"], "usage" in last) == (timings, [], False)
    assert "timings" not in session(Said(["a"])).whole()


def test_an_error_in_a_stream_names_the_client_s_own_parameter() -> None:
    problem = Problem(400, "invalid_request_error", "Too long.", "prompt", "context_length_exceeded")
    data = ChatWriter(Manner(names=CHAT_NAMES)).fail(problem)
    assert json.loads(data.removeprefix(b"data: ")) == {
        "error": {
            "message": "Too long.",
            "type": "invalid_request_error",
            "param": "messages",
            "code": "context_length_exceeded",
        }
    }
    assert data.endswith(b"\n\n")


def test_what_is_written_is_what_the_document_says() -> None:
    for chunk in chunks_of(session(Said(ALL), usage=True, timings=True, logprobs=True).streamed()):
        assert msgspec.to_builtins(msgspec.convert(chunk, ChatChunk)) == chunk
    whole = session(Said(ALL), logprobs=True, timings=True).whole()
    assert msgspec.to_builtins(msgspec.convert(whole, ChatCompletion)) == whole


def test_a_model_without_tools_says_calls_as_text() -> None:
    plain = Session(ChatWriter(Manner()), [Said([CALL])], reading=Reading())
    assert plain.whole()["choices"][0]["message"]["content"] == CALL
