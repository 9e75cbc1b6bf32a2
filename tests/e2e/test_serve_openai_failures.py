"""OpenAI's own client where something is wrong or it loses patience: typed errors, and nobody else is harmed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import OpenAI

from tests.e2e.openai_client import HELLO, WEATHER, asynchronous, connected, said
from tests.e2e.serving import DEMO, NEVER_ENDS, PATIENCE, RunningServer, eventually, running_server


@pytest.fixture(scope="module")
def server(demo_cache: Path) -> Iterator[RunningServer]:
    with running_server(demo_cache, "--model", "demo") as server:
        yield server


@pytest.fixture(scope="module")
def client(server: RunningServer) -> Iterator[OpenAI]:
    with connected(server) as client:
        yield client


def test_an_unknown_model_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="demmo", messages=HELLO)
    assert (caught.value.code, caught.value.param, caught.value.type) == (
        "model_not_found",
        "model",
        "invalid_request_error",
    )
    assert DEMO in caught.value.message
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no/such-model")


@pytest.mark.parametrize(
    ("wrong", "parameter"),
    [
        ({"temperature": 9e9}, "temperature"),
        ({"n": 0}, "n"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"logit_bias": {"5000000": 1}}, "logit_bias"),
        ({"extra_body": {"tempereture": 1}}, "tempereture"),
        ({"reasoning_effort": "much"}, "reasoning_effort"),
        ({"tools": [WEATHER], "tool_choice": {"type": "function", "function": {"name": "fly"}}}, "tool_choice"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": 5}}}}, None),
    ],
)
def test_a_wrong_parameter_is_named(client: OpenAI, wrong: Any, parameter: str | None) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="demo", messages=HELLO, **wrong)
    assert (caught.value.param or "").startswith(parameter or "response_format"), caught.value.message
    assert caught.value.type == "invalid_request_error"


def test_a_prompt_beyond_the_context_has_the_code_that_clients_look_for(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        said(client, "hello " * 5000)
    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


def test_a_body_that_is_too_large_is_told_so_and_no_broken_connection(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        said(client, "hello " * 2_000_000)
    assert (caught.value.status_code, caught.value.code) == (413, "request_too_large")


def test_a_stream_that_cannot_begin_is_a_typed_error(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        list(client.chat.completions.create(model="demo", messages=HELLO, stream=True, top_p=7))


def test_an_answer_can_be_found_again_in_the_servers_log(server: RunningServer, client: OpenAI) -> None:
    asked: Any = {"model": "demo", "messages": [{"role": "user", "content": "a very secret question"}]}
    raw = client.chat.completions.with_raw_response.create(**asked, extra_headers={"x-request-id": "mine-1"})
    assert (raw.headers["x-request-id"], raw.parse()._request_id) == ("mine-1", "mine-1")
    given = client.chat.completions.with_raw_response.create(**asked).headers["x-request-id"]
    assert eventually(lambda: f" {given} " in server.log())
    assert " mine-1 " in server.log()
    assert "secret" not in server.log()


def test_a_client_that_has_no_patience_frees_the_model(server: RunningServer, client: OpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).chat.completions.create(
            model="demo", messages=HELLO, logit_bias=NEVER_ENDS, max_tokens=1900, n=8
        )
    assert eventually(lambda: server.number("requests_running") == server.number("requests_waiting") == 0)
    assert said(client)


def test_a_stream_that_is_closed_early_frees_the_model(server: RunningServer, client: OpenAI) -> None:
    generated = server.number("generated_tokens_total")
    stream = client.chat.completions.create(
        model="demo", messages=HELLO, stream=True, logit_bias=NEVER_ENDS, max_tokens=1900
    )
    for chunk in stream:
        if chunk.choices[0].delta.content:
            break
    stream.close()
    assert eventually(lambda: server.number("requests_running") == 0)
    assert server.number("generated_tokens_total") - generated < 1900
    assert said(client)


def test_an_asynchronous_task_that_is_cancelled_frees_the_model(server: RunningServer, client: OpenAI) -> None:
    async def cancelled() -> None:
        async with asynchronous(server) as ask:
            begun = asyncio.Event()

            async def streaming() -> None:
                stream = await ask.chat.completions.create(
                    model="demo", messages=HELLO, stream=True, logit_bias=NEVER_ENDS, max_tokens=1900
                )
                async for _ in stream:
                    begun.set()

            task = asyncio.create_task(streaming())
            await asyncio.wait_for(begun.wait(), PATIENCE)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(cancelled())
    assert eventually(lambda: server.number("requests_running") == 0)
    assert said(client)


def test_keys_are_asked_for_where_they_are_set(demo_cache: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("sk-right\n")
    keys.chmod(0o600)
    with running_server(demo_cache, "--api-key-file", str(keys)) as server:
        with connected(server, "sk-wrong") as client:
            with pytest.raises(openai.AuthenticationError) as caught:
                client.models.list()
            assert caught.value.code == "invalid_api_key"
            assert "sk-wrong" not in caught.value.message
        with connected(server, "sk-right") as client:
            assert said(client)
