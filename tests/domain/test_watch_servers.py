"""What is seen of the servers that run."""

import pytest

from mlxk2 import __version__
from mlxk2.domain.usecases.watch_servers import WatchServers
from mlxk2.ports.errors import ServerGone
from tests.running import ListedModels, ListedServers, a_model, a_server, holding


def look(servers: ListedServers, models: ListedModels) -> WatchServers:
    return WatchServers(servers, lambda: models, __version__)


def test_every_server_is_seen_with_what_it_holds() -> None:
    servers = ListedServers([a_server(8001), a_server(8000)])
    held = {8000: holding(a_model()), 8001: holding()}
    views = look(servers, ListedModels(held))()
    assert [(view.server.port, view.held, view.problem) for view in views] == [
        (8001, held[8001], None),
        (8000, held[8000], None),
    ]


def test_a_server_that_does_not_answer_hides_no_other() -> None:
    views = look(ListedServers([a_server(8001), a_server(8000)]), ListedModels({8000: holding()}))()
    assert [(view.held, view.problem) for view in views] == [
        (None, "The server on port 8001 does not answer"),
        (holding(), None),
    ]


def test_a_server_of_another_version_is_not_asked() -> None:
    (view,) = look(ListedServers([a_server(version="1.9")]), ListedModels({8000: holding()}))()
    assert view.held is None
    assert view.problem == f"The server on port 8000 is version 1.9 and this is {__version__}; start it again"


def test_a_port_picks_one() -> None:
    watch = look(ListedServers([a_server(8001), a_server(8000)]), ListedModels({8000: holding(), 8001: holding()}))
    assert [view.server.port for view in watch(8000)] == [8000]
    with pytest.raises(ServerGone, match="No server of yours is running on port 9; yours are on 8001, 8000"):
        watch(9)


def test_a_port_without_any_server_says_how_to_start_one() -> None:
    with pytest.raises(ServerGone, match="start one with: mlxk2 serve --port 9"):
        look(ListedServers([]), ListedModels({}))(9)


def test_without_servers_there_is_nothing_to_see() -> None:
    assert look(ListedServers([]), ListedModels({}))() == ()
