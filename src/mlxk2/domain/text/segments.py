"""An answer's text cut into what is visible, what is reasoning and what is a tool call: the rules of ordinary markers.

- Reasoning begins where nothing visible has been said yet: at the beginning, after other reasoning, after a tool call.
  Later the marker is only text, so that a model can write about markers. It lasts to its end marker, whatever stands in
  it, or to the end of the output.
- A tool call begins at its start marker anywhere in the visible text, and only when the request has tools. It ends at
  the first end marker that is not inside a value. What is not a call from start to end is visible text, all of it, and
  nothing in it is looked at again: what a model quotes in an argument must not become a call.
- Only what might still become a marker is held back, and a call until it is complete.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Protocol

from mlxk2.domain.text.matching import past_space, unfinished
from mlxk2.ports.conversation import ToolCall
from mlxk2.ports.engine import Markers

if TYPE_CHECKING:
    from mlxk2.domain.text.calls.form import CallForm
    from mlxk2.domain.text.calls.quoting import Quoting
    from mlxk2.domain.text.calls.schemas import ToolSchemas


@dataclass(frozen=True, slots=True)
class Visible:
    text: str


@dataclass(frozen=True, slots=True)
class Reasoned:
    text: str


@dataclass(frozen=True, slots=True)
class Called:
    calls: tuple[ToolCall, ...]


Segment = Visible | Reasoned | Called


class Segmenter(Protocol):
    """Cuts a stream of text into segments.

    `ends_in_calls`: a call may follow on visible text. `reasons`: what comes next would be reasoning.
    """

    ends_in_calls: bool

    @property
    def reasons(self) -> bool: ...

    def feed(self, text: str) -> Iterator[Segment]: ...

    def finish(self) -> Iterator[Segment]: ...


class _Mode(Enum):
    OPENING = auto()
    VISIBLE = auto()
    REASONING_OPENED = auto()
    REASONING = auto()
    CALL = auto()


def _call_form(markers: Markers) -> "CallForm | None":
    from mlxk2.domain.text.calls import CALL_FORMS  # takes its time, and most answers have no tools

    return CALL_FORMS.get(markers.tool_format or "")


class MarkedSegments:
    """The segments of an answer with these markers. `schemas` None: the request has no tools."""

    def __init__(self, markers: Markers, schemas: "ToolSchemas | None", *, opens_reasoning: bool) -> None:
        self._think_start = markers.think_start if markers.think_end else None
        self._think_end = markers.think_end or ""
        self._schemas = schemas
        self._form = _call_form(markers) if schemas else None
        self._held = ""
        self._blank = 0
        self._looked = 0
        self._quoting: Quoting | None = None
        opened = opens_reasoning and self._think_end
        self._mode = _Mode.REASONING_OPENED if opened else _Mode.OPENING
        self.ends_in_calls = self._form is not None

    @property
    def reasons(self) -> bool:
        return self._mode in (_Mode.REASONING, _Mode.REASONING_OPENED)

    def feed(self, text: str) -> Iterator[Segment]:
        held, self._held = self._held, ""
        held += text  # nothing else refers to it now, so that CPython lengthens it where it is and copies nothing
        self._held = held
        del held
        while self._held:
            mode, length = self._mode, len(self._held)
            yield from _STEPS[mode.value](self)
            if mode is self._mode and length == len(self._held):
                return

    def finish(self) -> Iterator[Segment]:
        if self._mode is _Mode.CALL and not self._known_form().must_close:
            yield self._called(len(self._held), len(self._held))
        if self._held:
            yield Reasoned(self._held) if self.reasons else Visible(self._held)
            self._held = ""

    def _opening(self) -> Iterator[Segment]:
        """Nothing visible yet: reasoning may begin, or a call that only an opening can hold."""
        openers = [(self._think_start or "", _Mode.REASONING)]
        openers += [(start, _Mode.CALL) for start in self._bare_starts()]
        lead = self._lead()
        for opener, mode in openers:
            if opener and self._held.startswith(opener, lead):
                self._held = self._held[lead + len(opener) :] if mode is _Mode.REASONING else self._held
                self._turn(mode)
                return
        if not any(opener.startswith(self._held[lead:]) for opener, _ in openers if opener):
            self._turn(_Mode.VISIBLE)
        yield from ()

    def _reasoning_opened(self) -> Iterator[Segment]:
        """The template has written the start marker; a model that repeats it does not mean it as text."""
        lead, marker = self._lead(), self._think_start or ""
        begun = self._held[lead:]
        if marker.startswith(begun) and begun != marker:
            return
        self._held = begun.removeprefix(marker)
        self._turn(_Mode.REASONING)
        yield from ()

    def _reasoning(self) -> Iterator[Segment]:
        at = self._held.find(self._think_end)
        certain = at if at >= 0 else len(self._held) - unfinished(self._held, (self._think_end,))
        if certain:
            yield Reasoned(self._held[:certain])
        self._held = self._held[certain:]
        if at >= 0:
            self._held = self._held.removeprefix(self._think_end)
            self._turn(_Mode.OPENING)

    def _visible(self) -> Iterator[Segment]:
        if self._form is None:
            visible, self._held = self._held, ""
            yield Visible(visible)
            return
        start = self._form.start
        at = self._held.find(start)
        certain = at if at >= 0 else len(self._held) - unfinished(self._held, (start,))
        if certain:
            yield Visible(self._held[:certain])
            self._held = self._held[certain:]
        if at >= 0:
            self._turn(_Mode.CALL)
            self._looked = len(start)

    def _call(self) -> Iterator[Segment]:
        """`_looked` is how far the held text has been searched for the end in vain."""
        form = self._known_form()
        mark = form.start if form.end is None else form.end
        while (at := self._held.find(mark, self._looked)) >= 0:
            self._looked = at + len(mark)
            if self._quoting is None or not self._quoting.open_at(self._held, at):
                yield self._called(at, at if form.end is None else self._looked)
                return
        self._looked = max(self._looked, len(self._held) - unfinished(self._held[self._looked :], (mark,)))

    def _called(self, inside: int, length: int) -> Segment:
        """The call whose inside ends at `inside`; the whole of it as visible text if it is none."""
        from mlxk2.domain.text.calls.form import Malformed
        from mlxk2.domain.text.calls.schemas import ToolSchemas

        whole = self._held[:length]
        try:
            read: Segment = Called(self._known_form().read(self._inside(inside), self._schemas or ToolSchemas(())))
            self._turn(_Mode.OPENING)
        except (Malformed, RecursionError):
            read = Visible(whole)
            self._turn(_Mode.VISIBLE)
        self._held = self._held[length:]
        return read

    def _turn(self, mode: _Mode) -> None:
        """From here on the held text is looked at afresh."""
        self._mode = mode
        self._blank = self._looked = 0
        self._quoting = self._known_form().quoting() if mode is _Mode.CALL else None

    def _lead(self) -> int:
        """Where the held text begins, after space."""
        self._blank = past_space(self._held, self._blank)
        return self._blank

    def _inside(self, end: int) -> str:
        return self._held[:end].removeprefix(self._known_form().start)

    def _bare_starts(self) -> tuple[str, ...]:
        return self._form.bare_starts if self._form else ()

    def _known_form(self) -> "CallForm":
        if self._form is None:
            raise AssertionError("a call without a form")
        return self._form


_STEPS: dict[int, Callable[[MarkedSegments], Iterator[Segment]]] = {
    _Mode.OPENING.value: MarkedSegments._opening,
    _Mode.VISIBLE.value: MarkedSegments._visible,
    _Mode.REASONING_OPENED.value: MarkedSegments._reasoning_opened,
    _Mode.REASONING.value: MarkedSegments._reasoning,
    _Mode.CALL.value: MarkedSegments._call,
}
