"""Long lists come in pages; the header of each page links to the next."""

from collections.abc import Sequence
from urllib.parse import urlencode

from starlette.requests import Request

from .answer import Answer, json_answer
from .description import Json
from .state import State


def page_answer(request: Request, state: State, items: Sequence[Json]) -> Answer:
    parameters = request.query_params
    size = min(int(parameters.get("limit", state.page_size)), state.page_size)
    start = int(parameters.get("cursor", 0))
    end = start + size
    headers = {}
    if end < len(items):
        query = [(name, value) for name, value in parameters.multi_items() if name != "cursor"]
        following = f"{state.endpoint}{request.scope['path']}?{urlencode([*query, ('cursor', end)])}"
        headers["Link"] = f'<{following}>; rel="next"'
    return json_answer(items[start:end], headers=headers)
