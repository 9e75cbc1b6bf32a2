"""The unmodified `anthropic` client, fed with what the writer writes; its own words come back."""

import json
from collections.abc import Iterator
from typing import Any

import anthropic
import httpx2
import pydantic
import pytest

from mlxk2.entrypoints.http.anthropic.parse import parse_message
from mlxk2.ports.generation import FinishReason
from tests.entrypoints.http.anthropic.answering import CALL, Said, streamed, whole
from tests.entrypoints.http.anthropic.asking import HELLO

SAID = Said(("<think>", "Hm", ".", "</think>", "\n\n", "See:", CALL))


class Wire:
    """A transport that answers with what an engine said; `bodies` are those that came."""

    def __init__(self, said: Said) -> None:
        self._said = said
        self.bodies: list[bytes] = []

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        self.bodies.append(request.read())
        if json.loads(self.bodies[-1]).get("stream"):
            headers = {"content-type": "text/event-stream"}
            return httpx2.Response(200, headers=headers, content=streamed(self._said))
        return httpx2.Response(200, json=whole(self._said))

    def client(self) -> anthropic.Anthropic:
        transport = httpx2.MockTransport(self)
        http = anthropic.DefaultHttpxClient(transport=transport)
        return anthropic.Anthropic(api_key="none", base_url="http://server", http_client=http, max_retries=0)


@pytest.fixture
def wire() -> Wire:
    return Wire(SAID)


@pytest.fixture
def client(wire: Wire) -> Iterator[anthropic.Anthropic]:
    with wire.client() as client:
        yield client


def ask(**fields: Any) -> dict[str, Any]:
    return {"model": "org/demo", "max_tokens": 100, "messages": [HELLO], **fields}


def test_a_stream_becomes_the_same_message_as_a_whole_answer(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ask()) as stream:
        streamed_message = stream.get_final_message()
    assert streamed_message.model_dump() == client.messages.create(**ask()).model_dump()
    assert [block.type for block in streamed_message.content] == ["thinking", "text", "tool_use"]


def test_the_text_streams(client: anthropic.Anthropic) -> None:
    with client.messages.stream(**ask()) as stream:
        assert "".join(stream.text_stream) == "See:"


def test_the_stop_sequence_and_the_usage_arrive() -> None:
    said = Said(("one", "END"), FinishReason.CANCELLED, ("END",))
    with Wire(said).client() as client, client.messages.stream(**ask(stop_sequences=["END"])) as stream:
        message = stream.get_final_message()
    assert (message.stop_reason, message.stop_sequence) == ("stop_sequence", "END")
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens, message.usage.output_tokens) == (3, 4, 2)


@pytest.mark.parametrize("streams", [True, False])
def test_a_message_that_comes_back_in_the_conversation_is_understood(
    wire: Wire, client: anthropic.Anthropic, *, streams: bool
) -> None:
    if streams:
        with client.messages.stream(**ask()) as stream:
            message: Any = stream.get_final_message()
    else:
        message = client.messages.create(**ask())
    call = message.content[-1]
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "fine"}
    turns = [HELLO, {"role": "assistant", "content": message.content}, {"role": "user", "content": [result]}]
    client.messages.create(**ask(messages=turns))
    _, answered, brought = parse_message(wire.bodies[-1]).question.messages
    assert (answered.content, answered.reasoning) == ("See:", "Hm.")
    assert (answered.tool_calls[0].name, json.loads(answered.tool_calls[0].arguments)) == ("f", {"a": 1})
    assert (brought.role, brought.content, brought.tool_call_id) == ("tool", "fine", answered.tool_calls[0].id)


class Answer(pydantic.BaseModel):
    city: str
    days: int


def test_a_typed_answer_is_asked_for_and_read() -> None:
    wire = Wire(Said(('{"city": "Ulm", ', '"days": 3}')))
    with wire.client() as client:
        message = client.messages.parse(**ask(output_format=Answer))
    assert message.parsed_output == Answer(city="Ulm", days=3)
    structure = parse_message(wire.bodies[-1]).question.options.structure
    assert structure is not None
    assert set(json.loads(structure.text)["properties"]) == {"city", "days"}
