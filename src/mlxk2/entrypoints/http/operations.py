"""What a door can be asked, as data: the OpenAPI document is made of it (`openapi.py`).

Every door keeps a tuple `OPERATIONS` of these beside its routes. Bodies are named by their wire types, so the document
says what is really decoded and encoded. What the layers before the doors may answer (keys, hosts, sizes, limits) is
added for all operations at once and is not named here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

JSON = "application/json"
EVENTS = "text/event-stream"


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer that is no error. `body` is the wire type (anything that msgspec knows), None for one without a form.

    For a stream, `media` is `EVENTS` and `body` the type of one event's data.
    """

    description: str
    body: object | None = None
    media: str = JSON
    status: int = 200


@dataclass(frozen=True, slots=True)
class Parameter:
    """A part of the path, or of the query string where it may be left out unless `required`; `form` is its type."""

    name: str
    description: str
    place: Literal["path", "query"] = "path"
    required: bool = True
    form: object = str


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path; `path` is written as OpenAPI has it: `/v1/models/{model}`.

    `name` is what generated clients call it, in camelCase, `group` the headline it stands under. `body` is the wire
    type of the request. `failures` are the statuses of errors that the door itself, or the model behind it, may answer
    with. `open`: no API key is asked for.
    """

    method: Literal["get", "post"]
    path: str
    name: str
    group: str
    summary: str
    replies: Sequence[Reply]
    body: object | None = None
    parameters: Sequence[Parameter] = ()
    failures: Sequence[int] = ()
    open: bool = False


ANSWERING = (400, 404, 409, 503, 504)
"""The failures of whatever asks a model."""
