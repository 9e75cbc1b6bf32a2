"""Answers in Anthropic's words: exact events, whole messages, and that both say the same."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.entrypoints.http.anthropic.signatures import carrying
from mlxk2.entrypoints.http.anthropic.writer import MessageWriter
from mlxk2.entrypoints.http.errors import Problem
from mlxk2.ports.errors import Overloaded
from mlxk2.ports.generation import FinishReason
from tests.entrypoints.http.anthropic.answering import CALL, Said, events_of, streamed, whole

HELLO = """\
event: message_start
data: {"type":"message_start","message":{"type":"message","id":"msg_0123456789abcdef01234567","role":"assistant",\
"model":"org/demo","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":3,\
"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":0,"output_tokens_details":\
{"thinking_tokens":0}}}}

event: ping
data: {"type":"ping"}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"Hel"}}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"lo"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"end_turn","stop_sequence":null},"usage":{"input_tokens":3,\
"cache_creation_input_tokens":0,"cache_read_input_tokens":4,"output_tokens":3,"output_tokens_details":\
{"thinking_tokens":0}}}

event: message_stop
data: {"type":"message_stop"}

"""


def test_a_stream_is_these_events() -> None:
    assert streamed(Said(("Hel", "lo"))).decode() == HELLO


def test_thinking_ends_with_its_signature_and_a_call_comes_whole() -> None:
    events = events_of(streamed(Said(("<think>", "Hm", ".", "</think>", "See:", CALL))))
    blocks = [data for name, data in events if name.startswith("content_block")]
    assert blocks == [
        {"type": "content_block_start", "index": 0, "content_block": _thinking("", "")},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "Hm"}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "."}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "unsigned"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "See:"}},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": _call({})},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": '{"a": 1}'}},
        {"type": "content_block_stop", "index": 2},
    ]


def test_a_whole_message_has_the_same_blocks() -> None:
    message = whole(Said(("<think>", "Hm", ".", "</think>", "See:", CALL)))
    assert message == {
        "type": "message",
        "id": "msg_0123456789abcdef01234567",
        "model": "org/demo",
        "role": "assistant",
        "content": [_thinking("Hm.", "unsigned"), {"type": "text", "text": "See:"}, _call({"a": 1})],
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {
            "input_tokens": 3,
            "cache_read_input_tokens": 4,
            "cache_creation_input_tokens": 0,
            "output_tokens": 7,
            "output_tokens_details": {"thinking_tokens": 4},
        },
    }


def test_thinking_that_is_not_to_be_shown_travels_in_its_signature() -> None:
    said = Said(("<think>", "Hm", ".", "</think>", "Yes."))
    block = _thinking("", carrying("Hm."))
    assert whole(said, shows_thinking=False)["content"][0] == block
    stream = streamed(said, shows_thinking=False)
    assert b"Hm" not in stream
    assert accumulated(stream)["content"][0] == block


@pytest.mark.parametrize(
    ("said", "reason", "stop"),
    [
        (Said(("Yes.",)), "end_turn", None),
        (Said((CALL,)), "tool_use", None),
        (Said(("one", "two"), FinishReason.LENGTH, max_tokens=2), "max_tokens", None),
        (Said((CALL, "two"), FinishReason.LENGTH, max_tokens=2), "max_tokens", None),
        (Said(("one", "two"), FinishReason.LENGTH, max_tokens=3), "model_context_window_exceeded", None),
        (Said(("one", "END"), FinishReason.CANCELLED, ("never", "END")), "stop_sequence", "END"),
    ],
)
def test_why_a_message_ended_is_true(said: Said, reason: str, stop: str | None) -> None:
    message = whole(said)
    assert (message["stop_reason"], message["stop_sequence"]) == (reason, stop)
    assert accumulated(streamed(said)) == message


def test_an_answer_that_its_engine_broke_off_is_a_failure() -> None:
    for write in (whole, streamed):
        with pytest.raises(Overloaded, match="ask again"):
            write(Said(("one",), FinishReason.CANCELLED))


def test_tokens_after_a_stop_sequence_are_not_counted() -> None:
    message = whole(Said(("one", "END", "two"), FinishReason.CANCELLED, ("END",)))
    assert (message["content"][0]["text"], message["usage"]["output_tokens"]) == ("one", 2)


def test_an_answer_that_says_nothing_has_no_blocks() -> None:
    assert whole(Said(()))["content"] == []
    assert accumulated(streamed(Said(()))) == whole(Said(()))


def test_an_error_ends_a_stream_as_an_event() -> None:
    problem = Problem(400, "invalid_request_error", "too long", parameter="stop")
    assert events_of(MessageWriter("req_1").fail(problem)) == [
        (
            "error",
            {
                "type": "error",
                "error": {"type": "invalid_request_error", "message": "stop_sequences: too long"},
                "request_id": "req_1",
            },
        )
    ]


PIECES = st.lists(
    st.sampled_from(
        ["<think>", "</think>", CALL, "<tool", "_call>", "one", "\n\n", "END", "E", "N", "ä", "\u2028", '"']
    ),
    max_size=12,
)


@given(PIECES, st.booleans(), st.sampled_from([FinishReason.STOP, FinishReason.LENGTH]))
def test_a_stream_put_together_is_the_whole_message(pieces: list[str], shown: bool, reason: FinishReason) -> None:
    said = Said(pieces, reason, ("END",))
    assert accumulated(streamed(said, shows_thinking=shown)) == whole(said, shows_thinking=shown)


@given(PIECES)
def test_blocks_are_numbered_and_each_is_closed_before_the_next(pieces: list[str]) -> None:
    places = [(name, data["index"]) for name, data in events_of(streamed(Said(pieces))) if name.startswith("content")]
    edges = [place for place in places if place[0] != "content_block_delta"]
    count = len(edges) // 2
    assert edges == [(f"content_block_{edge}", index) for index in range(count) for edge in ("start", "stop")]
    assert [index for _, index in places] == sorted(index for _, index in places)


def accumulated(stream: bytes) -> Any:
    """The message that a client puts together, by what the API says of its events."""
    message: Any = None
    inputs: dict[int, str] = {}
    for _, data in events_of(stream):
        if data["type"] == "message_start":
            message = data["message"]
        elif data["type"] == "content_block_start":
            message["content"].append(data["content_block"])
        elif data["type"] == "content_block_delta":
            _add(message["content"][data["index"]], data["delta"], inputs, data["index"])
        elif data["type"] == "message_delta":
            message |= data["delta"]
            message["usage"] |= data["usage"]
    for index, text in inputs.items():
        message["content"][index]["input"] = json.loads(text)
    return message


def _add(block: Any, delta: Any, inputs: dict[int, str], index: int) -> None:
    if delta["type"] == "input_json_delta":
        inputs[index] = inputs.get(index, "") + delta["partial_json"]
        return
    for name in ("text", "thinking", "signature"):
        if name in delta:
            block[name] += delta[name]


def _thinking(text: str, signature: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": text, "signature": signature}


def _call(arguments: dict[str, Any]) -> dict[str, Any]:
    return {"type": "tool_use", "id": "toolu_abcdefgh0", "name": "f", "input": arguments}
