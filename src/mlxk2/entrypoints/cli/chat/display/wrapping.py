"""Lines broken into rows at spaces, as wide as a window is."""

from collections.abc import Iterator

from prompt_toolkit.utils import get_cwidth

from mlxk2.entrypoints.cli.chat.display.styled import Row, Styled, cells

_NARROWEST = 10


def wrap(text: Row, width: int, first: Row = (), following: Row = ()) -> list[Styled]:
    """Rows of at most `width` columns; they begin with `first`, and with `following` from the second on.

    Words that are longer than a row are broken anywhere, and so is text in wide characters, which has no spaces.
    """
    taken, indent = cells(first), cells(following)
    width = max(width, taken + _NARROWEST, indent + _NARROWEST)
    rows: list[Styled] = []
    row, start = list(first), len(first)
    for piece in _pieces(text):
        columns = cells(piece)
        if taken + columns <= width:
            row += piece
            taken += columns
            continue
        if len(row) > start:
            rows.append(_without_trailing_blanks(row, start))
            row, start, taken = list(following), len(following), indent
        if piece[0][0] == " ":
            continue
        for cell in piece:
            columns = cells((cell,))
            if taken + columns > width:
                rows.append(row)
                row, start, taken = list(following), len(following), indent
            row.append(cell)
            taken += columns
    return [*rows, _without_trailing_blanks(row, start)]


def _pieces(text: Row) -> Iterator[Styled]:
    """Runs of spaces, runs of what belongs together, and wide characters one by one."""
    piece: Styled = []
    kind = ""
    for cell in text:
        columns = get_cwidth(cell[0])
        found = "blank" if cell[0] == " " else "wide" if columns > 1 else "word"
        joined = (found == kind and found != "wide") or (kind != "blank" and columns == 0)
        if piece and not joined:
            yield piece
            piece = []
        piece.append(cell)
        kind = kind if joined else found
    if piece:
        yield piece


def _without_trailing_blanks(row: Styled, start: int) -> Styled:
    end = len(row)
    while end > start and row[end - 1][0] == " ":
        end -= 1
    return row[:end]
