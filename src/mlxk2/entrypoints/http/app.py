"""The ASGI application: all doors, behind the layers that every request passes."""

from starlette.routing import Router
from starlette.types import ASGIApp

from mlxk2.entrypoints.http import anthropic, attached, openai, operating
from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.front import fronted
from mlxk2.entrypoints.http.logs import log_request
from mlxk2.entrypoints.http.openapi import openapi_route


def build_app(services: HttpServices) -> ASGIApp:
    """Raises ValidationError for options that are unsafe."""
    options = services.options
    doors = (openai, anthropic, operating)
    routes = [route for door in doors for route in door.routes(services)]
    operations = [operation for door in doors for operation in door.OPERATIONS]
    routes += attached.routes(services)  # no public API: the document does not have them
    routes.append(openapi_route(operations, services.version, has_keys=bool(options.api_keys)))
    return fronted(
        Router(routes, redirect_slashes=False),
        host=options.host,
        allowed_hosts=options.allowed_hosts,
        cors_origins=options.cors_origins,
        api_keys=options.api_keys,
        local_key=options.local_key,
        per_client=options.per_key,
        tell=(log_request, services.metrics.count_request),
    )
