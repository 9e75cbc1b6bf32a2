"""The two paths of Anthropic's API, and what they can be asked, as data.

Headers: any `anthropic-version`, or none, is taken: there is one version of this API here. What `anthropic-beta` names
is known by its fields or not at all.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlxk2.domain.usecases.prepare_answers import count_tokens
from mlxk2.entrypoints.http.answering import answer
from mlxk2.entrypoints.http.anthropic.names import translated
from mlxk2.entrypoints.http.anthropic.parse import parse_count, parse_message
from mlxk2.entrypoints.http.anthropic.replies import MessageReply, StreamEvent, TokensCounted
from mlxk2.entrypoints.http.anthropic.wire import CountTokens, CreateMessage
from mlxk2.entrypoints.http.anthropic.writer import MessageWriter
from mlxk2.entrypoints.http.bodies import read_parsed
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.identity import visit_of
from mlxk2.entrypoints.http.leasing import on_model
from mlxk2.entrypoints.http.operations import ANSWERING, EVENTS, Operation, Reply
from mlxk2.entrypoints.http.planning import Asked

_GROUP = "Anthropic"
_MESSAGES = "/v1/messages"
_COUNT = "/v1/messages/count_tokens"

OPERATIONS = (
    Operation(
        "post",
        _MESSAGES,
        "createMessage",
        _GROUP,
        "Continue a conversation, as Anthropic's Messages API does",
        (
            Reply("The message", MessageReply),
            Reply("With `stream`: the message in pieces, and at last `message_stop` or `error`", StreamEvent, EVENTS),
        ),
        CreateMessage,
        failures=ANSWERING,
    ),
    Operation(
        "post",
        _COUNT,
        "countMessageTokens",
        _GROUP,
        "Count the tokens of a conversation's prompt",
        (Reply("How many tokens the prompt has", TokensCounted),),
        CountTokens,
        failures=ANSWERING,
    ),
)


def routes(services: HttpServices) -> list[Route]:
    async def create_message(request: Request) -> Response:
        asked = await read_parsed(request, services.options, parse_message)
        writer = MessageWriter(visit_of(request.scope).request_id, shows_thinking=asked.shows_thinking)
        with translated():
            return await answer(services, request, Asked(asked.reference, (asked.question,), asked.stream), writer)

    async def count(request: Request) -> Response:
        reference, question = await read_parsed(request, services.options, parse_count)
        with translated():
            tokens = await on_model(services, request, reference, lambda lease: count_tokens(lease.engine, question))
        return Response(msgspec.json.encode(TokensCounted(tokens)), media_type="application/json")

    return [Route(_MESSAGES, create_message, methods=["POST"]), Route(_COUNT, count, methods=["POST"])]
