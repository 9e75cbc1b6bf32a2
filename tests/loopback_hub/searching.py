"""The endpoint that lists models: search, filters, order, chosen properties, pages."""

from starlette.requests import Request

from .answer import Answer
from .description import describe_model
from .pages import page_answer
from .repository import Model
from .state import State

_DEFAULT = (
    "modelId",
    "createdAt",
    "private",
    "downloads",
    "likes",
    "trendingScore",
    "tags",
    "pipeline_tag",
    "library_name",
)
_FULL = (*_DEFAULT, "author", "sha", "lastModified", "gated", "disabled", "siblings")


class Searching:
    def __init__(self, state: State) -> None:
        self._state = state

    async def list_models(self, request: Request) -> Answer:
        token = self._state.access.token(request)
        models = [
            model
            for model in list(self._state.models.values())  # a test may add one meanwhile
            if self._state.access.may_see(token, model) and _is_wanted(model, request)
        ]
        models.sort(key=lambda model: _rank(model, request.query_params.get("sort", "trendingScore")), reverse=True)
        names = request.query_params.getlist("expand") or (_FULL if "full" in request.query_params else _DEFAULT)
        return page_answer(request, self._state, [describe_model(model, model.head, names) for model in models])


def _is_wanted(model: Model, request: Request) -> bool:
    wanted = request.query_params
    words = wanted.get("search", "").lower().split()
    known = {*model.tags, model.pipeline_tag, model.library_name}
    return (
        all(word in model.id.lower() for word in words)
        and wanted.get("author", model.namespace) == model.namespace
        and known.issuperset(wanted.getlist("filter"))
        and wanted.get("pipeline_tag", model.pipeline_tag) == model.pipeline_tag
        and wanted.get("gated", str(bool(model.gated))).lower() == str(bool(model.gated)).lower()
    )


def _rank(model: Model, order: str) -> float:
    """Models of equal rank stay in the order in which they were added."""
    ranks = {
        "downloads": model.downloads,
        "likes": model.likes,
        "lastModified": model.head.date.timestamp(),
        "createdAt": model.created_at.timestamp(),
    }
    return ranks.get(order, 0)
