"""The log as a file: what is logged is there too, for the user alone, and it does not grow for ever."""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlxk2.entrypoints.http.log_file import LARGEST, LogFile
from mlxk2.entrypoints.http.logs import LogFormat, log_note, log_trouble, start_log
from tests.entrypoints.http.doors.conftest import log

__all__ = ["log"]

pytestmark = pytest.mark.usefixtures("log")


@contextmanager
def written(path: Path, form: LogFormat = "text", largest: int = LARGEST) -> Iterator[LogFile]:
    file = LogFile(str(path), form, largest)
    try:
        yield file
    finally:
        file.close()


def test_what_is_logged_goes_to_standard_error_and_to_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    start_log("info", "text")
    with written(tmp_path / "log") as file:
        log_note("to both")
        logging.getLogger("uvicorn.error").warning("a library has something to say")
        logging.getLogger("uvicorn.error").info("too much")
        file.note("to the file alone")
    log_note("after the end")
    lines = (tmp_path / "log").read_text().splitlines()
    assert [line.partition(" ")[2] for line in lines] == [
        "info to both",
        "warning a library has something to say",
        "info to the file alone",
    ]
    told = capsys.readouterr().err
    assert "to both" in told
    assert "after the end" in told
    assert "to the file alone" not in told


def test_it_has_the_form_that_was_chosen(tmp_path: Path) -> None:
    with written(tmp_path / "log", "json") as file:
        file.note("a note")
        log_trouble("☃ trouble")
    entries = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [(entry["level"], entry["message"]) for entry in entries] == [("info", "a note"), ("error", "☃ trouble")]


def test_only_the_user_can_read_it_also_where_it_was_open_before(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("earlier\n")
    (tmp_path / "log").chmod(0o644)
    with written(tmp_path / "log", largest=200):
        log_note("x" * 150)
        assert (tmp_path / "log").read_text().startswith("earlier\n")
        log_note("y" * 150)
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600
    assert len(list(tmp_path.iterdir())) == 2


def test_it_begins_anew_when_it_is_large_and_keeps_one_older_file(tmp_path: Path) -> None:
    with written(tmp_path / "log", largest=1000):
        for number in range(100):
            log_note(f"note {number}")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1"]
    newest, older = ((tmp_path / name).read_text() for name in ("log", "log.1"))
    assert all(len(text) <= 1000 for text in (newest, older))
    kept = [int(line.rpartition(" ")[2]) for line in (older + newest).splitlines()]
    assert kept == list(range(kept[0], 100))


def test_the_file_of_an_earlier_server_is_gone_on_with_until_it_is_large(tmp_path: Path) -> None:
    for number in range(3):
        with written(tmp_path / "log") as file:
            file.note(f"start {number}")
    assert [line[-1] for line in (tmp_path / "log").read_text().splitlines()] == ["0", "1", "2"]


def test_no_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("precious")
    (tmp_path / "log").symlink_to(tmp_path / "precious")
    with pytest.raises(OSError, match="log"):
        LogFile(str(tmp_path / "log"), "text")
    log_note("goes on")
    assert (tmp_path / "precious").read_text() == "precious"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="this system has no device that is always full")
def test_a_full_disk_stops_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """/dev/full takes no byte."""
    start_log("info", "text")
    with written(tmp_path / "log") as file:
        before = file._handler.setStream(open("/dev/full", "w"))  # noqa: SIM115 - the handler closes it
        assert before is not None
        before.close()
        for number in range(3):
            log_note(f"note {number}")
    log_note("note 3")
    told = capsys.readouterr().err
    assert [line[-1] for line in told.splitlines()] == ["0", "1", "2", "3"]


def test_what_cannot_be_encoded_is_spelled_out(tmp_path: Path) -> None:
    with written(tmp_path / "log") as file:
        file.note("half \ud83d of a pair")
    assert (tmp_path / "log").read_text().endswith("half \\ud83d of a pair\n")
