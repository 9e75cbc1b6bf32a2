"""An answer in OpenAI's harmony syntax (gpt-oss), cut into segments.

An answer is a row of messages, `<|start|>assistant<|channel|>NAME to=RECIPIENT <|constrain|>json<|message|>…<|end|>`;
the template has written the first `<|start|>assistant`, and what ends the last one may be an end token that is not part
of the text. What the channels mean here:

- `analysis` is reasoning, `final` and `commentary` are visible text.
- A message to `functions.NAME` is a tool call, with JSON arguments, when the request has tools. One whose arguments are
  no object of JSON is visible text as it stands, marks and all.
- Text that is not inside a message is visible. A header that the output's end cuts off says nothing and is left out.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from mlxk2.domain.text.calls.form import Malformed
from mlxk2.domain.text.calls.json_objects import arguments_text
from mlxk2.domain.text.calls.quoting import JSON, InQuotes
from mlxk2.domain.text.calls.schemas import ToolSchemas
from mlxk2.domain.text.matching import past_space, unfinished
from mlxk2.domain.text.segments import Called, Reasoned, Segment, Visible
from mlxk2.ports.conversation import ToolCall

_BODY = "<|message|>"
_HEADERS = ("<|start|>", "<|channel|>")
_OPENERS = (*_HEADERS, "to=functions.")
_LONGEST_OPENER = max(map(len, _OPENERS))
_CLOSERS = ("<|end|>", "<|return|>", "<|call|>")
_ENDS = (*_CLOSERS, *_HEADERS)
_END = re.compile("|".join(map(re.escape, _ENDS)))
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=functions\.([\w.-]+)")


@dataclass(frozen=True, slots=True)
class _Header:
    """What stands before a message's body, to the mark between them; `tool` is empty where it calls none."""

    text: str
    reasons: bool
    tool: str


class HarmonySegments:
    """The segments of an answer in harmony syntax. `schemas` None: the request has no tools."""

    def __init__(self, schemas: ToolSchemas | None) -> None:
        self._calls = schemas is not None
        self._held = ""
        self._header: _Header | None = None
        self._plain = False
        self._blank = 0
        self._looked = 0
        self._quoting = InQuotes(JSON)
        self.ends_in_calls = True

    @property
    def reasons(self) -> bool:
        return self._header is not None and self._header.reasons

    def feed(self, text: str) -> Iterator[Segment]:
        held, self._held = self._held, ""
        held += text  # nothing else refers to it now, so that CPython lengthens it where it is and copies nothing
        self._held = held
        del held
        while self._held:
            before = (self._header, self._plain, len(self._held))
            yield from self._step()
            if before == (self._header, self._plain, len(self._held)):
                return

    def finish(self) -> Iterator[Segment]:
        if self._header and self._header.tool:
            yield self._called(self._header, len(self._held), "")
        elif self._held and (self._header or self._plain or not self._held.lstrip().startswith(_HEADERS)):
            yield self._said(self._held)
        self._held = ""

    def _step(self) -> Iterator[Segment]:
        if self._header and self._header.tool:
            return self._call(self._header)
        return self._body() if self._header or self._plain else self._between()

    def _between(self) -> Iterator[Segment]:
        """Before a message: its header, up to the mark that begins its body, or text without a message."""
        self._blank = past_space(self._held, self._blank)
        begun = self._held[self._blank : self._blank + _LONGEST_OPENER]
        if not any(begun.startswith(opener) or opener.startswith(begun) for opener in _OPENERS):
            self._plain = True
        elif (at := self._held.find(_BODY, self._looked)) >= 0:
            self._open(at + len(_BODY))
        else:
            self._looked = max(0, len(self._held) - len(_BODY) + 1)
        yield from ()

    def _open(self, length: int) -> None:
        """The message whose header has this length begins."""
        text = self._held[:length]
        channel, recipient = _CHANNEL.search(text), _RECIPIENT.search(text)
        tool = recipient[1] if recipient and self._calls else ""
        self._header = _Header(text, reasons=channel is not None and channel[1] == "analysis", tool=tool)
        self._held = self._held[length:]
        self._looked = 0
        self._quoting = InQuotes(JSON)

    def _body(self) -> Iterator[Segment]:
        found = _END.search(self._held)
        certain = found.start() if found else len(self._held) - unfinished(self._held, _ENDS)
        if certain:
            yield self._said(self._held[:certain])
        self._held = self._held[certain:]
        if found:
            self._close(found[0])

    def _call(self, header: _Header) -> Iterator[Segment]:
        while found := _END.search(self._held, self._looked):
            self._looked = found.end()
            if not self._quoting.open_at(self._held, found.start()):
                yield self._called(header, found.start(), found[0])
                return
        self._looked = max(self._looked, len(self._held) - unfinished(self._held[self._looked :], _ENDS))

    def _called(self, header: _Header, length: int, end: str) -> Segment:
        body, self._held = self._held[:length], self._held[length:]
        self._close(end)
        try:
            return Called((ToolCall(header.tool, arguments_text(body)),))
        except (Malformed, RecursionError):
            return Visible(header.text + body + (end if end in _CLOSERS else ""))

    def _close(self, end: str) -> None:
        """The message is over; a mark that begins the next one stays."""
        self._held = self._held.removeprefix(end) if end in _CLOSERS else self._held
        self._header, self._plain = None, False
        self._blank = self._looked = 0

    def _said(self, text: str) -> Segment:
        return Reasoned(text) if self._header and self._header.reasons else Visible(text)
