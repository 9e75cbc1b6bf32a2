"""OpenAI's door behind the layers of the server, before a scripted engine, asked by the unmodified client."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import httpx2
import openai
from starlette.types import ASGIApp

from mlxk2.adapters.memory import MemoryEngine
from mlxk2.adapters.memory.engine import MEMORY_INFO
from mlxk2.entrypoints.http.openai import routes
from mlxk2.ports.engine import Markers
from mlxk2.testing.models import DEFAULT_NAME
from tests.entrypoints.http.openai.answering import CALL
from tests.entrypoints.http.openai.asking import HELLO
from tests.entrypoints.http.scripted import KEY, with_door

T = TypeVar("T")
CONTEXT = 2048
"""What the model's own files say."""
INFO = MEMORY_INFO._replace(
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

    async def talk(app: ASGIApp) -> T:
        http = openai.DefaultAsyncHttpxClient(transport=httpx2.ASGITransport(app))
        url = "http://127.0.0.1:8000/v1"
        async with openai.AsyncOpenAI(api_key=KEY, base_url=url, http_client=http, max_retries=0) as client:
            return await ask(client)

    return with_door(routes, MemoryEngine(script, structured=structured, info=INFO), talk)


def fields(**more: Any) -> dict[str, Any]:
    return {"model": DEFAULT_NAME, "messages": [HELLO], **more}
