"""What the tests of OpenAI's client share: the client itself, what it asks about, and what it may call."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from openai import AsyncOpenAI, OpenAI
from pydantic import BaseModel, Field

from tests.e2e.serving import PATIENCE, RunningServer

HELLO: Any = [{"role": "user", "content": "hello"}]
WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather in a city",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
ALARM: Any = {
    "type": "function",
    "function": {
        "name": "set_alarm",
        "description": "Rings at that time",
        "strict": True,
        "parameters": {
            "type": "object",
            "properties": {"hour": {"type": "integer", "minimum": 0, "maximum": 23}, "loud": {"type": "boolean"}},
            "required": ["hour", "loud"],
            "additionalProperties": False,
        },
    },
}
LISBON: Any = [{"role": "user", "content": "What is the weather in Lisbon?"}]


class Sky(BaseModel):
    city: Annotated[str, Field(max_length=12)]
    degrees: Annotated[int, Field(ge=-40, le=40)]
    cloudy: bool


def connected(server: RunningServer, key: str = "none") -> OpenAI:
    return OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0, timeout=PATIENCE)


@asynccontextmanager
async def asynchronous(server: RunningServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=PATIENCE) as client:
        yield client


def said(client: OpenAI, text: str = "hello", **more: Any) -> str:
    answer = client.chat.completions.create(model="demo", messages=[{"role": "user", "content": text}], **more)
    content: str | None = answer.choices[0].message.content
    assert content is not None
    return content
