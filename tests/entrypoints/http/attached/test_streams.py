"""The streams under /engine: a model that is opened, an answer token by token, and all the ways in which they end."""

import asyncio
import io
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from mlxk2.adapters.memory import MEMORY_INFO, MemoryEngine
from mlxk2.entrypoints.http.attached import relaying
from mlxk2.entrypoints.http.errors import Problem
from mlxk2.ports.errors import (
    ContextExceeded,
    EngineFailure,
    ModelNotFound,
    NotEnoughMemory,
    OperationError,
    ServerGone,
    ValidationError,
)
from mlxk2.ports.generation import FinishReason, Sampling, Structure
from tests.entrypoints.http.attached.asking import (
    OPTIONS,
    Attached,
    a_request,
    attached,
    deltas_of,
    failure,
    finished_by,
    lines_of,
    model_of,
    opened_by,
    over_network,
    refused,
)
from tests.entrypoints.http.doors.operated import MODEL
from tests.entrypoints.http.program import Client, answer_of, until

_PATIENCE = 60
_ENDLESS = 60_000
_MEGABYTES = 60_000
"""Tokens of a stream that is larger than what sockets hold."""


def is_idle(client: Client) -> bool:
    stats, status = client.engine.stats(), client.services.models.status()
    at_rest = stats.waiting == stats.prefilling == stats.decoding == 0
    return at_rest and not client.services.running and all(model.busy == 0 for model in status.models)


class Slow:
    """An engine that says nothing before it is let go."""

    def __init__(self, answer: str = "Hello", rows: int = 32) -> None:
        self.asked = threading.Event()
        self._go = threading.Event()
        self._answer = answer
        self.engine = MemoryEngine(self._script, info=MEMORY_INFO._replace(max_rows=rows))

    def _script(self, prompt: str) -> str:
        del prompt
        self.asked.set()
        self._go.wait()
        return self._answer

    def go(self) -> None:
        self._go.set()


async def generated(client: Client, **request: Any) -> tuple[int, list[Any]]:
    status, body = await client.post("/engine/generate", {"model": model_of(client), "request": a_request(**request)})
    return status, lines_of(body)


def test_opening_tells_how_it_goes_and_then_what_the_model_is() -> None:
    async def scene(server: Attached) -> None:
        reply = await server.post("/engine/open", {"model": model_of(server)})
        assert (reply.status, reply.header(b"content-type")) == (200, b"application/x-ndjson")
        *stages, last = lines_of(reply.body)
        assert stages
        assert all(set(line) == {"stage"} and line["stage"] for line in stages)
        assert set(last) == {"opened"}
        opened = opened_by(last)
        assert opened.info.vocab_size == MEMORY_INFO.vocab_size
        assert opened.budget
        assert opened.budget > 0
        again = await server.post("/engine/open", {"model": model_of(server)})
        assert lines_of(again.body) == [last]
        (model,) = server.services.models.status().models
        assert model.busy == 0

    attached(scene)


def test_what_cannot_be_opened_is_told_as_the_error_that_it_is() -> None:
    async def scene(server: Attached) -> None:
        absent = await server.post("/engine/open", {"model": f"org/frist@{0:040}"})
        assert absent.status == 404
        assert isinstance(refused(absent), ModelNotFound)
        broken = await server.post("/engine/open", {"model": model_of(server)})
        *stages, last = lines_of(broken.body)
        assert (broken.status, bool(stages)) == (200, True)
        assert type(failure(last)) is OperationError
        assert "damaged" in failure(last).message

    attached(scene, broken=True)


def test_a_server_that_ends_is_gone_to_whoever_waits() -> None:
    """So that the model is loaded elsewhere."""

    async def scene(server: Attached) -> None:
        opening = asyncio.create_task(server.post("/engine/open", {"model": model_of(server)}))
        asking = asyncio.create_task(server.post("/engine/tokenize", {"model": model_of(server), "text": "a"}))
        await server.until("loading")
        await until(lambda: len(server.services.running) == 2)
        for one in list(server.services.running):
            one.interrupt(Problem(503, "server_error", "The server is shutting down; try again later"))
        assert isinstance(failure(lines_of((await opening).body)[-1]), ServerGone)
        assert isinstance(refused(await asking), ServerGone)

    attached(scene, held=True)


def test_whoever_waits_is_shown_that_the_server_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relaying, "KEEP_ALIVE", 0.05)
    slow = Slow()

    async def talk(client: Client) -> None:
        reader, _ = await client.send("/engine/generate", {"model": model_of(client), "request": a_request()})
        await asyncio.wait_for(reader.readuntil(b"\n{}\n"), _PATIENCE)
        slow.go()
        assert b'{"finished":' in await asyncio.wait_for(reader.read(), _PATIENCE)

    try:
        over_network(talk, slow.engine)
    finally:
        slow.go()


def test_an_answer_comes_as_the_events_of_the_engine() -> None:
    async def talk(client: Client) -> None:
        await client.post("/engine/open", {"model": model_of(client)})
        status, lines = await generated(client, prompt="hello", most=9)
        assert status == 200
        assert all(len(line) == 1 for line in lines)
        assert "".join(delta.text for delta in deltas_of(lines)) == "Hello"
        assert [token for delta in deltas_of(lines) for token in delta.tokens][:5] == list(b"Hello")
        assert finished_by(lines)[:3] == (FinishReason.STOP, 5, 6)
        await until(lambda: is_idle(client))

    over_network(talk)


def test_all_of_a_request_arrives() -> None:
    sampling = Sampling(temperature=0.5, top_k=7, logit_bias=((97, 1.5),), seed=2)
    whole = a_request("hi", 3, sampling=sampling, logprobs=2, structure=Structure("regex", "a+"), borders=(1,))

    async def talk(client: Client) -> None:
        _, body = await client.post("/engine/generate", {"model": model_of(client), "request": whole})
        (request,) = client.engine.requests
        assert (request.prompt, request.max_tokens, request.borders, request.logprobs) == ((104, 105), 3, (1,), 2)
        assert (request.sampling.logit_bias, request.sampling.seed) == (((97, 1.5),), 2)
        assert request.structure is not None
        assert request.structure.text == "a+"
        assert len(deltas_of(lines_of(body))[0].logprobs[0].top) == 2

    over_network(talk, MemoryEngine(lambda _: "x", structured=lambda *_: "aaa"))


def test_its_tokens_are_counted_and_its_line_in_the_log_names_them(log: io.StringIO) -> None:
    async def talk(client: Client) -> None:
        await generated(client, prompt="hello", most=3)
        await until(lambda: is_idle(client))
        told = client.services.metrics.text().decode()
        for number in (
            f'mlxk2_requests_started_total{{model="{_NAME}"}} 1.0',
            f'mlxk2_answers_total{{model="{_NAME}"}} 1.0',
            f'mlxk2_prompt_tokens_total{{model="{_NAME}"}} 5.0',
            f'mlxk2_generated_tokens_total{{model="{_NAME}"}} 3.0',
            f'mlxk2_time_to_first_token_seconds_count{{model="{_NAME}"}} 1.0',
            f'mlxk2_inter_token_seconds_count{{model="{_NAME}"}} 2.0',
        ):
            assert number in told
        assert f"local {_NAME} 5 tokens in (0 cached), 3 out" in log.getvalue()

    over_network(talk)


_NAME = "mlx-community/tiny-4bit"


def test_a_wrong_request_is_refused_as_the_engine_would() -> None:
    async def talk(client: Client) -> None:
        await client.post("/engine/open", {"model": model_of(client)})
        for request, kind in (
            (a_request(most=0), ValidationError),
            (a_request(prompt=""), ValidationError),
            (a_request(sampling=Sampling(-1)), ValidationError),
            (a_request("a" * 3_000_000, 1), ContextExceeded),
            (a_request("a" * 100_000, 100), NotEnoughMemory),
        ):
            status, body = await client.post("/engine/generate", {"model": model_of(client), "request": request})
            error = failure(lines_of(body)[-1])
            assert (status, type(error)) == (400, kind)
            if isinstance(error, ContextExceeded):
                assert (error.prompt_tokens, error.context_length) == (3_000_000, 2_000_000)
        await until(lambda: is_idle(client))

    over_network(talk)


def test_an_engine_that_fails_in_the_middle_is_told_in_the_stream(log: io.StringIO) -> None:
    def script(prompt: str) -> str:
        if "bad" in prompt:
            raise EngineFailure("The model's process has ended; ask again")
        return "Hello"

    async def talk(client: Client) -> None:
        await generated(client)
        _, lines = await generated(client, prompt="bad")
        error = failure(lines[-1])
        assert type(error) is EngineFailure
        assert "raised mlxk2.ports.errors.EngineFailure" in log.getvalue()
        assert (await generated(client))[1][-1]["finished"]

    over_network(talk, MemoryEngine(script))


def test_who_must_wait_hears_of_the_place_in_the_line() -> None:
    slow = Slow(rows=1)

    async def talk(client: Client) -> None:
        first = asyncio.create_task(generated(client))
        await asyncio.to_thread(slow.asked.wait, _PATIENCE)
        reader, _ = await client.send("/engine/generate", {"model": model_of(client), "request": a_request()})
        assert b'{"queued":[1]}\n' in await asyncio.wait_for(reader.readuntil(b"]}\n"), _PATIENCE)
        _, body = await client.post("/engine/status", {})
        (held,) = json.loads(body)["models"]
        assert (held["busy"], held["waiting"], held["idle_seconds"], held["expires_in"]) == (1, 1, None, None)
        slow.go()
        assert (await first)[1][-1]["finished"]
        assert b'{"finished":' in await asyncio.wait_for(reader.read(), _PATIENCE)

    try:
        over_network(talk, slow.engine)
    finally:
        slow.go()


def test_hanging_up_in_the_middle_cancels() -> None:
    async def talk(client: Client) -> None:
        model = model_of(client)
        reader, writer = await client.send("/engine/generate", {"model": model, "request": a_request(most=_ENDLESS)})
        await asyncio.wait_for(reader.readuntil(b'{"delta":'), _PATIENCE)
        writer.transport.abort()
        await until(lambda: is_idle(client))
        assert client.engine.stats().generated_tokens < _ENDLESS

    over_network(talk, MemoryEngine(lambda _: "x" * _ENDLESS))


def test_hanging_up_before_the_first_token_cancels() -> None:
    slow = Slow("x" * _ENDLESS)

    async def talk(client: Client) -> None:
        model = model_of(client)
        _, writer = await client.send("/engine/generate", {"model": model, "request": a_request(most=_ENDLESS)})
        await asyncio.to_thread(slow.asked.wait, _PATIENCE)
        writer.transport.abort()
        await until(lambda: not client.services.running)
        slow.go()
        await until(lambda: is_idle(client))
        assert client.engine.stats().generated_tokens < _ENDLESS

    try:
        over_network(talk, slow.engine)
    finally:
        slow.go()


def test_who_does_not_read_keeps_no_model_and_loses_nothing() -> None:
    async def talk(client: Client) -> None:
        request = a_request(most=_MEGABYTES)
        reader, _ = await client.send("/engine/generate", {"model": model_of(client), "request": request})
        await until(lambda: client.engine.stats().generated_tokens >= _MEGABYTES)
        await until(lambda: all(model.busy == 0 for model in client.services.models.status().models))
        _, body = answer_of(await asyncio.wait_for(reader.read(), _PATIENCE))
        assert sum("delta" in line for line in lines_of(body)) == _MEGABYTES

    over_network(talk, MemoryEngine(lambda _: "x" * _MEGABYTES))


def test_the_time_that_clients_have_does_not_end_the_answer_to_the_users_own_program() -> None:
    async def talk(client: Client) -> None:
        began = time.monotonic()
        _, lines = await generated(client, most=_LONG)
        assert time.monotonic() - began > 0.1
        assert finished_by(lines).generated_tokens == _LONG
        await until(lambda: is_idle(client))

    pause = threading.Event()
    script = MemoryEngine(lambda _: _Drawn(pause))
    over_network(talk, script, replace(OPTIONS, request_timeout=0.1))


_LONG = 60


class _Drawn(str):
    """A text whose every character takes its time."""

    def __new__(cls, pause: threading.Event) -> "_Drawn":
        made = super().__new__(cls, "x" * _ENDLESS)
        made.pause = pause
        return made

    pause: threading.Event

    def __getitem__(self, key: Any) -> str:
        self.pause.wait(0.01)
        return super().__getitem__(key)


def test_a_model_that_was_unloaded_meanwhile_is_loaded_again() -> None:
    async def talk(client: Client) -> None:
        await client.post("/engine/open", {"model": model_of(client)})
        status, _ = await client.post("/engine/unload", {"model": _NAME})
        assert status == 200
        _, lines = await generated(client)
        assert lines[0]["stage"]
        assert lines[-1]["finished"]

    over_network(talk)


def test_a_model_that_is_taken_away_by_force_ends_its_answers() -> None:
    async def talk(client: Client) -> None:
        model = model_of(client)
        reader, _ = await client.send("/engine/generate", {"model": model, "request": a_request(most=_ENDLESS)})
        await asyncio.wait_for(reader.readuntil(b'{"delta":'), _PATIENCE)
        status, body = await client.post("/engine/unload", {"model": MODEL})
        assert status == 404
        status, body = await client.post("/engine/unload", {"model": model})
        assert (status, type(failure(lines_of(body)[0])).__name__) == (409, "Conflict")
        status, body = await client.post("/engine/unload", {"model": model, "force": True})
        assert (status, json.loads(body)) == (200, [model])
        rest = await asyncio.wait_for(reader.read(), _PATIENCE)
        assert b'{"finished":["cancelled",' in rest or b'{"failed":' in rest
        assert rest.endswith(b"0\r\n\r\n")
        await until(lambda: not client.services.running)

    over_network(talk, MemoryEngine(lambda _: "x" * _ENDLESS))
