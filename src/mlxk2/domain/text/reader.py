"""Reads an answer as it streams: from the engine's text to visible text, reasoning and tool calls.

- Space next to a marker is layout of the template and left out: at both ends of reasoning, at the beginning of visible
  text after reasoning or a call, at its end before a call. An answer without reasoning and calls stays as it is.
- Stop strings look at visible text only. Reasoning and arguments may hold what would end an answer, and a call is not
  cut in half; a stop is never completed across reasoning or a call. After a stop nothing more comes out.
- The events, joined, do not depend on how the text was cut into pieces.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from mlxk2.domain.stopping import StopMatcher
from mlxk2.domain.text.outputs import CallMade, Output, ReasoningDelta, TextDelta
from mlxk2.domain.text.segments import Called, MarkedSegments, Reasoned, Segmenter, Visible
from mlxk2.domain.text.tools import check_tools
from mlxk2.ports.conversation import Tool
from mlxk2.ports.engine import Markers

if TYPE_CHECKING:
    from mlxk2.domain.text.calls.schemas import ToolSchemas


def numbered(index: int) -> str:
    """An id that counts the calls of one answer."""
    return f"call_{index}"


class Reading(NamedTuple):
    """How an answer is to be read.

    Without `tools` a call is text like any other. `opens_reasoning` as in `RenderedPrompt`. `call_id` gives the id of
    the call with that index, where the model writes none itself.
    """

    markers: Markers = Markers()
    tools: tuple[Tool, ...] = ()
    opens_reasoning: bool = False
    call_id: Callable[[int], str] = numbered


class OutputReader:
    """Feed the engine's text piece by piece; `stopped` turns true when a stop string was found.

    Raises ValidationError for more tools than a request may bring.
    """

    def __init__(self, reading: Reading, stops: Sequence[str] = ()) -> None:
        check_tools(reading.tools)
        self._segments = _segmenter(reading)
        self._call_id = reading.call_id
        self._matcher = StopMatcher(stops)
        self._visible = _Space(drop_leading=False, hold=self._segments.ends_in_calls)
        self._reasoning = _Space(drop_leading=True, hold=True)
        self._calls = 0

    @property
    def stopped(self) -> bool:
        return self._matcher.stopped

    @property
    def stop_matched(self) -> str | None:
        """The stop string that was found."""
        return self._matcher.matched

    @property
    def reasons(self) -> bool:
        """Whether what comes next would be reasoning."""
        return self._segments.reasons

    def feed(self, text: str) -> list[Output]:
        return self._outputs(self._segments.feed(text))

    def finish(self) -> list[Output]:
        """What was held back, now that no more text follows."""
        outputs = self._outputs(self._segments.finish())
        rest = self._visible.feed(self._matcher.finish()) + self._visible.rest()
        return [*outputs, TextDelta(rest)] if rest else outputs

    def _outputs(self, segments: Iterator[Visible | Reasoned | Called]) -> list[Output]:
        outputs: list[Output] = []
        for segment in segments:
            if self.stopped:
                break
            outputs += self._read(segment)
        return outputs

    def _read(self, segment: Visible | Reasoned | Called) -> Iterator[Output]:
        if isinstance(segment, Visible):
            yield from self._say(segment.text)
            return
        yield from self._end_of_visible()
        if isinstance(segment, Reasoned):
            text = self._reasoning.feed(segment.text)
            if text:
                yield ReasoningDelta(text)
            return
        for call in segment.calls:
            yield CallMade(self._calls, replace(call, id=call.id or self._call_id(self._calls)))
            self._calls += 1

    def _say(self, text: str) -> Iterator[Output]:
        text = self._visible.feed(self._matcher.feed(self._visible.begin(text)))
        if self.stopped:
            text += self._visible.rest()
        if text:
            yield TextDelta(text)

    def _end_of_visible(self) -> Iterator[Output]:
        """Reasoning or a call comes next: the space before it is dropped, and so is that after it."""
        text = self._visible.feed(self._matcher.finish())
        self._visible = _Space(drop_leading=True, hold=self._segments.ends_in_calls)
        if text:
            yield TextDelta(text)


class _Space:
    """Drops space at the beginning of a text, and holds space at its end until more follows."""

    def __init__(self, *, drop_leading: bool, hold: bool) -> None:
        self._leading = drop_leading
        self._hold = hold
        self._held: list[str] = []

    def begin(self, text: str) -> str:
        """The text without the space that begins the whole, as long as nothing else has come."""
        if self._leading:
            text = text.lstrip()
            self._leading = not text
        return text

    def feed(self, text: str) -> str:
        text = self.begin(text)
        if not self._hold:
            return text
        certain = len(text.rstrip())
        released = f"{self.rest()}{text[:certain]}" if certain else ""
        self._held.append(text[certain:])
        return released

    def rest(self) -> str:
        held, self._held = "".join(self._held), []
        return held


def _schemas(tools: Sequence[Tool]) -> "ToolSchemas | None":
    if not tools:
        return None
    from mlxk2.domain.text.calls.schemas import ToolSchemas

    return ToolSchemas(tools)


def _segmenter(reading: Reading) -> Segmenter:
    schemas = _schemas(reading.tools)
    if reading.markers.tool_format == "harmony":
        from mlxk2.domain.text.harmony import HarmonySegments

        return HarmonySegments(schemas)
    return MarkedSegments(reading.markers, schemas, opens_reasoning=reading.opens_reasoning)
