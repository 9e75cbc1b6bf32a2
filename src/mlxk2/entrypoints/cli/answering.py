"""How `run` shows an answer: text as it is made, or events for programs. The document of `--json` comes at the end."""

from argparse import Namespace
from typing import Protocol

from mlxk2.domain.text.outputs import Output as Piece
from mlxk2.domain.text.outputs import ReasoningDelta, TextDelta
from mlxk2.domain.usecases.run_model import RunSession
from mlxk2.entrypoints.cli.output import Output


class View(Protocol):
    """Shows one answer, piece by piece."""

    def begin(self, session: RunSession) -> None:
        """The model is open; nothing has been asked yet."""

    def add(self, piece: Piece) -> None: ...

    def end(self) -> None:
        """Nothing more comes, for whatever reason."""


def view_of(args: Namespace, out: Output) -> View:
    if out.jsonl:
        from mlxk2.entrypoints.cli.answer_objects import EventView

        return EventView(out)
    if out.json:
        return SilentView()
    shows = not args.hide_reasoning if out.on_terminal else args.show_reasoning
    view = TextView(out, shows_reasoning=shows)
    return WholeView(view) if args.no_stream else view


class SilentView:
    """The result tells everything."""

    def begin(self, session: RunSession) -> None:
        pass

    def add(self, piece: Piece) -> None:
        pass

    def end(self) -> None:
        pass


class TextView(SilentView):
    """The answer itself.

    Reasoning stands before it on a terminal, dimmed, or between two lines where nothing can be dimmed. Elsewhere it
    goes to standard error: what a pipe takes is the answer alone.
    """

    def __init__(self, out: Output, *, shows_reasoning: bool) -> None:
        self._out = out
        self._shows = shows_reasoning
        self._reasons = False

    def add(self, piece: Piece) -> None:
        if isinstance(piece, ReasoningDelta) and self._shows:
            self._begin_reasoning()
            self._think(piece.text)
        elif isinstance(piece, TextDelta):
            self._end_reasoning()
            self._out.answer(piece.text)

    def end(self) -> None:
        self._end_reasoning()
        self._out.end_line()

    @property
    def _dims(self) -> bool:
        return self._out.on_terminal and self._out.has_styles

    def _think(self, text: str) -> None:
        if self._out.on_terminal:
            self._out.answer(text, "dim")
        else:
            self._out.aside(text)

    def _begin_reasoning(self) -> None:
        if not self._reasons and not self._dims:
            self._think("Thinking ...\n")
        self._reasons = True

    def _end_reasoning(self) -> None:
        if self._reasons:
            self._think("\n\n" if self._dims else "\n... done thinking.\n\n")
        self._reasons = False


class WholeView(SilentView):
    """Shows everything at the end, by way of another view."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._pieces: list[Piece] = []

    def add(self, piece: Piece) -> None:
        self._pieces.append(piece)

    def end(self) -> None:
        for piece in self._pieces:
            self._view.add(piece)
        self._view.end()
