"""The contract of `Servers`: whoever has announced itself and lives is found, and nobody else."""

import os
from collections.abc import Callable
from dataclasses import replace

import pytest

from mlxk2.ports.servers import RunningServer, Servers

SERVER = RunningServer(
    url="http://127.0.0.1:8000",
    key="a secret",
    pid=os.getpid(),
    port=8000,
    cache="/some/caché",
    version="1.0",
    started=1_700_000_000.5,
    log="/some/log",
)


class ServersContract:
    """Subclasses supply `servers`, with nothing announced; `others` sees the same from another program."""

    @pytest.fixture
    def servers(self, request: pytest.FixtureRequest) -> Servers:
        raise NotImplementedError(request)

    @pytest.fixture
    def others(self, servers: Servers) -> Servers:
        return servers

    @pytest.fixture
    def end(self, request: pytest.FixtureRequest) -> Callable[[], RunningServer]:
        """Has another process announce itself, and ends that without a word; returns what it announced."""
        raise NotImplementedError(request)

    def test_nobody_is_running_at_first(self, servers: Servers) -> None:
        assert servers.running() == ()

    def test_a_server_is_found_as_it_announced_itself(self, servers: Servers, others: Servers) -> None:
        servers.announce(SERVER)
        assert others.running() == servers.running() == (SERVER,)

    def test_looking_leaves_it_as_it_is(self, servers: Servers, others: Servers) -> None:
        servers.announce(SERVER)
        assert [others.running() for _ in range(3)] == [(SERVER,)] * 3

    def test_the_one_that_was_started_last_comes_first(self, servers: Servers, others: Servers) -> None:
        again = [replace(SERVER, pid=SERVER.pid + place, started=started) for place, started in enumerate((2, 3, 1))]
        for server in again:
            servers.announce(server)
        assert [server.started for server in others.running()] == [3, 2, 1]

    def test_what_is_announced_again_takes_the_place_of_what_was(self, servers: Servers, others: Servers) -> None:
        servers.announce(SERVER)
        servers.announce(replace(SERVER, port=9000))
        assert [server.port for server in others.running()] == [9000]

    def test_a_server_that_withdraws_is_not_found(self, servers: Servers, others: Servers) -> None:
        servers.announce(SERVER)
        servers.announce(replace(SERVER, pid=SERVER.pid + 1))
        servers.withdraw(SERVER)
        assert [server.pid for server in others.running()] == [SERVER.pid + 1]

    def test_to_withdraw_what_is_not_known_is_harmless(self, servers: Servers) -> None:
        servers.withdraw(SERVER)
        servers.announce(SERVER)
        servers.withdraw(SERVER)
        servers.withdraw(SERVER)
        assert servers.running() == ()

    def test_a_server_whose_process_ended_without_a_word_is_not_found(
        self, servers: Servers, end: Callable[[], RunningServer]
    ) -> None:
        servers.announce(SERVER)
        assert end() != SERVER
        assert servers.running() == (SERVER,)

    def test_every_port_has_a_log_file_whose_folder_is_there(self, servers: Servers) -> None:
        paths = [servers.log_file(port) for port in (8000, 8001)]
        assert len({*paths}) == 2
        for path in paths:
            assert os.path.isabs(path)
            assert os.path.isdir(os.path.dirname(path))
            assert not os.path.exists(path)
        assert servers.log_file(8000) == paths[0]

    def test_the_key_is_not_shown(self) -> None:
        assert "a secret" not in f"{SERVER} {SERVER!r}"
