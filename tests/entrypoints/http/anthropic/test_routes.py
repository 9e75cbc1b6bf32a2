"""The two paths, asked by the unmodified client, before a scripted engine: everything but the network."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import anthropic
import httpx2
import pytest
from starlette.types import ASGIApp

from mlxk2.adapters.memory import MemoryEngine
from mlxk2.adapters.memory.engine import MEMORY_INFO
from mlxk2.entrypoints.http.anthropic import OPERATIONS, routes
from mlxk2.ports.engine import Markers
from mlxk2.testing.models import DEFAULT_NAME
from tests.entrypoints.http.anthropic.answering import CALL
from tests.entrypoints.http.anthropic.asking import HELLO
from tests.entrypoints.http.scripted import KEY, with_door

T = TypeVar("T")
INFO = MEMORY_INFO._replace(
    has_thinking_switch=True,
    markers=Markers("<think>", "</think>", tool_format="json_tools"),
    context_length=6000,
)
TOOL: Any = {"name": "f", "input_schema": {"type": "object", "properties": {"a": {"type": "integer"}}}}


def script(prompt: str) -> str:
    """Thinks without end when it is to think, and says what it was asked."""
    if prompt.endswith("<think>"):
        return "hm " * 1000
    if prompt.endswith("</think>"):
        return "Yes."
    return f"You said: {prompt.splitlines()[-1]}"


def asking(ask: Callable[[anthropic.AsyncAnthropic], Awaitable[T]]) -> T:
    """What the client got of a server with one model."""
    engine = MemoryEngine(script, structured=lambda _, prompt: CALL if "function f" in prompt else "{}", info=INFO)

    async def talk(app: ASGIApp) -> T:
        http = anthropic.DefaultAsyncHttpxClient(transport=httpx2.ASGITransport(app))
        url = "http://127.0.0.1:8000"
        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=url, http_client=http, max_retries=0) as client:
            return await ask(client)

    return with_door(routes, engine, talk)


def fields(**more: Any) -> dict[str, Any]:
    return {"model": DEFAULT_NAME, "max_tokens": 500, "messages": [HELLO], **more}


def test_a_message_is_answered() -> None:
    message = asking(lambda client: client.messages.create(**fields()))
    assert (message.content[0].type, message.stop_reason, message.model) == ("text", "end_turn", DEFAULT_NAME)
    assert message.content[0].text == "You said: user: hello"
    assert message.usage.input_tokens == len("user: hello\n")


def test_a_message_streams() -> None:
    async def ask(client: anthropic.AsyncAnthropic) -> tuple[str, Any]:
        async with client.messages.stream(**fields(stop_sequences=["hello"])) as stream:
            text = "".join([piece async for piece in stream.text_stream])
            return text, await stream.get_final_message()

    text, message = asking(ask)
    assert (text, message.stop_reason, message.stop_sequence) == ("You said: user: ", "stop_sequence", "hello")


def test_a_tool_is_called() -> None:
    message = asking(lambda client: client.messages.create(**fields(tools=[TOOL], tool_choice={"type": "any"})))
    (call,) = message.content
    assert (message.stop_reason, call.type) == ("tool_use", "tool_use")
    assert (call.name, call.input) == ("f", {"a": 1})
    assert len(call.id) == len("toolu_") + 9


def test_thinking_ends_with_its_budget() -> None:
    thinking = {"type": "enabled", "budget_tokens": 1024}
    message = asking(lambda client: client.messages.create(**fields(max_tokens=2000, thinking=thinking)))
    thought, said = message.content
    assert (thought.type, said.type) == ("thinking", "text")
    assert thought.thinking == ("hm " * 1000)[:1024].strip()
    assert said.text == "Yes."
    assert message.usage.output_tokens == 1024 + len("</think>") + len("Yes.") + 1


def test_tokens_are_counted_as_an_answer_counts_them() -> None:
    asked = fields(system="Be brief.", tools=[TOOL])
    del asked["max_tokens"]
    count = asking(lambda client: client.messages.count_tokens(**asked))
    message = asking(lambda client: client.messages.create(**asked, max_tokens=9))
    assert count.input_tokens == message.usage.input_tokens > len("Be brief.hello")


def test_a_prompt_that_is_too_long_is_counted_all_the_same() -> None:
    asked: dict[str, Any] = {"model": DEFAULT_NAME, "messages": [{"role": "user", "content": "a" * 7000}]}
    assert asking(lambda client: client.messages.count_tokens(**asked)).input_tokens == 7000 + len("user: \n")


@pytest.mark.parametrize(
    ("more", "error", "told"),
    [
        ({"messages": []}, anthropic.BadRequestError, "messages: at least one message is required"),
        ({"stop_sequences": [""]}, anthropic.BadRequestError, "stop_sequences: stop must not be empty"),
        ({"max_tokens": -1}, anthropic.BadRequestError, "max_tokens"),
        ({"messages": [{"role": "user", "content": "a" * 7000}]}, anthropic.BadRequestError, "prompt is too long: "),
        ({"model": "unknown"}, anthropic.NotFoundError, "unknown"),
        (
            {"tools": [TOOL], "output_config": {"format": {"type": "json_schema", "schema": {}}}},
            anthropic.BadRequestError,
            "output_config.format: An answer cannot be held",
        ),
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_is_an_error_of_the_client_s_own(
    more: dict[str, Any], error: type[anthropic.APIStatusError], told: str, *, stream: bool
) -> None:
    with pytest.raises(error) as caught:
        asking(lambda client: client.messages.create(**fields(**more), stream=stream))
    body: Any = caught.value.body
    assert body["type"] == "error"
    assert told in body["error"]["message"]
    assert caught.value.request_id == body["request_id"]


def test_a_model_that_is_not_there_cannot_count() -> None:
    with pytest.raises(anthropic.NotFoundError, match="unknown"):
        asking(lambda client: client.messages.count_tokens(model="unknown", messages=[HELLO]))  # type: ignore[list-item]


def test_a_wrong_key_is_refused_in_the_api_s_words() -> None:
    with pytest.raises(anthropic.AuthenticationError) as caught:
        asking(lambda client: client.with_options(api_key="wrong").messages.create(**fields()))
    body: Any = caught.value.body
    assert body["error"]["type"] == "authentication_error"


def test_every_path_is_listed_as_an_operation() -> None:
    services: Any = None
    paths = {route.path for route in routes(services)}
    assert {operation.path for operation in OPERATIONS} == paths
