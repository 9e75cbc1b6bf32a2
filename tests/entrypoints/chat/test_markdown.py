"""Markdown on the screen of a chat: what it looks like, whole and while it grows."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.entrypoints.cli.chat.display.inline import inline
from mlxk2.entrypoints.cli.chat.display.streams import MarkdownStream, PlainStream
from mlxk2.entrypoints.cli.chat.display.styled import ansi, cells, plain, styled
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal
from mlxk2.entrypoints.cli.chat.display.wrapping import wrap
from tests.entrypoints.chat.screens import MemoryTerminalFile

SAMPLE = """\
# Models of *this* machine

There are **three** of them, `tiny` is [described here](http://localhost/tiny) and the rest is not.
A second line that stays one.


- one that is long enough to be wrapped with the words below the words
  - nested
1. first
10. tenth
- [x] done

> quoted, and long enough to be wrapped with its bar

| Name | Size | What |
|:-----|-----:|:----:|
| `a` | 1.5 GB | small |
| mlx-community/Qwen3-0.6B-4bit | 351 MB | larger |

```python
def f(x):

    return x * 2  # **not bold**
```
---
The end of <model>
"""


def shown(pieces: list[str], columns: int = 60, *, encoding: str = "utf-8") -> list[str]:
    file = MemoryTerminalFile(columns, encoding)
    stream = MarkdownStream(Terminal(file, moves=True, colour=True))
    for piece in pieces:
        stream.feed(piece)
    stream.end()
    return file.rows()


@pytest.fixture(autouse=True)
def _window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("LINES", "40")


def test_a_whole_answer() -> None:
    assert shown([SAMPLE]) == [
        "Models of this machine",
        "",
        "There are three of them, tiny is described here",
        "(http://localhost/tiny) and the rest is not.",
        "A second line that stays one.",
        "",
        "• one that is long enough to be wrapped with the words",
        "  below the words",
        "  • nested",
        "1. first",
        "10. tenth",
        "☑ done",
        "",
        "│ quoted, and long enough to be wrapped with its bar",
        "",
        "Name                          │   Size │  What",
        "──────────────────────────────┼────────┼───────",
        "a                             │ 1.5 GB │ small",
        "mlx-community/Qwen3-0.6B-4bit │ 351 MB │ larger",
        "",
        "```python",
        "def f(x):",
        "",
        "    return x * 2  # **not bold**",
        "```",
        "───────────────────────────────────────────────────────────",
        "The end of <model>",
        "",
    ]


def test_in_a_narrow_window_tables_wrap_their_cells(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    rows = shown([SAMPLE], 40)
    start = next(i for i, row in enumerate(rows) if row.startswith("Name"))
    assert rows[start : start + 5] == [
        "Name                  │   Size │  What",
        "──────────────────────┼────────┼───────",
        "a                     │ 1.5 GB │ small",
        "mlx-community/Qwen3-0 │ 351 MB │ larger",
        ".6B-4bit              │        │",
    ]
    assert max(map(len, rows)) <= 40


def test_a_table_that_the_window_is_too_narrow_for_is_shown_as_it_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "30")
    line = "| aaaaaaaaaaaa | bbbbbbbbbbbb | cccccccccccc |"
    assert shown([f"{line}\n|---|---|---|\n"], 30) == [
        "| aaaaaaaaaaaa | bbbbbbbbbbbb",
        "| cccccccccccc |",
        "|---|---|---|",
        "",
    ]


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1))
def test_however_it_is_cut_into_pieces_the_screen_is_the_same(sizes: list[int]) -> None:
    pieces: list[str] = []
    at = 0
    while at < len(SAMPLE):
        size = sizes[len(pieces) % len(sizes)]
        pieces.append(SAMPLE[at : at + size])
        at += size
    assert shown(pieces) == shown([SAMPLE])


@settings(deadline=None)
@given(st.text("ab *_`~|#>-1.[]()\\\n\t\x1b\u202e漢é", max_size=80), st.integers(1, 7))
def test_whatever_a_model_writes_nothing_steers_the_terminal(text: str, size: int) -> None:
    """The terminal of the test takes no code but those of the chat itself, and no character that cannot be printed."""
    pieces = [text[at : at + size] for at in range(0, len(text), size)]
    assert shown(pieces) == shown([text])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a **b** *c* ~~d~~", "a ^1mb^0m ^3mc^0m ^9md^0m"),
        ("***x***", "^1;3mx^0m"),
        ("**a *b***", "^1ma ^0m^1;3mb^0m"),
        ("这是**重点**内容", "这是^1m重点^0m内容"),
        ("`a*b*` ``c`d``", "^36ma*b*^0m ^36mc`d^0m"),
        ("[t](http://h/a_(b))", "^4mt^0m^2m (http://h/a_(b))^0m"),
        ("[http://h](http://h)", "^4mhttp://h^0m"),
        ("_it_ __so it is__", "^3mit^0m ^1mso it is^0m"),
        (r"\*no\* \(x\)", r"*no* \(x\)"),
    ],
)
def test_emphasis_code_and_links(text: str, expected: str) -> None:
    assert ansi(inline(text), colour=True).replace("\x1b[", "^") == expected


@pytest.mark.parametrize(
    "text", ["2*3*4", "2 ** 3", "snake_case_name", "__init__.py", "a * b", "**open", "<model> & co", "[x] y", "`open"]
)
def test_what_is_no_markdown_stays_as_it_is(text: str) -> None:
    assert ansi(inline(text), colour=True) == text


def test_what_is_still_open_looks_closed_while_the_line_grows() -> None:
    assert ansi(inline("so **bo", growing=True), colour=True) == "so \x1b[1mbo\x1b[0m"
    assert ansi(inline("so **bold*", growing=True), colour=True) == "so \x1b[1mbold\x1b[0m"
    assert ansi(inline("see `mlxk2 li", growing=True), colour=True) == "see \x1b[36mmlxk2 li\x1b[0m"


def test_without_colours_attributes_remain() -> None:
    assert ansi(inline("**a** `b`"), colour=False) == "\x1b[1ma\x1b[0m b"


@settings(deadline=None)
@given(st.text("ab 漢字é\u0301", max_size=60), st.integers(12, 40))
def test_rows_are_never_wider_than_the_window_and_lose_no_word(text: str, width: int) -> None:
    rows = wrap(styled(text), width, styled("- "), styled("  "))
    assert all(cells(row) <= width for row in rows)
    assert "".join(plain(row)[2:] for row in rows).replace(" ", "") == text.replace(" ", "")


def test_a_line_of_marks_is_read_in_no_time() -> None:
    """Each opens something that never closes: a reader that looked for every end would not come to one."""
    text = "*a _b **d ~~e [f " * 200
    assert plain(inline(text)) == text


def test_a_terminal_that_is_not_utf8_gets_characters_that_it_has() -> None:
    rows = shown(["- é 漢\n- [ ] x\n> q\n\n|a|b|\n|-|-|\n|1|2|\n\n---\n"], encoding="iso-8859-1")
    assert rows == ["- é ?", "- [ ] x", "| q", "", "a | b", "--+--", "1 | 2", "", "-" * 59, ""]


def test_plain_text_is_written_as_it_comes() -> None:
    file = MemoryTerminalFile()
    stream = PlainStream(Terminal(file, moves=False, colour=False))
    for piece in ("\n\n**a", "** \x1b[31m\n", "\nb\n\n"):
        stream.feed(piece)
    stream.end()
    assert file.getvalue() == "**a** \\x1b[31m\n\nb\n"


def test_rows_that_grow_are_not_written_again() -> None:
    file = MemoryTerminalFile()
    stream = MarkdownStream(Terminal(file, moves=True, colour=True))
    for piece in ("Hello", " wor", "ld"):
        stream.feed(piece)
    stream.end()
    assert file.getvalue() == "Hello world\n"
