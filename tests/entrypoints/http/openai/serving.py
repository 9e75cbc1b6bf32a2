"""OpenAI's door behind the layers of the server, before a scripted engine, asked by the unmodified client."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, TypeVar

import httpx2
import openai
from starlette.routing import Router

from mlxk2.adapters.memory import MemoryCache, MemoryEngine
from mlxk2.adapters.memory.engine import MEMORY_INFO
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.entrypoints.http.context import HttpOptions, HttpServices
from mlxk2.entrypoints.http.front import fronted
from mlxk2.entrypoints.http.openai import routes
from mlxk2.ports.engine import Markers
from mlxk2.testing.models import DEFAULT_NAME, healthy_model
from mlxk2.testing.program import memory_program
from tests.entrypoints.http.openai.answering import CALL
from tests.entrypoints.http.openai.asking import HELLO

T = TypeVar("T")
CONTEXT = 2048
"""What the model's own files say."""
INFO = replace(
    MEMORY_INFO,
    has_thinking_switch=True,
    markers=Markers("<think>", "</think>", tool_format="json_tools"),
)


def script(prompt: str) -> str:
    """Says what it was asked, after some thought where it is to think."""
    thought = "hm</think>" if prompt.endswith("<think>") else ""
    return f"{thought}You said: {prompt.splitlines()[-1] if not thought else 'that'}"


def structured(_: object, prompt: str) -> str:
    return CALL if "function f" in prompt else '{"a": 1}'


def asking(ask: Callable[[openai.AsyncOpenAI], Awaitable[T]]) -> T:
    """What the client got of a server with one model."""
    models = memory_program(MemoryCache([healthy_model()]), MemoryEngine(script, structured=structured, info=INFO))()
    pool = models.serve_models(ServeLimits())
    services = HttpServices(pool, HttpOptions(), "1")
    app = fronted(
        Router(routes(services)),
        host="127.0.0.1",
        allowed_hosts=(),
        cors_origins=(),
        api_keys=("secret",),
        per_client=None,
        tell=(),
    )

    async def run() -> T:
        http = openai.DefaultAsyncHttpxClient(transport=httpx2.ASGITransport(app))
        url = "http://127.0.0.1:8000/v1"
        async with openai.AsyncOpenAI(api_key="secret", base_url=url, http_client=http, max_retries=0) as client:
            return await ask(client)

    try:
        return asyncio.run(run())
    finally:
        pool.close()
        services.threads.shutdown()


def fields(**more: Any) -> dict[str, Any]:
    return {"model": DEFAULT_NAME, "messages": [HELLO], **more}
