"""Which models go from which servers, and what is told when one does not."""

import pytest

from mlxk2 import __version__
from mlxk2.domain.usecases.unload_model import Unloaded, UnloadModel
from mlxk2.ports.errors import AmbiguousMatch, Conflict, ModelNotFound, ServerGone
from tests.running import COMMIT, ListedModels, ListedServers, a_model, a_server, holding

DEMO, OTHER = "mlxk2/demo", "org/other"
BUSY = "The server on port {} is using '{}'; wait, or end its requests with --force"
OLDER, NEWER = a_server(8000), a_server(8001)


def unloading(models: ListedModels, *servers: int) -> UnloadModel:
    listed = [server for server in (NEWER, OLDER) if server.port in (servers or models.listed)]
    return UnloadModel(ListedServers(listed), models, __version__)


def test_a_model_goes_from_every_server_that_has_it() -> None:
    models = ListedModels({8000: holding(a_model(DEMO)), 8001: holding(a_model(DEMO), a_model(OTHER))})
    assert unloading(models)(DEMO) == (Unloaded(DEMO, COMMIT, NEWER), Unloaded(DEMO, COMMIT, OLDER))


def test_a_port_and_force_are_passed_on() -> None:
    models = ListedModels({8000: holding(a_model(DEMO)), 8001: holding(a_model(DEMO))})
    assert unloading(models)(DEMO, port=8000, force=True) == (Unloaded(DEMO, COMMIT, OLDER),)
    assert models.unloaded == [(8000, DEMO, True)]


def test_what_is_not_loaded_is_not_found_and_a_similar_name_is_told() -> None:
    models = ListedModels({8000: holding(a_model(OTHER))})
    with pytest.raises(ModelNotFound) as raised:
        unloading(models)("org/ohter")
    assert raised.value.message == (
        "No server of yours has 'org/ohter' loaded; did you mean org/other? See what is loaded with: mlxk2 ps"
    )
    with pytest.raises(ModelNotFound, match="has 'zebra' loaded; see what is loaded with: mlxk2 ps"):
        unloading(models)("zebra")


def test_a_model_that_is_on_its_way_out_is_not_told_as_a_similar_one() -> None:
    models = ListedModels({8000: holding(a_model(DEMO, state="unloading"))})
    for reference in (DEMO, "demo"):
        with pytest.raises(ModelNotFound) as raised:
            unloading(models)(reference)
        assert raised.value.message == f"No server of yours has '{reference}' loaded; see what is loaded with: mlxk2 ps"


def test_a_server_that_does_not_know_the_model_is_passed_over() -> None:
    models = ListedModels({8000: holding(a_model(DEMO)), 8001: holding()}, {(8001, DEMO): ModelNotFound("no demo")})
    assert unloading(models)(DEMO) == (Unloaded(DEMO, COMMIT, OLDER),)


def test_a_name_that_no_server_knows_is_not_loaded() -> None:
    models = ListedModels({8000: holding()}, {(8000, "no"): ModelNotFound("not in this cache")})
    with pytest.raises(ModelNotFound, match="has 'no' loaded"):
        unloading(models)("no")


def test_a_refusal_is_raised_as_it_is() -> None:
    error = AmbiguousMatch("two", matches=("a/b", "c/d"))
    with pytest.raises(AmbiguousMatch) as raised:
        unloading(ListedModels({8000: holding(a_model(DEMO))}, {(8000, DEMO): error}))(DEMO)
    assert raised.value is error
    assert error.message == "two"


def test_a_busy_model_is_refused_with_the_option_that_takes_it_all_the_same() -> None:
    models = ListedModels({8000: holding(a_model(DEMO))}, {(8000, DEMO): Conflict("it is busy")})
    with pytest.raises(Conflict) as raised:
        unloading(models)(DEMO)
    assert raised.value.message == BUSY.format(8000, DEMO)


def test_a_refusal_after_a_success_says_both() -> None:
    held = {8000: holding(a_model(DEMO)), 8001: holding(a_model(DEMO))}
    with pytest.raises(Conflict) as raised:
        unloading(ListedModels(held, {(8001, DEMO): Conflict("it is busy")}))(DEMO)
    assert raised.value.message == "Unloaded mlxk2/demo, but not everything: " + BUSY.format(8001, DEMO)


def test_without_a_server_the_next_step_is_told() -> None:
    with pytest.raises(ServerGone, match="No server of yours is running, so no model is loaded; start one with"):
        UnloadModel(ListedServers([]), ListedModels({}), __version__)(DEMO)


def test_a_server_of_another_version_is_not_asked() -> None:
    models = ListedModels({8000: holding(a_model(DEMO))})
    unload = UnloadModel(ListedServers([OLDER]), models, "another")
    with pytest.raises(ServerGone, match="and this is another"):
        unload(DEMO)
    with pytest.raises(ServerGone, match="and this is another"):
        unload.all()
    assert models.unloaded == []


def test_all_unloads_everything() -> None:
    models = ListedModels({8000: holding(a_model(DEMO)), 8001: holding(a_model(DEMO), a_model(OTHER))})
    assert [(one.model, one.server.port) for one in unloading(models).all()] == [
        (DEMO, 8001),
        (OTHER, 8001),
        (DEMO, 8000),
    ]
    assert {wish for _, wish, _ in models.unloaded} == {f"{DEMO}@{COMMIT}", f"{OTHER}@{COMMIT}"}


def test_all_tries_everything_before_it_tells_of_a_refusal() -> None:
    held = {8000: holding(a_model(DEMO)), 8001: holding(a_model(DEMO), a_model(OTHER))}
    models = ListedModels(held, {(8001, f"{DEMO}@{COMMIT}"): Conflict("it is busy")})
    with pytest.raises(Conflict) as raised:
        unloading(models).all()
    assert raised.value.message == (
        "Unloaded org/other, mlxk2/demo, but not everything: " + BUSY.format(8001, f"{DEMO}@{COMMIT}")
    )
    assert len(models.unloaded) == 3


def test_all_tells_of_a_server_that_does_not_answer_after_the_others() -> None:
    models = ListedModels({8000: holding(a_model(DEMO))})
    with pytest.raises(ServerGone, match="The server on port 8001 does not answer"):
        unloading(models, 8000, 8001).all()
    assert models.unloaded == [(8000, f"{DEMO}@{COMMIT}", False)]


def test_all_of_nothing_is_nothing() -> None:
    assert unloading(ListedModels({8000: holding()})).all(port=8000) == ()
