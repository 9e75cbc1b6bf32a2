"""`logs`: which file it is, the end of it, and what is added to it."""

import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MemoryCache
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.tail import Tail
from mlxk2.testing import memory_program
from mlxk2.testing.plugin import CommandLine
from tests.running import ListedServers, a_server


class Logs:
    """A folder of logs, and the servers that write some of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._servers = ListedServers([], str(folder))

    def write(self, port: int, text: str, *, age: int = 0) -> Path:
        path = self.folder / f"server-{port}.log"
        path.write_text(text)
        os.utime(path, (1_700_000_000 - age, 1_700_000_000 - age))
        return path

    def run(self, *ports: int) -> None:
        """The last one was started last."""
        for port in ports:
            self._servers.announce(a_server(port, log=str(self.folder / f"server-{port}.log")))

    def end(self, port: int) -> None:
        (server,) = (server for server in self._servers.running() if server.port == port)
        self._servers.withdraw(server)

    def __call__(self) -> Services:
        return memory_program(MemoryCache())()._replace(servers=lambda: self._servers)


@pytest.fixture
def logs(tmp_path: Path) -> Logs:
    return Logs(tmp_path)


def numbered(count: int) -> str:
    return "".join(f"line {number}\n" for number in range(count))


class TestWhichLog:
    def test_that_of_the_server_that_was_started_last(self, cli: CommandLine, logs: Logs) -> None:
        logs.write(8000, "old\n")
        path = logs.write(8001, "new\n", age=60)
        logs.run(8000, 8001)
        run = cli("logs", services=logs)
        assert (run.code, run.out) == (0, "new\n")
        assert run.err == f"The log of the server on port 8001, process 4701: {path}\n"

    def test_that_of_a_server_that_has_ended_when_none_is_running(self, cli: CommandLine, logs: Logs) -> None:
        logs.write(8000, "long ago\n", age=60)
        path = logs.write(8001, "just now\n")
        (logs.folder / "server-8002.log.1").write_text("rotated\n")
        run = cli("logs", services=logs)
        assert (run.code, run.out) == (0, "just now\n")
        assert run.err == f"The log of the server on port 8001, which has ended: {path}\n"

    def test_that_of_a_port_whether_its_server_runs_or_not(self, cli: CommandLine, logs: Logs) -> None:
        logs.write(8000, "ended\n")
        logs.write(8001, "running\n")
        logs.run(8001)
        assert cli("logs", "--port", "8000", services=logs).out == "ended\n"
        assert cli("logs", "--port", "8001", services=logs).out == "running\n"

    @pytest.mark.parametrize(
        ("argv", "message"),
        [
            ((), "No server has left a log here; start one with: mlxk2 serve"),
            (("--port", "9"), "No server on port 9 has left a log here; start one with: mlxk2 serve --port 9"),
        ],
    )
    def test_none_is_an_error_with_the_next_step(
        self, cli: CommandLine, logs: Logs, argv: tuple[str, ...], message: str
    ) -> None:
        run = cli("logs", *argv, "--json", services=logs)
        error = json.loads(run.out)["error"]
        assert (run.code, error["type"], error["message"]) == (1, "OperationError", message)

    def test_one_that_cannot_be_read_is_told_with_the_reason(self, cli: CommandLine, logs: Logs) -> None:
        logs.run(8000)
        path = logs.folder / "server-8000.log"
        run = cli("logs", services=logs)
        assert (run.code, run.err) == (3, f"mlxk2: The log {path} cannot be read: no such file or directory\n")


class TestItsEnd:
    def test_the_last_hundred_lines_or_as_many_as_are_wanted(self, cli: CommandLine, logs: Logs) -> None:
        logs.write(8000, numbered(150))
        assert cli("logs", services=logs).out.splitlines() == numbered(150).splitlines()[50:]
        assert cli("logs", "-n", "2", services=logs).out == "line 148\nline 149\n"
        assert cli("logs", "-n", "1000", services=logs).out == numbered(150)
        assert cli("logs", "-n", "0", services=logs).out == ""

    def test_a_line_that_was_never_finished_is_shown_too(self, cli: CommandLine, logs: Logs) -> None:
        logs.write(8000, "one\ntwo\nkilled in the mid")
        assert cli("logs", "-n", "2", services=logs).out == "two\nkilled in the mid\n"

    def test_the_document_for_programs(self, cli: CommandLine, logs: Logs) -> None:
        path = logs.write(8000, numbered(3))
        run = cli("logs", "-n", "2", "--json", services=logs)
        assert (run.code, run.err) == (0, "")
        assert json.loads(run.out)["data"] == {
            "port": 8000,
            "running": False,
            "file": str(path),
            "lines": ["line 1", "line 2"],
        }

    def test_a_name_without_a_port_has_none(self, cli: CommandLine, logs: Logs) -> None:
        (logs.folder / "copied.log").write_text("a line\n")
        run = cli("logs", "--json", services=logs)
        assert json.loads(run.out)["data"]["port"] is None
        assert cli("logs", services=logs).err.startswith("The log of the server, which has ended: ")

    def test_nothing_in_it_steers_the_terminal(self, cli: CommandLine, logs: Logs) -> None:
        (logs.folder / "server-8000.log").write_bytes(b"\x1b[31mred\xff\ta tab\r\n")
        assert cli("logs", services=logs).out == "\\x1b[31mred\ufffd       a tab\n"

    @pytest.mark.parametrize(
        ("argv", "code", "message"),
        [
            (("-n", "-1"), 1, "--lines takes a number from 0 on, not -1"),
            (("-f", "--json"), 2, "--follow has no end, and --json is one document; leave one of them out"),
        ],
    )
    def test_what_cannot_be_meant_is_refused(
        self, cli: CommandLine, logs: Logs, argv: tuple[str, ...], code: int, message: str
    ) -> None:
        run = cli("logs", *argv, services=logs)
        assert run.code == code
        assert message in run.err + run.out


class TestGoingOn:
    """`logs -f` when servers end and start; a pause of the program is when that happens, and the last is Ctrl-C."""

    @pytest.fixture
    def pauses(self, monkeypatch: pytest.MonkeyPatch) -> list[Callable[[], object]]:
        left: list[Callable[[], object]] = []

        def pause(_: float) -> None:
            if not left:
                raise KeyboardInterrupt
            left.pop(0)()

        monkeypatch.setattr("time.sleep", pause)
        return left

    def test_from_a_server_that_has_ended_to_one_that_was_started_afterwards(
        self, cli: CommandLine, logs: Logs, pauses: list[Callable[[], object]]
    ) -> None:
        first, second = logs.write(8000, "first\n"), logs.folder / "server-8001.log"
        logs.run(8000)

        def start_another() -> None:
            second.write_text("second\n")
            logs.run(8001)

        pauses += [
            lambda: logs.end(8000),
            lambda: first.write_text("first\nkilled in the mid"),
            start_another,
            lambda: second.write_text("second\nthird\n"),
        ]
        run = cli("logs", "-f", services=logs)
        assert (run.code, run.out) == (130, "first\nkilled in the mid\nsecond\nthird\n")
        assert run.err == (
            f"The log of the server on port 8000, process 4700: {first}\n"
            f"The server on port 8000 has ended. The log of the server on port 8001, process 4701: {second}\n"
        )

    def test_not_while_it_runs_and_not_where_a_port_was_named(
        self, cli: CommandLine, logs: Logs, pauses: list[Callable[[], object]]
    ) -> None:
        logs.write(8000, "first\n")
        logs.write(8001, "second\n")
        logs.run(8000)
        pauses += [lambda: logs.run(8001), lambda: None]
        assert cli("logs", "-f", services=logs).out == "first\n"
        pauses += [lambda: logs.end(8000), lambda: None]
        assert cli("logs", "-f", "--port", "8000", services=logs).out == "first\n"

    def test_one_on_the_same_port_goes_on_in_the_same_file(
        self, cli: CommandLine, logs: Logs, pauses: list[Callable[[], object]]
    ) -> None:
        path = logs.write(8000, "first\n")
        logs.write(8001, "another's\n", age=60)
        pauses += [lambda: logs.run(8000, 8001), lambda: path.write_text("first\nsecond\n")]
        run = cli("logs", "-f", services=logs)
        assert (run.out, run.err.count("\n")) == ("first\nsecond\n", 1)


class TestReadingIt:
    """`Tail` on files of every size, and on files that change."""

    @pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 200_000])
    def test_lines_of_any_length_are_whole(self, tmp_path: Path, size: int) -> None:
        path = tmp_path / "log"
        path.write_text(f"first\n{'x' * size}\nlast\n")
        with closing(Tail(str(path))) as tail:
            assert tail.last(2) == ["x" * size, "last"]
            assert tail.last(9) == ["first", "x" * size, "last"]

    @pytest.fixture
    def followed(self, tmp_path: Path) -> Iterator["Followed"]:
        with closing(Followed(tmp_path / "log")) as followed:
            yield followed

    def test_lines_come_when_they_are_finished(self, followed: "Followed") -> None:
        followed.append("unfi")
        followed.append("nished\nsecond\nthi")
        assert followed.wait_for(2) == ["unfinished", "second"]
        followed.append("rd\n")
        assert followed.wait_for(3)[2] == "third"

    def test_a_file_that_takes_its_place_is_read_from_its_start(self, followed: "Followed") -> None:
        followed.append("before\n")
        followed.wait_for(1)
        followed.path.rename(followed.path.with_suffix(".1"))
        followed.append("after\n")
        assert followed.wait_for(2) == ["before", "after"]

    def test_what_came_just_before_it_was_replaced_is_not_lost(self, followed: "Followed") -> None:
        followed.append("before\n")
        followed.wait_for(1)
        with followed.path.open("a") as old:
            followed.path.rename(followed.path.with_suffix(".1"))
            old.write("last words")
        followed.append("after\n")
        assert followed.wait_for(3) == ["before", "last words", "after"]

    def test_it_ends_when_it_is_over_with_what_is_left(self, tmp_path: Path) -> None:
        path = tmp_path / "log"
        path.write_text("before\nlast ")

        def is_over() -> bool:
            with path.open("a") as file:
                file.write("words\nkilled in the mid")
            return True

        with closing(Tail(str(path))) as tail:
            assert list(tail.follow(is_over)) == ["before", "last words", "killed in the mid"]

    def test_a_file_that_was_emptied_is_read_from_its_start(self, followed: "Followed") -> None:
        followed.append("a long first line\n")
        followed.wait_for(1)
        followed.path.write_text("short\n")
        assert followed.wait_for(2)[1] == "short"


class Followed:
    """A file that is followed in a thread."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.touch()
        self._lines: list[str] = []
        self._over = False
        self._changed = threading.Condition()
        self._thread = threading.Thread(target=self._follow)
        self._thread.start()

    def _follow(self) -> None:
        with closing(Tail(str(self.path))) as tail:
            for line in tail.follow():
                with self._changed:
                    if self._over:
                        return
                    self._lines.append(line)
                    self._changed.notify_all()

    def append(self, text: str) -> None:
        with self.path.open("a") as file:
            file.write(text)

    def wait_for(self, count: int) -> list[str]:
        with self._changed:
            assert self._changed.wait_for(lambda: len(self._lines) >= count, 60), self._lines
            return list(self._lines)

    def close(self) -> None:
        self._over = True
        self.append("\n")
        self._thread.join()
