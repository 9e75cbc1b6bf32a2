"""The paths of OpenAI's API, and what they can be asked, as data."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlxk2.entrypoints.http.answering import answer
from mlxk2.entrypoints.http.bodies import read_parsed
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.errors import Refusal, problem_of
from mlxk2.entrypoints.http.leasing import on_model
from mlxk2.entrypoints.http.openai.chat.parse import CHAT_NAMES, parse_chat
from mlxk2.entrypoints.http.openai.chat.writer import ChatWriter
from mlxk2.entrypoints.http.openai.completions.parse import parse_completion
from mlxk2.entrypoints.http.openai.completions.writer import CompletionWriter
from mlxk2.entrypoints.http.openai.manner import renamed
from mlxk2.entrypoints.http.openai.models import ModelList, model_reply
from mlxk2.entrypoints.http.openai.options import reference_of
from mlxk2.entrypoints.http.openai.tokens import TokensAsked, parse_detokenize, parse_tokenize
from mlxk2.entrypoints.http.planning import Asked
from mlxk2.ports.errors import ValidationError

T = TypeVar("T")
_MODEL = "/v1/models/"


def routes(services: HttpServices) -> list[Route]:
    door = _Door(services)
    return [
        Route("/v1/chat/completions", door.chat, methods=["POST"]),
        Route("/v1/completions", door.complete, methods=["POST"]),
        Route("/v1/models", door.models, methods=["GET"]),
        Route(f"{_MODEL}{{model:path}}", door.model, methods=["GET"]),
        Route("/tokenize", door.tokenize, methods=["POST"]),
        Route("/detokenize", door.detokenize, methods=["POST"]),
    ]


class _Door:
    def __init__(self, services: HttpServices) -> None:
        self._services = services

    async def chat(self, request: Request) -> Response:
        wanted = await self._parsed(request, parse_chat)
        asked = Asked(wanted.reference, (wanted.question,), wanted.stream)
        with _translated(wanted.manner.names):
            return await answer(self._services, request, asked, ChatWriter(wanted.manner))

    async def complete(self, request: Request) -> Response:
        wanted = await self._parsed(request, parse_completion)
        asked = Asked(wanted.reference, wanted.questions, wanted.stream)
        return await answer(self._services, request, asked, CompletionWriter(wanted.manner, wanted.echoes))

    async def models(self, _: Request) -> Response:
        offers = await self._in_thread(self._services.models.offers)
        return _json(ModelList([model_reply(offer) for offer in offers]))

    async def model(self, request: Request) -> Response:
        reference = request.scope["path"].removeprefix(_MODEL)  # the router would cut a new line at its end
        find = partial(self._services.models.find, reference_of(reference))
        return _json(model_reply(await self._in_thread(find)))

    async def tokenize(self, request: Request) -> Response:
        return await self._tokens(request, parse_tokenize)

    async def detokenize(self, request: Request) -> Response:
        return await self._tokens(request, parse_detokenize)

    async def _tokens(self, request: Request, parse: Callable[[bytes], TokensAsked]) -> Response:
        asked = await self._parsed(request, parse)
        with _translated(CHAT_NAMES):
            done = await on_model(self._services, request, asked.reference, lambda lease: asked.work(lease.engine))
        return _json(done)

    async def _parsed(self, request: Request, parse: Callable[[bytes], T]) -> T:
        return await read_parsed(request, self._services.options, parse)

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._services.threads, work)


@contextmanager
def _translated(names: Mapping[str, str]) -> Iterator[None]:
    """A ValidationError of the engine's leaves this as the Refusal that names the client's own parameter."""
    try:
        yield
    except ValidationError as error:
        raise Refusal(renamed(problem_of(error), names)) from error


def _json(reply: msgspec.Struct) -> Response:
    return Response(msgspec.json.encode(reply), media_type="application/json")
