"""A question written in the user's editor."""

import os
import signal
import sys
from pathlib import Path

import pytest

from mlxk2.entrypoints.cli.chat.editor import edit
from mlxk2.ports.errors import AccessProblem, OperationError, ValidationError


@pytest.fixture(autouse=True)
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are."""
    folder = tmp_path / "temporary files"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


def program(folder: Path, *lines: str) -> str:
    """An editor: a shell script that gets the file's path after its own arguments."""
    path = folder / "my-editor"
    path.write_text("\n".join(("#!/bin/sh", *lines, "")))
    path.chmod(0o700)
    return str(path)


def test_the_question_is_what_the_editor_leaves(tmp_path: Path, places: Path) -> None:
    editor = program(tmp_path, 'printf "\\n  more, über\\n\\n" >> "$1"')
    assert edit("begun", {"EDITOR": editor}) == "begun\n  more, über"
    assert os.listdir(places) == []


def test_visual_comes_before_editor_unless_it_is_blank(tmp_path: Path) -> None:
    editor = program(tmp_path, 'printf "written" > "$1"')
    assert edit("", {"VISUAL": editor, "EDITOR": "false"}) == "written"
    assert edit("", {"VISUAL": "  ", "EDITOR": editor}) == "written"


def test_the_variable_is_split_into_words_and_read_by_no_shell(tmp_path: Path) -> None:
    spaced = tmp_path / "with space"
    spaced.mkdir()
    editor = program(spaced, f'printf "%s\\n" "$@" > "{tmp_path}/words"; printf "x" > "$3"')
    assert edit("", {"EDITOR": f"'{editor}' --wait $(touch\\ {tmp_path}/harm);ls"}) == "x"
    words = (tmp_path / "words").read_text().splitlines()
    assert words[:2] == ["--wait", f"$(touch {tmp_path}/harm);ls"]
    assert not (tmp_path / "harm").exists()


def test_nobody_else_can_read_the_question_while_it_is_written(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        look = 'modes=$(ls -l "$1"; ls -ld "$(dirname "$1")"); echo "$modes" > "$1"'
        listed = edit("", {"EDITOR": program(tmp_path, look)})
    finally:
        os.umask(before)
    assert listed is not None
    assert [line.split()[0][:10] for line in listed.splitlines()] == ["-rw-------", "drwx------"]


@pytest.mark.parametrize("left", ["", "\\n \\n"])
def test_an_empty_question_is_none(left: str, tmp_path: Path) -> None:
    assert edit("begun", {"EDITOR": program(tmp_path, f'printf "{left}" > "$1"')}) is None


def test_text_that_is_no_unicode_does_not_keep_the_editor_from_opening() -> None:
    assert edit("a\ud800b", {"EDITOR": "true"}) == "a?b"


def test_an_editor_that_gives_up_is_told_and_nothing_is_asked(places: Path) -> None:
    with pytest.raises(OperationError, match=r"'false' gave up \(exit code 1\); nothing is asked"):
        edit("begun", {"EDITOR": "false"})
    assert os.listdir(places) == []


@pytest.mark.parametrize("editor", ["no-such-editor", "/etc/passwd"])
def test_an_editor_that_cannot_be_started_is_told(editor: str, places: Path) -> None:
    with pytest.raises(ValidationError, match="cannot be started; name another one with the variable EDITOR"):
        edit("", {"EDITOR": editor})
    assert os.listdir(places) == []


def test_an_open_quotation_mark_is_told() -> None:
    with pytest.raises(ValidationError, match=r"VISUAL is .* where a quotation mark is not closed"):
        edit("", {"VISUAL": "vim -c 'x"})


def test_without_any_editor_the_variable_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ValidationError, match="There is no editor; name one with the variable EDITOR"):
        edit("", {})


def test_without_a_variable_an_editor_that_is_there_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path(program(tmp_path, 'printf "by vi" > "$1"')).rename(tmp_path / "vi")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert edit("", {}) == "by vi"


def test_what_is_no_utf_8_is_told(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="not UTF-8"):
        edit("", {"EDITOR": program(tmp_path, 'printf "\\377" > "$1"')})


def test_a_file_that_the_editor_took_away_is_told(tmp_path: Path) -> None:
    with pytest.raises(AccessProblem, match="cannot be edited: no such file"):
        edit("", {"EDITOR": program(tmp_path, 'rm "$1"')})


def test_no_room_for_temporary_files_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(AccessProblem, match="TMPDIR"):
        edit("", {"EDITOR": "true"})


def test_ctrl_c_is_the_editors_own(tmp_path: Path) -> None:
    code = "import signal, sys; open(sys.argv[1], 'w').write(str(signal.getsignal(signal.SIGINT)))"
    before = signal.getsignal(signal.SIGINT)
    said = edit("", {"EDITOR": program(tmp_path, "kill -INT $PPID", f'"{sys.executable}" -c "{code}" "$1"')})
    assert said is not None
    assert "default_int_handler" in said
    assert signal.getsignal(signal.SIGINT) is before
