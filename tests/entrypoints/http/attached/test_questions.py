"""What has one answer under /engine: a template rendered, tokens, numbers, what is in memory, what is unloaded."""

import asyncio
import io
import json
from collections.abc import Sequence

import msgspec
import pytest

from mlxk2.adapters.memory import MemoryEngine
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.ports.attachment import ToRender
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool, ToolCall
from mlxk2.ports.engine import EngineStats
from mlxk2.ports.errors import InternalError, ModelNotFound, OperationError, ValidationError
from mlxk2.ports.held import Held
from tests.entrypoints.http.attached.asking import (
    Attached,
    a_request,
    attached,
    failure,
    lines_of,
    model_of,
    over_network,
    refused,
)
from tests.entrypoints.http.doors.asking import Reply
from tests.entrypoints.http.doors.operated import MODEL, OTHER
from tests.entrypoints.http.program import Client, until


def held_of(body: bytes) -> Held:
    return msgspec.json.decode(body, type=Held)


class Refusing(MemoryEngine):
    """Its template likes no conversation; what it does with a tool is a defect."""

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        if tools:
            raise KeyError(f"whisper of {tools}")
        role = f"{messages[0].role} with {options}"
        raise OperationError(f"The template of this model refuses the conversation; it has no role {role}")


def test_a_conversation_is_rendered_with_all_that_it_has() -> None:
    conversation = ToRender(
        "",
        (
            Message("system", "be brief"),
            Message("user", "hi ☃"),
            Message("assistant", "", "hm", (ToolCall("f", "{}", "1"),)),
            Message("tool", "42", tool_call_id="1"),
        ),
        (Tool("f", "does", strict=True),),
    )

    async def talk(client: Client) -> None:
        body = {**msgspec.to_builtins(conversation), "model": model_of(client)}
        status, said = await client.post("/engine/render", body)
        here = client.engine.render(conversation.messages, conversation.tools, conversation.options)
        assert (status, msgspec.json.decode(said, type=RenderedPrompt)) == (200, here)

    over_network(talk)


def test_text_becomes_tokens_and_tokens_text() -> None:
    async def scene(server: Attached) -> None:
        model = model_of(server)
        assert (await server.post("/engine/tokenize", {"model": model, "text": "a☃"})).json == [97, 9731]
        assert (await server.post("/engine/tokenize", {"model": model, "text": ""})).json == []
        assert (await server.post("/engine/detokenize", {"model": model, "tokens": [97, 9731]})).json == "a☃"
        wrong = await server.post("/engine/detokenize", {"model": model, "tokens": [-1]})
        assert wrong.status == 400
        assert isinstance(refused(wrong), ValidationError)

    attached(scene)


def test_what_the_engine_refuses_is_told_and_a_defect_is_not(log: io.StringIO) -> None:
    async def talk(client: Client) -> None:
        asked = {"model": model_of(client), "messages": [{"role": "user", "content": "whisper"}]}
        status, body = await client.post("/engine/render", asked)
        assert (status, failure(lines_of(body)[0]).message.partition(";")[0]) == (
            400,
            "The template of this model refuses the conversation",
        )
        status, body = await client.post("/engine/render", {**asked, "tools": [{"name": "secret"}]})
        assert (status, type(failure(lines_of(body)[0]))) == (500, InternalError)
        assert b"whisper" not in body
        assert "raised builtins.KeyError" in log.getvalue()
        assert "whisper" not in log.getvalue()
        assert "secret" not in log.getvalue()

    over_network(talk, Refusing(lambda _: ""))


def test_numbers_are_those_of_the_model_and_make_none_load() -> None:
    async def talk(client: Client) -> None:
        model = model_of(client)
        status, body = await client.post("/engine/stats", {"model": model})
        assert (status, type(failure(lines_of(body)[0]))) == (404, ModelNotFound)
        assert client.services.models.status().models == ()
        await client.post("/engine/generate", {"model": model, "request": a_request(most=3)})
        status, body = await client.post("/engine/stats", {"model": model})
        stats = msgspec.json.decode(body, type=EngineStats)
        assert (status, stats.generated_tokens, stats.prompt_tokens) == (200, 3, 5)

    over_network(talk)


def test_what_is_in_memory_is_told_while_it_loads_and_afterwards() -> None:
    async def scene(server: Attached) -> None:
        empty = held_of((await server.post("/engine/status", {})).body)
        assert (empty.models, empty.memory_taken, empty.waiting) == ((), 0, 0)
        opening = asyncio.create_task(server.post("/engine/open", {"model": model_of(server)}))
        await server.until("loading")
        (loading,) = held_of((await server.post("/engine/status", {})).body).models
        assert (loading.model, loading.state, loading.waiting, loading.generated_tokens) == (MODEL, "loading", 1, 0)
        assert loading.stage
        assert loading.bytes > 0
        server.let_load.set()
        await opening
        held = held_of((await server.post("/engine/status", {})).body)
        (model,) = held.models
        assert (f"{model.model}@{model.revision}", model.state, model.stage) == (model_of(server), "loaded", "")
        assert (model.busy, model.waiting, model.pinned, model.expires_in) == (0, 0, False, 300.0)
        assert held.memory_taken == model.bytes

    attached(scene, held=True)


def test_how_fast_a_model_answers_is_told() -> None:
    async def talk(client: Client) -> None:
        model = model_of(client)
        await client.post("/engine/open", {"model": model})
        speeds: list[float] = []
        while not speeds or (speeds[-1] == 0 and len(speeds) < 100):
            await client.post("/engine/generate", {"model": model, "request": a_request(most=50)})
            _, body = await client.post("/engine/status", {})
            speeds.append(held_of(body).models[0].tokens_per_second)
        assert speeds[-1] > 0

    over_network(talk, MemoryEngine(lambda _: "x" * 50))


def test_a_pinned_model_is_told_as_such() -> None:
    async def scene(server: Attached) -> None:
        await server.load()
        (model,) = held_of((await server.post("/engine/status", {})).body).models
        assert (model.pinned, model.expires_in) == (True, None)

    attached(scene, limits=ServeLimits(pinned=(MODEL,)))


def test_a_model_is_unloaded_by_any_of_its_names() -> None:
    async def scene(server: Attached) -> None:
        for reference in (MODEL, "first", model_of(server), model_of(server)[:-30]):
            await server.load()
            reply = await server.post("/engine/unload", {"model": reference})
            assert (reply.status, reply.json) == (200, [model_of(server)])
            await server.until("unloaded")
        for reference in (MODEL, OTHER, "nobody"):
            gone = await server.post("/engine/unload", {"model": reference})
            assert gone.status == 404
            assert isinstance(refused(gone), ModelNotFound)

    attached(scene)


@pytest.mark.parametrize("path", ["status", "stats"])
def test_what_is_asked_every_second_is_not_in_the_log(log: io.StringIO, path: str) -> None:
    async def scene(server: Attached) -> None:
        await server.post(f"/engine/{path}", {"model": MODEL})
        await server.post("/engine/tokenize", {"model": MODEL, "text": "never shown"})

    attached(scene)
    assert f"/engine/{path}" not in log.getvalue()
    assert "POST /engine/tokenize 200" in log.getvalue()
    assert "never shown" not in log.getvalue()


def test_none_of_it_is_in_the_published_document() -> None:
    async def scene(server: Attached) -> None:
        reply: Reply = await server.get("/openapi.json")
        assert "/health" in json.loads(reply.body)["paths"]
        assert b"/engine" not in reply.body

    attached(scene)


def test_a_question_whose_asker_leaves_holds_no_model() -> None:
    async def talk(client: Client) -> None:
        _, writer = await client.send("/engine/tokenize", {"model": model_of(client), "text": "a" * 100_000})
        writer.transport.abort()
        await until(lambda: not client.services.running)
        await until(lambda: all(model.busy == 0 for model in client.services.models.status().models))

    over_network(talk)
