"""The operators' paths."""

from starlette.routing import Route

from mlxk2.entrypoints.http.context import HttpServices
from mlxk2.entrypoints.http.metrics import MEDIA_TYPE
from mlxk2.entrypoints.http.operating.keeping import Keeping
from mlxk2.entrypoints.http.operating.looking import Looking
from mlxk2.entrypoints.http.operating.wire import Alive, LoadBody, Models, Readiness, UnloadBody
from mlxk2.entrypoints.http.operations import Operation, Reply

_GROUP = "Operating"

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="get",
        path="/health",
        name="getHealth",
        group=_GROUP,
        summary="Whether the server is alive; asks no model and wants no key",
        replies=[Reply("It is", Alive)],
        open=True,
    ),
    Operation(
        method="get",
        path="/ready",
        name="getReady",
        group=_GROUP,
        summary="Whether a model can answer now, or would be loaded for the first request",
        replies=[
            Reply("It can", Readiness),
            Reply("A model is still being loaded, or the server is about to end", Readiness, status=503),
        ],
    ),
    Operation(
        method="get",
        path="/metrics",
        name="getMetrics",
        group=_GROUP,
        summary="The server's numbers in Prometheus' text format",
        replies=[Reply("The numbers", media=MEDIA_TYPE)],
    ),
    Operation(
        method="post",
        path="/v1/models/load",
        name="loadModel",
        group=_GROUP,
        summary="Load a model ahead of any request",
        body=LoadBody,
        replies=[Reply("It is loaded", Models), Reply("It will be loaded", Models, status=202)],
        failures=(400, 404, 409, 503),
    ),
    Operation(
        method="post",
        path="/v1/models/unload",
        name="unloadModel",
        group=_GROUP,
        summary="Give back a model's memory; all its revisions unless one is named",
        body=UnloadBody,
        replies=[Reply("The models that were unloaded: none when none was in memory", Models)],
        failures=(400, 404, 409),
    ),
)


def routes(services: HttpServices) -> list[Route]:
    """Made once for a server: they remember since when it runs."""
    looking, keeping = Looking(services), Keeping(services)
    return [
        Route("/health", looking.health),
        Route("/ready", looking.ready),
        Route("/metrics", looking.metrics),
        Route("/v1/models/load", keeping.load, methods=["POST"]),
        Route("/v1/models/unload", keeping.unload, methods=["POST"]),
    ]
