"""The rows of the screen that are drawn again."""

import pytest

from mlxk2.entrypoints.cli.chat.display.area import Area
from mlxk2.entrypoints.cli.chat.display.styled import Row, styled
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal
from tests.entrypoints.chat.screens import MemoryTerminalFile


def rows(*texts: str) -> list[Row]:
    return [styled(text) for text in texts]


@pytest.fixture
def file(monkeypatch: pytest.MonkeyPatch) -> MemoryTerminalFile:
    monkeypatch.setenv("COLUMNS", "20")
    monkeypatch.setenv("LINES", "4")
    file = MemoryTerminalFile(20)
    file.write("before\n")
    return file


@pytest.fixture
def area(file: MemoryTerminalFile) -> Area:
    return Area(Terminal(file, moves=True, colour=True))


def test_the_area_shows_what_was_drawn_last_and_leaves_the_rest_alone(file: MemoryTerminalFile, area: Area) -> None:
    area.draw(rows("one", "two", "three"))
    area.draw(rows("one", "2"))
    assert file.rows() == ["before", "one", "2"]
    area.draw(rows("one", "2", "drei", "vier"))
    area.draw([])
    assert file.rows() == ["before", ""]
    area.draw(rows("new"))
    area.keep()
    area.draw(rows("below"))
    assert file.rows() == ["before", "new", "below"]


def test_fewer_rows_that_are_the_same_leave_the_cursor_at_their_end(file: MemoryTerminalFile, area: Area) -> None:
    area.draw(rows("one", "two", "three"))
    area.draw(rows("one", "two"))
    area.draw(rows("one", "two!"))
    assert file.rows() == ["before", "one", "two!"]


def test_rows_that_have_left_the_screen_are_not_touched(file: MemoryTerminalFile, area: Area) -> None:
    """The window has four rows: of six only the last four can be reached."""
    area.draw(rows("a", "b", "c", "d", "e", "f"))
    area.draw(rows("A", "B", "C", "D", "E", "F"))
    assert file.rows() == ["before", "a", "b", "C", "D", "E", "F"]


def test_a_row_that_is_wider_than_the_window_counts_as_often_as_it_is_broken(
    file: MemoryTerminalFile, area: Area
) -> None:
    area.draw(rows("x" * 50, "end"))
    area.draw(rows("short"))
    assert file.rows() == ["before", "short"]


def test_after_the_window_became_narrower_the_rows_count_as_they_stand_now(
    file: MemoryTerminalFile, area: Area, monkeypatch: pytest.MonkeyPatch
) -> None:
    area.draw(rows("x" * 18, "y"))
    monkeypatch.setenv("COLUMNS", "10")
    file.truncate(0)
    file.seek(0)
    file.columns = 10
    file.write("before\n" + "x" * 18 + "\ny")  # as the terminal breaks it anew
    area.draw(rows("new"))
    assert file.rows() == ["before", "new"]
