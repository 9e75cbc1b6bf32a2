"""One answer on the screen: first what the model is busy with, then its reasoning, then the answer itself."""

import time

from mlxk2.domain.text.outputs import CallMade, Output, ReasoningDelta, TextDelta
from mlxk2.entrypoints.cli.chat.display.area import Area
from mlxk2.entrypoints.cli.chat.display.streams import MarkdownStream, PlainStream, TextStream
from mlxk2.entrypoints.cli.chat.display.styled import styled
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal
from mlxk2.ports.generation import Event, PromptProgress, Queued

_LONG_PROMPT = 512
"""Tokens of a prompt from which on its progress is told."""


class AnswerView:
    def __init__(self, terminal: Terminal, *, plain: bool, show_reasoning: bool) -> None:
        self._terminal = terminal
        self._plain = plain or not terminal.moves
        self._show_reasoning = show_reasoning
        self._status = Area(terminal)
        self._reasoning: TextStream | None = None
        self._thinking_since: float | None = None
        self._text: TextStream | None = None

    def wait(self, event: Event | None = None) -> None:
        """Nothing of the answer is there yet."""
        if not self._terminal.moves or self._thinking_since is not None or self._text is not None:
            return
        text = "…"
        if isinstance(event, Queued):
            text = f"Waiting for other answers; place {event.place}"
        elif isinstance(event, PromptProgress) and event.total - event.cached > _LONG_PROMPT:
            text = f"Reading {event.processed} of {event.total} tokens"
        self._tell(text)

    def add(self, outputs: list[Output]) -> None:
        for output in outputs:
            if isinstance(output, ReasoningDelta):
                self._on_reasoning(output.text)
            elif isinstance(output, TextDelta):
                self._on_text(output.text)
            elif isinstance(output, CallMade):
                self._on_text(f"\n{output.call.name}({output.call.arguments})\n")

    def end(self) -> None:
        """The cursor stands at the start of a line again."""
        self._status.draw([])
        self._end_reasoning()
        if self._text:
            self._text.end()

    def _on_reasoning(self, text: str) -> None:
        if self._thinking_since is None:
            self._thinking_since = time.monotonic()
            self._status.draw([])
            if self._show_reasoning and not self._terminal.moves:
                self._terminal.write("Thinking ...\n")
        if not self._show_reasoning:
            self._tell("Thinking …  (Ctrl-T at the prompt shows it)")
            return
        if self._reasoning is None:
            self._reasoning = PlainStream(self._terminal, "dim")
        self._reasoning.feed(text)

    def _on_text(self, text: str) -> None:
        if self._text is None:
            if not text.strip():
                return
            self._status.draw([])
            self._end_reasoning()
            self._text = PlainStream(self._terminal) if self._plain else MarkdownStream(self._terminal)
        self._text.feed(text)

    def _end_reasoning(self) -> None:
        if self._reasoning is not None:
            self._reasoning.end()
            self._terminal.write("\n" if self._terminal.moves else "... done thinking.\n\n")
        elif self._thinking_since is not None and not self._show_reasoning and self._terminal.moves:
            seconds = time.monotonic() - self._thinking_since
            self._tell(f"Thought for {seconds:.1f} s  (Ctrl-T shows it)")
            self._status.keep()
        self._reasoning, self._thinking_since = None, None

    def _tell(self, text: str) -> None:
        """One dimmed row, as far as it fits."""
        if self._terminal.moves:
            text = self._terminal.harmless(text)[: max(self._terminal.size().columns - 1, 1)]
            self._status.draw([styled(text, "dim")])
