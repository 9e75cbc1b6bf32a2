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


def test_in_a_window_of_another_width_a_text_goes_on_where_it_stopped(
    file: MemoryTerminalFile, area: Area, monkeypatch: pytest.MonkeyPatch
) -> None:
    area.draw(rows("│ one two three", "│ four fi"), flows=True)
    monkeypatch.setenv("COLUMNS", "30")
    area.draw(rows("│ one two three four fi"), flows=True)
    assert file.rows() == ["before", "│ one two three", "│ four fi"]
    area.draw(rows("│ one two three four five six"), flows=True)
    area.draw(rows("│ one two three four five six", "│ seven"), flows=True)
    area.draw(rows("│ one two three four five six", "│ 7"), flows=True)
    assert file.rows() == ["before", "│ one two three", "│ four fi", "ve six", "│ 7"]


def test_in_a_window_of_another_width_other_rows_are_shown_again(
    file: MemoryTerminalFile, area: Area, monkeypatch: pytest.MonkeyPatch
) -> None:
    area.draw(rows("a | b", "c | d"))
    monkeypatch.setenv("COLUMNS", "30")
    area.draw(rows("a | b", "c | d", "e | f"))
    area.draw(rows("a | b", "c | d", "e | 6"))
    assert file.rows() == ["before", "a | b", "c | d", "a | b", "c | d", "e | 6"]


def test_a_row_alone_is_replaced_in_a_window_of_any_width(
    file: MemoryTerminalFile, area: Area, monkeypatch: pytest.MonkeyPatch
) -> None:
    area.draw(rows("Waiting"))
    monkeypatch.setenv("COLUMNS", "30")
    area.draw(rows("Reading"))
    assert file.rows() == ["before", "Reading"]
