"""The flow that all answers take: when errors have a status, what ends the work, and what is let go."""

import asyncio
import json
import threading
from typing import Any

import pytest

from mlxk2.adapters.memory import MEMORY_INFO, MemoryEngine
from mlxk2.entrypoints.http import exchange
from mlxk2.entrypoints.http.context import HttpOptions
from mlxk2.entrypoints.http.errors import Problem
from mlxk2.ports.engine import KvCost, KvLayers, RequestId
from mlxk2.ports.errors import OperationError
from mlxk2.ports.generation import GenerationRequest, Sink
from tests.entrypoints.http.program import MODEL, Client, until, with_server

_CHAT = "/v1/chat/completions"
_ENDLESS = 60_000
_MEGABYTES = 30_000
"""Tokens of a stream that is larger than what sockets hold."""
_LOUD = {"logit_bias": {str(ord("x")): 100}}


def _body(**more: Any) -> dict[str, Any]:
    return {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], **more}


def _events(body: bytes) -> list[Any]:
    lines = [line.removeprefix(b"data: ") for line in body.split(b"\n") if line.startswith(b"data: ")]
    return [line if line == b"[DONE]" else json.loads(line) for line in lines]


def _texts(events: list[Any]) -> str:
    return "".join(
        choice["delta"].get("content") or ""
        for event in events
        if isinstance(event, dict)
        for choice in event["choices"]
    )


def _is_idle(client: Client) -> bool:
    status = client.services.models.status()
    stats = client.engine.stats()
    at_rest = stats.waiting == stats.prefilling == stats.decoding == 0
    return at_rest and not client.services.running and all(model.busy == 0 for model in status.models)


class Held:
    """An engine that says nothing before it is let go."""

    def __init__(self, answer: str = "Hello") -> None:
        self.asked = threading.Event()
        self._go = threading.Event()
        self._answer = answer
        self.engine = MemoryEngine(self._script)

    def _script(self, prompt: str) -> str:
        del prompt
        self.asked.set()
        self._go.wait()
        return self._answer

    def go(self) -> None:
        self._go.set()


def test_an_answer_comes_whole_and_the_model_is_let_go() -> None:
    async def talk(client: Client) -> None:
        status, body = await client.post(_CHAT, _body())
        assert status == 200
        assert json.loads(body)["choices"][0]["message"]["content"] == "Hello"
        await until(lambda: _is_idle(client))

    with_server(talk)


def test_an_answer_comes_in_pieces() -> None:
    async def talk(client: Client) -> None:
        status, body = await client.post(_CHAT, _body(stream=True))
        events = _events(body)
        assert (status, _texts(events), events[-1]) == (200, "Hello", b"[DONE]")
        await until(lambda: _is_idle(client))

    with_server(talk)


@pytest.mark.parametrize("stream", [False, True])
def test_what_is_wrong_before_the_answer_begins_has_its_status(stream: bool) -> None:
    async def talk(client: Client) -> None:
        status, body = await client.post(_CHAT, _body(stream=stream, max_tokens=0))
        error = json.loads(body)["error"]
        assert (status, error["param"]) == (400, "max_tokens")
        status, body = await client.post(_CHAT, {**_body(stream=stream), "model": "org/absent"})
        assert (status, json.loads(body)["error"]["code"]) == (404, "model_not_found")
        await until(lambda: _is_idle(client))

    with_server(talk)


@pytest.mark.parametrize("stream", [False, True])
def test_an_engine_that_fails_over_a_request_fails_it_alone(stream: bool) -> None:
    def script(prompt: str) -> str:
        if "bad" in prompt:
            raise OperationError("This prompt cannot be answered")
        return "Hello"

    async def talk(client: Client) -> None:
        bad = {**_body(stream=stream), "messages": [{"role": "user", "content": "bad"}]}
        (status, body), (fine, whole) = await asyncio.gather(client.post(_CHAT, bad), client.post(_CHAT, _body()))
        assert status == 400
        assert "cannot be answered" in json.loads(body)["error"]["message"]
        assert (fine, json.loads(whole)["choices"][0]["message"]["content"]) == (200, "Hello")

    with_server(talk, MemoryEngine(script))


def test_who_waits_for_long_gets_a_sign_of_life_and_then_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "KEEP_ALIVE", 0.05)
    held = Held()

    async def talk(client: Client) -> None:
        reader, _ = await client.send(_CHAT, _body(stream=True))
        head = await asyncio.wait_for(reader.readuntil(b": keep-alive\n\n"), 20)
        assert b"200 OK" in head
        held.go()
        rest = await asyncio.wait_for(reader.read(), 20)
        assert b"[DONE]" in rest

    try:
        with_server(talk, held.engine)
    finally:
        held.go()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_goes_away_ends_the_work(stream: bool) -> None:
    async def talk(client: Client) -> None:
        _, writer = await client.send(_CHAT, _body(stream=stream, max_tokens=_ENDLESS, **_LOUD))
        await until(lambda: client.engine.stats().decoding == 1)
        writer.close()
        await until(lambda: _is_idle(client))
        assert client.engine.stats().generated_tokens < _ENDLESS

    with_server(talk, MemoryEngine(lambda _: "Hello"))


def test_a_client_that_goes_away_before_its_turn_is_forgotten() -> None:
    held = Held()

    async def talk(client: Client) -> None:
        _, first = await client.send(_CHAT, _body())
        await until(held.asked.is_set)
        _, second = await client.send(_CHAT, _body())
        await until(lambda: len(client.services.running) == 2)
        second.close()
        await until(lambda: len(client.services.running) == 1)
        held.go()
        first.close()
        await until(lambda: _is_idle(client))

    try:
        with_server(talk, held.engine)
    finally:
        held.go()


class Hesitant(MemoryEngine):
    """An engine that takes a request only when it is let go."""

    def __init__(self) -> None:
        self.entered, self.may_start = threading.Event(), threading.Event()
        super().__init__(lambda _: "x" * _ENDLESS)

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        self.entered.set()
        self.may_start.wait()
        return super().start(request, sink)


def test_a_client_that_goes_away_while_its_request_is_handed_over_ends_it_all_the_same() -> None:
    engine = Hesitant()

    async def talk(client: Client) -> None:
        _, writer = await client.send(_CHAT, _body(**_LOUD, max_tokens=_ENDLESS))
        await until(engine.entered.is_set)
        writer.close()
        await until(lambda: not client.services.running)
        engine.may_start.set()
        await until(lambda: engine.stats().steps > 0 and _is_idle(client))
        assert engine.stats().generated_tokens < _ENDLESS

    with_server(talk, engine)


def test_a_request_that_takes_too_long_is_ended_with_504() -> None:
    held = Held()

    async def talk(client: Client) -> None:
        status, body = await client.post(_CHAT, _body())
        assert (status, json.loads(body)["error"]["type"]) == (504, "timeout_error")
        held.go()
        await until(lambda: _is_idle(client))

    try:
        with_server(talk, held.engine, HttpOptions(request_timeout=0.2))
    finally:
        held.go()


def test_a_stream_that_is_interrupted_ends_with_an_error_event() -> None:
    async def talk(client: Client) -> None:
        reader, _ = await client.send(_CHAT, _body(stream=True, max_tokens=_ENDLESS, **_LOUD))
        await asyncio.wait_for(reader.read(1), 20)
        for running in list(client.services.running):
            running.interrupt(Problem(503, "server_error", "The server is shutting down"))
        rest = await asyncio.wait_for(reader.read(), 20)
        assert b"shutting down" in rest
        assert b"[DONE]" not in rest
        await until(lambda: _is_idle(client))

    with_server(talk)


def test_several_answers_are_numbered_and_counted_together() -> None:
    async def talk(client: Client) -> None:
        status, body = await client.post(_CHAT, _body(n=3))
        document = json.loads(body)
        assert status == 200
        assert [choice["index"] for choice in document["choices"]] == [0, 1, 2]
        assert document["usage"]["completion_tokens"] == 18
        assert document["usage"]["prompt_tokens"] == 9

    with_server(talk)


def test_a_stop_string_ends_the_work_and_what_follows_is_not_counted() -> None:
    async def talk(client: Client) -> None:
        status, body = await client.post(_CHAT, _body(stop=["l"]))
        document = json.loads(body)
        assert (status, document["choices"][0]["message"]["content"]) == (200, "He")
        assert document["choices"][0]["finish_reason"] == "stop"
        assert document["usage"]["completion_tokens"] == 3

    with_server(talk, MemoryEngine(lambda _: "Hello" * 100))


def test_a_model_is_let_go_when_it_is_done_however_slowly_its_client_reads() -> None:
    async def talk(client: Client) -> None:
        detailed = {"logprobs": True, "top_logprobs": 5}  # many bytes a token, however few pieces they leave in
        reader, _ = await client.send(_CHAT, _body(stream=True, max_tokens=_MEGABYTES, **_LOUD, **detailed))
        await until(lambda: client.engine.stats().generated_tokens >= _MEGABYTES)
        await until(lambda: all(model.busy == 0 for model in client.services.models.status().models))
        assert client.services.running
        assert b"[DONE]" in await asyncio.wait_for(reader.read(), 60)
        await until(lambda: _is_idle(client))

    with_server(talk, MemoryEngine(lambda _: "Hello", info=MEMORY_INFO._replace(kv=KvCost((KvLayers(0),), block=1))))
