"""What operators ask a server, and what they tell it to do."""

import asyncio
import io
from typing import Any

import pytest

from mlxk2.domain.usecases.serve_models import Lease, ServeLimits, Told
from mlxk2.entrypoints.http.context import HttpOptions
from mlxk2.entrypoints.http.operating import OPERATIONS, routes
from tests.entrypoints.http.doors.asking import HOME
from tests.entrypoints.http.doors.operated import MODEL, OTHER, Operated, operated


def test_a_server_that_is_alive_says_so() -> None:
    async def scene(server: Operated) -> None:
        reply = await server.get("/health")
        assert (reply.status, reply.json) == (200, {"version": "1.2.3", "status": "ok"})

    operated(scene)


def test_health_needs_no_key_and_everything_else_does() -> None:
    async def scene(server: Operated) -> None:
        assert (await server.get("/health")).status == 200
        for path in ("/ready", "/metrics"):
            assert (await server.get(path)).status == 401
        assert (await server.load()).status == 401
        assert (await server.post("/v1/models/unload", {"model": MODEL})).status == 401

    operated(scene, HttpOptions(api_keys=("a-key",)))


def test_a_server_that_loads_on_demand_is_ready_at_once() -> None:
    async def scene(server: Operated) -> None:
        reply = await server.get("/ready")
        assert (reply.status, reply.json) == (200, {"status": "ready", "loading": []})

    operated(scene)


def test_a_server_that_loads_ahead_is_not_ready_before_a_model_is_there() -> None:
    async def scene(server: Operated) -> None:
        reply = await server.get("/ready")
        assert (reply.status, reply.json["status"]) == (503, "starting")
        await server.load(wait=False)
        await server.until("loading")
        reply = await server.get("/ready")
        assert (reply.status, reply.json["status"], reply.header(b"retry-after")) == (503, "loading", b"1")
        (progress,) = reply.json["loading"]
        assert progress["model"] == MODEL
        assert progress["stage"]
        assert progress["seconds"] >= 0
        server.let_load.set()
        await server.until("loaded")
        assert (await server.get("/ready")).status == 200

    operated(scene, HttpOptions(preload=(MODEL,)), held=True)


def test_a_server_with_one_model_is_ready_while_another_loads() -> None:
    async def scene(server: Operated) -> None:
        await server.load()
        server.let_load.clear()
        await server.load(OTHER, wait=False)
        await server.until("loading", OTHER)
        reply = await server.get("/ready")
        assert (reply.status, [model["model"] for model in reply.json["loading"]]) == (200, [OTHER])
        server.let_load.set()
        await server.until("loaded", OTHER)

    operated(scene, HttpOptions(preload=(MODEL, OTHER)))


def test_a_server_that_is_about_to_end_is_not_ready() -> None:
    async def scene(server: Operated) -> None:
        server.services.draining = True
        reply = await server.get("/ready")
        assert (reply.status, reply.json["status"]) == (503, "draining")
        assert (await server.get("/health")).status == 200

    operated(scene)


def test_a_model_is_loaded_when_the_answer_comes() -> None:
    async def scene(server: Operated) -> None:
        reply = await server.load("first")
        (model,) = reply.json["models"]
        assert (reply.status, model["model"], model["state"]) == (200, MODEL, "loaded")
        assert len(model["revision"]) == 40

    operated(scene)


def test_a_load_need_not_be_waited_for() -> None:
    async def scene(server: Operated) -> None:
        reply = await server.load(wait=False)
        assert (reply.status, reply.json["models"][0]["model"]) == (202, MODEL)
        await server.until("loading")
        server.let_load.set()
        await server.until("loaded")

    operated(scene, held=True)


def test_loading_what_is_loaded_changes_nothing() -> None:
    async def scene(server: Operated) -> None:
        first, second = await server.load(), await server.load()
        assert first.json["models"][0]["state"] == second.json["models"][0]["state"] == "loaded"

    operated(scene)


def test_a_load_that_fails_says_why() -> None:
    async def scene(server: Operated) -> None:
        reply = await server.load()
        assert reply.status == 400
        assert "damaged" in reply.error["message"]

    operated(scene, broken=True)


def test_a_load_that_nobody_waits_for_fails_into_the_log(log: io.StringIO) -> None:
    async def scene(server: Operated) -> None:
        assert (await server.load(wait=False)).status == 202
        async with asyncio.timeout(20):
            while "damaged" not in log.getvalue():
                await asyncio.sleep(0.005)

    operated(scene, broken=True)


def test_an_unknown_model_is_not_found_whether_waited_for_or_not() -> None:
    async def scene(server: Operated) -> None:
        for wait in (True, False):
            reply = await server.load("org/frist", wait=wait)
            assert (reply.status, reply.error["code"], reply.error["param"]) == (404, "model_not_found", "model")

    operated(scene)


def test_an_idle_model_is_unloaded() -> None:
    async def scene(server: Operated) -> None:
        await server.load()
        reply = await server.post("/v1/models/unload", {"model": MODEL})
        (model,) = reply.json["models"]
        assert (reply.status, model["model"]) == (200, MODEL)
        assert model["state"] in ("unloading", "unloaded")
        await server.until("unloaded")

    operated(scene)


def test_unloading_what_is_not_loaded_does_nothing() -> None:
    async def scene(server: Operated) -> None:
        reply = await server.post("/v1/models/unload", {"model": MODEL})
        assert (reply.status, reply.json) == (200, {"models": []})

    operated(scene)


def test_a_busy_model_is_unloaded_by_force_only() -> None:
    async def scene(server: Operated) -> None:
        leased: asyncio.Future[Lease] = asyncio.get_running_loop().create_future()
        loop = asyncio.get_running_loop()

        def tell(news: Told) -> None:
            if isinstance(news, Lease):
                loop.call_soon_threadsafe(leased.set_result, news)

        server.services.models.want(MODEL, tell)
        lease = await leased
        reply = await server.post("/v1/models/unload", {"model": MODEL})
        assert (reply.status, reply.error["code"]) == (409, "conflict")
        assert await server.state() == "loaded"
        reply = await server.post("/v1/models/unload", {"model": MODEL, "force": True})
        assert (reply.status, reply.json["models"][0]["model"]) == (200, MODEL)
        lease.release()
        await server.until("unloaded")

    operated(scene)


@pytest.mark.parametrize(
    ("body", "parameter"),
    [
        ({}, "model"),
        ({"model": ""}, "model"),
        ({"model": 5}, "model"),
        ({"model": MODEL, "wait": "yes"}, "wait"),
        ({"model": MODEL, "now": True}, "now"),
        ([], None),
    ],
)
def test_a_wrong_order_names_what_is_wrong(body: Any, parameter: str | None) -> None:
    async def scene(server: Operated) -> None:
        reply = await server.post("/v1/models/load", body)
        assert (reply.status, reply.error["param"]) == (400, parameter)

    operated(scene)


def test_metrics_are_prometheus_text_of_the_models_in_memory() -> None:
    async def scene(server: Operated) -> None:
        await server.load()
        reply = await server.get("/metrics")
        assert reply.header(b"content-type") == b"text/plain; version=0.0.4; charset=utf-8"
        assert b"mlxk2_models_loaded 1.0" in reply.body
        assert b'mlxk2_requests_waiting{model="org/first"} 0.0' in reply.body

    operated(scene)


def test_requests_are_counted_by_route_and_status_and_names_that_clients_make_up_are_not_kept() -> None:
    async def scene(server: Operated) -> None:
        await server.load()
        await server.load("fantasy/model")
        await server.get("/fantasy-path")
        text = (await server.get("/metrics")).body.decode()
        assert 'mlxk2_http_requests_total{model="org/first",route="/v1/models/load",status="200"} 1.0' in text
        assert 'mlxk2_http_requests_total{model="",route="/v1/models/load",status="404"} 1.0' in text
        assert 'mlxk2_http_requests_total{model="",route="unknown",status="404"} 1.0' in text
        assert "fantasy" not in text

    operated(scene)


def test_a_page_of_another_origin_may_not_unload_anything() -> None:
    async def scene(server: Operated) -> None:
        assert (await server.post("/v1/models/unload", {"model": MODEL})).status == 403

    operated(scene, headers=[HOME, (b"origin", b"https://evil.example")])


def test_a_pinned_model_stays_where_others_would_go_at_once() -> None:
    async def scene(server: Operated) -> None:
        reply = await server.load()
        assert reply.json["models"][0]["pinned"] is True

    operated(scene, limits=ServeLimits(keep_alive=0, pinned=(MODEL,)))


def test_every_path_of_the_door_is_described() -> None:
    async def scene(server: Operated) -> None:
        assert {route.path for route in routes(server.services)} == {operation.path for operation in OPERATIONS}

    operated(scene)
