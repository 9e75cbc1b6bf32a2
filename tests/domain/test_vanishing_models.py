"""A model that another program deletes at the very moment when it is looked at, deleted or has just come."""

from collections.abc import Callable

import pytest

from mlxk2.adapters.memory import MemoryRepo, MemorySource, StoredModel
from mlxk2.adapters.memory.hub import MemoryHub
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.names import parse_reference
from mlxk2.domain.usecases.check_health import CheckHealth
from mlxk2.domain.usecases.list_models import ListModels
from mlxk2.domain.usecases.pull_model import PullModel, PullOptions
from mlxk2.domain.usecases.remove_model import RemoveModel
from mlxk2.domain.usecases.show_model import ShowModel
from mlxk2.ports.cache import Removal, RepoFacts
from mlxk2.ports.errors import AccessProblem, ModelNotFound, OperationError
from mlxk2.ports.transfer import Delivery, Watch, unwatched
from mlxk2.testing import MemoryCache, MemoryCatalogue, healthy_model

NAME, FOLDER = "org/model", "models--org--model"
OTHER = "org/other"
MODELS = (healthy_model(NAME), healthy_model(OTHER))
FILES = {path: file.content for path, file in next(iter(MODELS[0].revisions.values())).files.items()}
GONE = "deleted by another program"


class DeletedWhen(MemoryCache):
    """Somebody deletes the model right before its facts are asked for, before it is removed, or after it has come."""

    def __init__(self, moment: str, models: tuple[StoredModel, ...] = MODELS) -> None:
        super().__init__(models)
        self._moment = moment

    def repo(self, folder: str) -> RepoFacts:
        self._strike("repo", folder)
        return super().repo(folder)

    def remove(self, removal: Removal) -> None:
        self._strike("remove", removal.folder)
        super().remove(removal)

    def install(self, delivery: Delivery, watch: Watch) -> int:
        fetched = super().install(delivery, watch)
        self._strike("install", delivery.folder)
        return fetched

    def _strike(self, moment: str, folder: str) -> None:
        if moment == self._moment and folder == FOLDER and folder in self.folders():
            super().remove(Removal(folder, (), (), (), 0))


def inspector_on(cache: MemoryCache) -> Inspector:
    return Inspector(cache, MemoryCatalogue())


def test_list_and_health_leave_it_out() -> None:
    cache = DeletedWhen("repo")
    assert [row.name for row in ListModels(cache, inspector_on(cache))()] == [OTHER]
    report = CheckHealth(inspector_on(DeletedWhen("repo")))()
    assert ([row.name for row in report.healthy], report.unhealthy) == ([OTHER], ())


def test_a_folder_that_is_there_and_cannot_be_read_is_still_told() -> None:
    class Unreadable(MemoryCache):
        def repo(self, folder: str) -> RepoFacts:
            return RepoFacts(folder, {}, (), {}, problem="the folder cannot be read: permission denied")

    report = CheckHealth(inspector_on(Unreadable(MODELS)))()
    assert [row.name for row in report.unhealthy] == [NAME, OTHER]
    shown = ShowModel(inspector_on(Unreadable(MODELS)))(NAME)
    assert shown.summary.reason == "the folder cannot be read: permission denied"


@pytest.mark.parametrize(
    "look",
    [
        lambda inspector: ShowModel(inspector)(NAME),
        lambda inspector: inspector.locate(parse_reference(f"{NAME}@1234")),
    ],
)
def test_whoever_asks_for_it_is_told_that_it_is_gone(look: Callable[[Inspector], object]) -> None:
    with pytest.raises(ModelNotFound, match=GONE):
        look(inspector_on(DeletedWhen("repo")))


def test_rm_tells_that_somebody_was_faster() -> None:
    cache = DeletedWhen("remove")
    remove = RemoveModel(cache, inspector_on(cache))
    with pytest.raises(ModelNotFound, match=GONE):
        remove.execute(remove.plan(NAME))


def test_rm_of_many_tells_of_the_one_that_is_gone() -> None:
    cache = MemoryCache(MODELS)
    remove = RemoveModel(cache, inspector_on(cache))
    assert remove.matches("org/*") == [NAME, OTHER]
    cache.remove(Removal(FOLDER, (), (), (), 0))
    with pytest.raises(ModelNotFound, match=GONE):
        remove.plan_named(NAME)


def test_rm_of_what_is_there_and_refuses_tells_why() -> None:
    class Refusing(MemoryCache):
        def remove(self, removal: Removal) -> None:
            raise AccessProblem(f"{removal.folder} may not be written")

    cache = Refusing(MODELS)
    remove = RemoveModel(cache, inspector_on(cache))
    with pytest.raises(AccessProblem, match="may not be written"):
        remove.execute(remove.plan(NAME))


def test_a_pull_whose_model_is_deleted_at_once_does_not_call_it_here() -> None:
    cache = DeletedWhen("install", ())
    hub = MemoryHub({NAME: MemoryRepo({"main": FILES})})
    pull = PullModel(cache, MemorySource("mlxk2/demo", FILES), hub, inspector_on(cache))
    with pytest.raises(OperationError, match=f"{GONE} as soon as it was here"):
        pull.execute(pull.prepare(NAME, PullOptions(), lambda _: None), unwatched)
