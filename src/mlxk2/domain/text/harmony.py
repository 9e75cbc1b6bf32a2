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

from mlxk2.domain.text.calls.form import Malformed
from mlxk2.domain.text.calls.json_objects import arguments_text
from mlxk2.domain.text.calls.jsons import in_json_string
from mlxk2.domain.text.calls.schemas import ToolSchemas
from mlxk2.domain.text.matching import first_complete, unfinished
from mlxk2.domain.text.segments import Called, Reasoned, Segment, Visible
from mlxk2.ports.conversation import ToolCall

_BODY = "<|message|>"
_HEADERS = ("<|start|>", "<|channel|>")
_OPENERS = (*_HEADERS, "to=functions.")
_CLOSERS = ("<|end|>", "<|return|>", "<|call|>")
_ENDS = (*_CLOSERS, "<|start|>", "<|channel|>")
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)")
_RECIPIENT = re.compile(r"\bto=functions\.([\w.-]+)")


class HarmonySegments:
    """The segments of an answer in harmony syntax. `schemas` None: the request has no tools."""

    def __init__(self, schemas: ToolSchemas | None) -> None:
        self._calls = schemas is not None
        self._held = ""
        self._header: str | None = None
        self._plain = False
        self._looked = 0
        self.ends_in_calls = True

    def feed(self, text: str) -> Iterator[Segment]:
        self._held += text
        while self._held:
            before = (self._header, self._plain, len(self._held))
            yield from self._step()
            if before == (self._header, self._plain, len(self._held)):
                return

    def finish(self) -> Iterator[Segment]:
        if self._is_call():
            yield self._called(len(self._held), "")
        elif self._held and (self._header or self._plain or not self._held.lstrip().startswith(_HEADERS)):
            yield self._said(self._held)
        self._held = ""

    def _step(self) -> Iterator[Segment]:
        if self._is_call():
            return self._call()
        return self._between() if self._header is None and not self._plain else self._body()

    def _between(self) -> Iterator[Segment]:
        """Before a message: its header, up to the mark that begins its body, or text without a message."""
        lead = self._held.lstrip()
        if not any(lead.startswith(opener) or opener.startswith(lead) for opener in _OPENERS):
            self._plain = True
        elif (at := self._held.find(_BODY)) >= 0:
            end = at + len(_BODY)
            self._header, self._held, self._looked = self._held[:end], self._held[end:], 0
        yield from ()

    def _body(self) -> Iterator[Segment]:
        found = first_complete(self._held, _ENDS)
        certain = found[0] if found else len(self._held) - unfinished(self._held, _ENDS)
        if certain:
            yield self._said(self._held[:certain])
        self._held = self._held[certain:]
        if found:
            self._close(found[1])

    def _call(self) -> Iterator[Segment]:
        while found := first_complete(self._held[self._looked :], _ENDS):
            at = self._looked + found[0]
            if not in_json_string(self._held[:at]):
                yield self._called(at, found[1])
                return
            self._looked = at + len(found[1])
        self._looked = max(self._looked, len(self._held) - unfinished(self._held[self._looked :], _ENDS))

    def _called(self, length: int, end: str) -> Segment:
        header, body = self._header or "", self._held[:length]
        self._held = self._held[length:]
        self._close(end)
        try:
            return Called((ToolCall(_recipient(header), arguments_text(body)),))
        except (Malformed, RecursionError):
            return Visible(header + body + (end if end in _CLOSERS else ""))

    def _close(self, end: str) -> None:
        """The message is over; a mark that begins the next one stays."""
        self._held = self._held.removeprefix(end) if end in _CLOSERS else self._held
        self._header, self._plain = None, False

    def _said(self, text: str) -> Segment:
        channel = _CHANNEL.search(self._header or "")
        return Reasoned(text) if channel and channel[1] == "analysis" else Visible(text)

    def _is_call(self) -> bool:
        return self._calls and self._header is not None and bool(_recipient(self._header))


def _recipient(header: str) -> str:
    found = _RECIPIENT.search(header)
    return found[1] if found else ""
