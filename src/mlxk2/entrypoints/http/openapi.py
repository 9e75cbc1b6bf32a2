"""The OpenAPI 3.1 document at `/openapi.json`, made of the doors' operations and their wire types.

Nothing about bodies is written here by hand, so the document cannot say anything else than what is decoded and encoded.
What every operation may answer, because of the layers before the doors, is added here.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mlxk2.entrypoints.http.errors import AnthropicFailure, OpenAiFailure, style_of
from mlxk2.entrypoints.http.operations import EVENTS, JSON, Operation, Parameter, Reply

Node = dict[str, Any]
"""A part of the document."""

PATH = "/openapi.json"
OPERATION = Operation(
    "get", PATH, "describeServer", "Server", "This document", (Reply("An OpenAPI 3.1 document", dict[str, Any]),)
)

_ALWAYS = (400, 403, 500)
_BODIES = (408, 413, 415, 429)
_KEYLESS = 401
_WORDS = {
    400: "The request cannot be carried out as it is; the message says what to change",
    401: "The API key is missing or wrong",
    403: "The Host or the Origin may not use this server",
    404: "There is no such model",
    408: "The body did not arrive in time",
    409: "Something else is being done to the model",
    413: "The body is too large",
    415: "The body is not called JSON",
    429: "Too many requests at once",
    500: "A defect of the server; its log has the reason",
    503: "Too much work, or the model failed or could not be loaded; worth another try",
    504: "It took too long",
}
_RETRY = {
    "Retry-After": {"description": "Seconds after which to try again", "schema": {"type": "integer", "minimum": 0}}
}
_MAY_RETRY = (429, 503)


_FAILURES = {"openai": OpenAiFailure, "anthropic": AnthropicFailure}
_KEYS = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
}


def openapi_route(operations: Sequence[Operation], version: str, *, has_keys: bool) -> Route:
    """The document is made once, when it is first asked for."""
    written: list[bytes] = []

    async def describe(_: Request) -> Response:
        if not written:
            written.append(msgspec.json.encode(document([*operations, OPERATION], version, has_keys=has_keys)))
        return Response(written[0], media_type=JSON)

    return Route(PATH, describe, methods=["GET"])


def document(operations: Sequence[Operation], version: str, *, has_keys: bool) -> Node:
    """The whole document; `has_keys`: an API key is asked for, except where an operation is open."""
    types = [*_FAILURES.values(), *(body for one in operations for body in _bodies(one))]
    schemas, components = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    writer = _Writer(dict(zip(map(id, types), schemas, strict=True)), has_keys=has_keys)
    paths: dict[str, Node] = defaultdict(dict)
    for operation in operations:
        paths[operation.path][operation.method] = writer.operation(operation)
    return {
        "openapi": "3.1.0",
        "info": {"title": "mlxk2", "version": version, "summary": "MLX language models, served on this machine"},
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "paths": dict(paths),
        "components": {"schemas": components} | ({"securitySchemes": _KEYS} if has_keys else {}),
        "tags": [{"name": name} for name in dict.fromkeys(one.group for one in operations)],
    }


def _bodies(operation: Operation) -> list[object]:
    bodies = [operation.body, *(reply.body for reply in operation.replies), *(one.form for one in operation.parameters)]
    return [body for body in bodies if body is not None]


class _Writer:
    def __init__(self, schemas: dict[int, Node], *, has_keys: bool) -> None:
        self._schemas = schemas
        self._has_keys = has_keys

    def operation(self, operation: Operation) -> Node:
        node: Node = {
            "operationId": operation.name,
            "summary": operation.summary,
            "tags": [operation.group],
            "responses": self._responses(operation),
        }
        if operation.parameters:
            node["parameters"] = [self._parameter(parameter) for parameter in operation.parameters]
        if operation.body is not None:
            node["requestBody"] = {"required": True, "content": {JSON: {"schema": self._schema(operation.body)}}}
        if self._has_keys:
            node["security"] = [] if operation.open else [{name: []} for name in _KEYS]
        return node

    def _responses(self, operation: Operation) -> Node:
        responses: dict[str, Node] = {}
        for reply in operation.replies:
            node = responses.setdefault(str(reply.status), {"description": reply.description, "content": {}})
            node["content"][reply.media] = {"schema": self._answered(operation.path, reply)}
        for status in sorted(self._statuses(operation) - {reply.status for reply in operation.replies}):
            responses[str(status)] = self._failure(operation.path, status)
        return responses

    def _statuses(self, operation: Operation) -> set[int]:
        statuses = {*_ALWAYS, *operation.failures}
        if operation.method == "post":
            statuses |= set(_BODIES)
        if self._has_keys and not operation.open:
            statuses.add(_KEYLESS)
        return statuses

    def _failure(self, path: str, status: int) -> Node:
        schema = self._schema(_FAILURES[style_of(path)])
        node: Node = {"description": _WORDS[status], "content": {JSON: {"schema": schema}}}
        return node | {"headers": _RETRY} if status in _MAY_RETRY else node

    def _answered(self, path: str, reply: Reply) -> Node:
        if reply.body is None:
            return {"type": "string"}
        return self._event(path, reply.body) if reply.media == EVENTS else self._schema(reply.body)

    def _event(self, path: str, body: object) -> Node:
        """One event of a stream; before OpenAPI 3.2 that is what the schema of an event stream describes."""
        style = style_of(path)
        forms = [{"contentMediaType": JSON, "contentSchema": self._schema(form)} for form in (body, _FAILURES[style])]
        ends = [{"const": "[DONE]"}] if style == "openai" else []
        data = {"type": "string", "anyOf": [*forms, *ends]}
        return {"type": "object", "required": ["data"], "properties": {"event": {"type": "string"}, "data": data}}

    def _schema(self, body: object) -> Node:
        return self._schemas[id(body)]

    def _parameter(self, parameter: Parameter) -> Node:
        return {
            "name": parameter.name,
            "in": parameter.place,
            "required": parameter.required,
            "description": parameter.description,
            "schema": self._schema(parameter.form),
        }
