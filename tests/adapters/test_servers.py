"""Record files: who may read them, and what is made of those that are damaged, foreign, or of nobody any more."""

import json
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from mlxk2.adapters.servers import RecordedServers
from mlxk2.ports.errors import AccessProblem
from mlxk2.testing.contracts.servers import SERVER

NAME = f"server-{SERVER.pid}.json"


@pytest.fixture
def servers(tmp_path: Path) -> RecordedServers:
    return RecordedServers(str(tmp_path / "run"), str(tmp_path / "state"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The folder of the records, as another program would have made it."""
    folder = tmp_path / "run" / "mlxk2"
    folder.parent.mkdir(mode=0o700)
    folder.mkdir(mode=0o700)
    return folder


def write(folder: Path, content: str | bytes, name: str = NAME, mode: int = 0o600) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    path.chmod(mode)
    return path


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_nobody_else_may_read_records_and_logs(servers: RecordedServers, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        servers.announce(SERVER)
        log = Path(servers.log_file(8000))
    finally:
        os.umask(before)
    record = tmp_path / "run" / "mlxk2" / NAME
    assert [mode_of(path) for path in (record, record.parent, record.parent.parent)] == [0o600, 0o700, 0o700]
    assert log == tmp_path / "state" / "mlxk2" / "logs" / "server-8000.log"
    assert mode_of(log.parent) == 0o700


def test_folders_that_were_open_to_others_are_closed(servers: RecordedServers, folder: Path) -> None:
    folder.chmod(0o755)
    servers.announce(SERVER)
    assert mode_of(folder) == 0o700
    assert servers.running() == (SERVER,)


def test_a_withdrawn_record_leaves_nothing(servers: RecordedServers, folder: Path) -> None:
    servers.announce(SERVER)
    assert [path.name for path in folder.iterdir()] == [NAME]
    servers.withdraw(SERVER)
    assert list(folder.iterdir()) == []


def test_the_record_of_a_process_that_ended_is_taken_away(servers: RecordedServers, folder: Path) -> None:
    stale = write(folder, json.dumps(asdict(SERVER)))
    assert servers.running() == ()
    assert not stale.exists()


def test_a_process_id_that_was_given_to_another_process_proves_nothing(servers: RecordedServers, folder: Path) -> None:
    """The record names this very process, which lives, and has announced nothing."""
    write(folder, json.dumps(asdict(replace(SERVER, pid=os.getpid()))))
    assert servers.running() == ()


def test_a_left_over_record_does_not_hinder_the_next_server_of_its_process_id(
    servers: RecordedServers, folder: Path
) -> None:
    write(folder, json.dumps(asdict(replace(SERVER, port=1))))
    write(folder, "half a rec", f"{NAME}.new", 0o400)
    servers.announce(SERVER)
    assert servers.running() == (SERVER,)
    assert [path.name for path in folder.iterdir()] == [NAME]


DAMAGED: dict[str, str | bytes] = {
    "empty": "",
    "half": '{"url": "http',
    "no text": b"\xff\xfe\x00",
    "a list": "[1]",
    "deep": "[" * 60_000,
    "a field missing": json.dumps({name: value for name, value in asdict(SERVER).items() if name != "key"}),
    "a number for a text": json.dumps({**asdict(SERVER), "key": 5}),
    "a text for a number": json.dumps({**asdict(SERVER), "pid": "5"}),
    "true for a number": json.dumps({**asdict(SERVER), "port": True}),
    "larger than any record": json.dumps({**asdict(SERVER), "log": "x" * 100_000}),
}


@pytest.mark.parametrize("content", DAMAGED.values(), ids=DAMAGED.keys())
def test_a_damaged_record_counts_as_not_there_and_hides_no_other(
    servers: RecordedServers, folder: Path, content: str | bytes
) -> None:
    servers.announce(SERVER)
    damaged = write(folder, content, "server-1.json")
    assert servers.running() == (SERVER,)
    assert damaged.exists()


def test_what_is_no_record_is_left_alone(servers: RecordedServers, folder: Path, tmp_path: Path) -> None:
    servers.announce(SERVER)
    elsewhere = write(tmp_path, json.dumps(asdict(SERVER)))
    (folder / "server-1.json").symlink_to(elsewhere)
    (folder / "server-2.json").mkdir()
    os.mkfifo(folder / "server-3.json")
    write(folder, json.dumps(asdict(SERVER)), "server-4.json", 0o644)
    write(folder, "", "notes")
    assert servers.running() == (SERVER,)
    assert len(list(folder.iterdir())) == 6
    assert elsewhere.exists()


def test_fields_of_a_later_version_are_left_aside(servers: RecordedServers, folder: Path) -> None:
    servers.announce(SERVER)
    record = folder / NAME
    record.write_text(json.dumps({**asdict(SERVER), "version": "9.9", "colour": "blue"}))  # the lock is the file's
    assert servers.running() == (replace(SERVER, version="9.9"),)


def _open_to_others(folder: Path) -> None:
    folder.chmod(0o777)


def _a_link(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.symlink_to(folder.with_name("elsewhere"))


def _a_file(folder: Path) -> None:
    folder.rename(folder.with_name("elsewhere"))
    folder.touch()


@pytest.mark.parametrize("spoil", [_open_to_others, _a_link, _a_file])
def test_a_runtime_folder_where_others_could_put_records_is_neither_read_nor_used(
    servers: RecordedServers, folder: Path, spoil: Callable[[Path], None]
) -> None:
    servers.announce(SERVER)
    spoil(folder.parent)
    assert servers.running() == ()
    with pytest.raises(AccessProblem, match="XDG_RUNTIME_DIR"):
        servers.announce(SERVER)


def test_records_below_somebody_elses_folder_are_not_believed(
    servers: RecordedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers.announce(SERVER)
    servers.log_file(8000)
    another = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: another)
    assert servers.running() == ()
    with pytest.raises(AccessProblem):
        servers.announce(SERVER)
    with pytest.raises(AccessProblem, match="XDG_STATE_HOME"):
        RecordedServers(str(tmp_path / "run"), str(tmp_path / "state")).log_file(8000)


@pytest.mark.parametrize("place", ["/dev/null/run", "/proc/nothing"])
def test_a_place_where_nothing_can_be_made_is_told(place: str) -> None:
    servers = RecordedServers(place, place)
    assert servers.running() == ()
    with pytest.raises(AccessProblem, match="XDG_RUNTIME_DIR"):
        servers.announce(SERVER)
    with pytest.raises(AccessProblem, match="XDG_STATE_HOME"):
        servers.log_file(8000)
    servers.withdraw(SERVER)


def test_many_who_look_at_once_see_the_same(servers: RecordedServers, folder: Path, tmp_path: Path) -> None:
    """Whoever looks locks a record for a moment; nobody takes that for the server's own lock."""
    for place in range(20):
        write(folder, json.dumps(asdict(SERVER)), f"server-1{place}.json")
    servers.announce(SERVER)
    seen: list[object] = []

    def look() -> None:
        others = RecordedServers(str(tmp_path / "run"), str(tmp_path / "state"))
        seen.extend(others.running() for _ in range(20))

    lookers = [threading.Thread(target=look) for _ in range(4)]
    for looker in lookers:
        looker.start()
    for looker in lookers:
        looker.join()
    assert seen == [(SERVER,)] * 80
    assert [path.name for path in folder.iterdir()] == [NAME]


def test_a_program_that_the_server_starts_does_not_keep_its_record(servers: RecordedServers, tmp_path: Path) -> None:
    """It outlives the server here: the lock is not handed on to it."""
    code = """
import os, subprocess, sys
from mlxk2.adapters.servers import RecordedServers
from mlxk2.testing.contracts.servers import SERVER
RecordedServers(*sys.argv[1:]).announce(SERVER)
child = subprocess.Popen(["sleep", "600"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
print(child.pid, flush=True)
os._exit(0)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "run"), str(tmp_path / "state")]
    child = int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    try:
        assert servers.running() == ()
    finally:
        os.kill(child, 9)
