"""Calls whose arguments are tagged texts without a JSON type: the tool's schema says what each value is.

Values are read as they stand: the line breaks that the templates put around them are cut off, one on each side.
"""

import re
from dataclasses import dataclass
from functools import partial

from mlxk2.domain.text.calls.form import CallForm, Malformed
from mlxk2.domain.text.calls.jsons import NotJson, read_json, write_json
from mlxk2.domain.text.calls.quoting import InTags
from mlxk2.domain.text.calls.schemas import ToolSchemas
from mlxk2.domain.text.matching import past_space
from mlxk2.ports.conversation import ToolCall


@dataclass(frozen=True, slots=True)
class _Tags:
    """How one family writes a call.

    Patterns of its head (group 1: the tool's name), of what stands before a value (group 1: the parameter's name) and
    of what closes the call; `close` is the text after a value.
    """

    head: re.Pattern[str]
    key: re.Pattern[str]
    close: str
    foot: re.Pattern[str]

    def read(self, text: str, schemas: ToolSchemas) -> tuple[ToolCall, ...]:
        calls: list[ToolCall] = []
        at = 0
        values = _Values(text, self.close)
        while not calls or past_space(text, at) < len(text):
            call, at = self._one(text, at, values, schemas)
            calls.append(call)
        return tuple(calls)

    def _one(self, text: str, at: int, values: "_Values", schemas: ToolSchemas) -> tuple[ToolCall, int]:
        head = self.head.match(text, at)
        if head is None:
            raise Malformed("no name")
        at = head.end()
        arguments: dict[str, object] = {}
        while key := self.key.match(text, at):
            if key[1] in arguments:
                raise Malformed("the same parameter twice")
            end = values.end(key.end())
            arguments[key[1]] = schemas.typed(head[1], key[1], _bare(text[key.end() : end]))
            at = end + len(self.close)
        foot = self.foot.match(text, at)
        if foot is None:
            raise Malformed("not closed")
        return ToolCall(head[1], write_json(arguments)), foot.end()


class _Values:
    """Finds where the values of one text end, from left to right: at their first `close`, or after a whole value of
    JSON or CDATA, which may hold that text.

    Values may pretend to be such a whole one without being it; still no part of the text is searched again for each.
    """

    def __init__(self, text: str, close: str) -> None:
        self._text = text
        self._close = close
        self._nested = _pattern(
            rf"\s*+[\[{{](?:[^\"\\<]++|\"(?:[^\"\\]++|\\.)*+\")*+(?={re.escape(close)})",
        )
        self._section = (0, 0)
        """The last end of a CDATA section that was found: where its mark begins, and where the space after it ends."""

    def end(self, begin: int) -> int:
        """Where the value that begins here ends. Raises Malformed if it does not."""
        if section := _CDATA_BEGIN.match(self._text, begin):
            end = self._section_end(section.end())
            if self._text.startswith(self._close, end):
                return end
        if nested := self._nested.match(self._text, begin):
            try:
                read_json(nested[0])
            except NotJson:
                pass
            else:
                return nested.end()
        end = self._text.find(self._close, begin)
        if end < 0:
            raise Malformed("value not closed")
        return end

    def _section_end(self, begin: int) -> int:
        """Where the first CDATA section that ends after `begin` is over, with the space after it."""
        if self._section[0] < begin:
            found = self._text.find(_CDATA_END, begin)
            mark = len(self._text) if found < 0 else found
            self._section = mark, past_space(self._text, min(mark + len(_CDATA_END), len(self._text)))
        return self._section[1]


_CDATA_END = "]]>"
_CDATA_BEGIN = re.compile(r"\s*<!\[CDATA\[")
_CDATA = re.compile(r"\s*<!\[CDATA\[(.*?)\]\]>\s*", re.DOTALL)


def _bare(value: str) -> str:
    if cdata := _CDATA.fullmatch(value):
        return cdata[1]
    return value.removeprefix("\n").removesuffix("\n")


def _pattern(source: str) -> re.Pattern[str]:
    return re.compile(source, re.DOTALL)


_QWEN = _Tags(
    _pattern(r"\s*<function=([^\s<>]+)>"),
    _pattern(r"\s*<parameter=([^\s<>]+)>"),
    "</parameter>",
    _pattern(r"\s*</function>\s*"),
)
_MINIMAX = _Tags(
    _pattern(r"\s*<invoke name=\"([^\"<>]+)\">"),
    _pattern(r"\s*<parameter name=\"([^\"<>]+)\">"),
    "</parameter>",
    _pattern(r"\s*</invoke>\s*"),
)
_MUSE = _Tags(
    _pattern(r"\s*<atem:invoke\s+name=\"([^\"<>]+)\">"),
    _pattern(r"\s*<atem:parameter\s+name=\"([^\"<>]+)\"(?:\s+\w+=\"[^\"<>]*\")*>"),
    "</atem:parameter>",
    _pattern(r"\s*</atem:invoke>\s*"),
)
_MINICPM = _Tags(
    _pattern(r"\s*\"?([^\"<>\s]+)\"?\s*>"),
    _pattern(r"\s*<param name=\"([^\"<>]+)\">"),
    "</param>",
    _pattern(r"\s*\Z"),
)
_GLM = _Tags(
    _pattern(r"\s*([^\s<>]+)\s*"),
    _pattern(r"\s*<arg_key>\s*+([^\s<>]+(?:\s++[^\s<>]+)*+)\s*+</arg_key>\s*<arg_value>"),
    "</arg_value>",
    _pattern(r"\s*\Z"),
)
_LONGCAT = _Tags(
    _pattern(r"\s*([^\s<>]+)\s*"),
    _pattern(r"\s*<longcat_arg_key>\s*+([^\s<>]+(?:\s++[^\s<>]+)*+)\s*+</longcat_arg_key>\s*<longcat_arg_value>"),
    "</longcat_arg_value>",
    _pattern(r"\s*\Z"),
)

QWEN3_CODER = CallForm("<tool_call>", "</tool_call>", _QWEN.read, partial(InTags, "<parameter=", "</parameter>"))
MINIMAX_M2 = CallForm(
    "<minimax:tool_call>",
    "</minimax:tool_call>",
    _MINIMAX.read,
    partial(InTags, "<parameter name=", "</parameter>"),
)
MUSE_SPARK = CallForm(
    "<atem:function_calls>",
    "</atem:function_calls>",
    _MUSE.read,
    partial(InTags, "<atem:parameter", "</atem:parameter>"),
)
MINICPM5 = CallForm(
    "<function name=", "</function>", _MINICPM.read, partial(InTags, "<param name=", "</param>"), must_close=True
)
GLM47 = CallForm(
    "<tool_call>", "</tool_call>", _GLM.read, partial(InTags, "<arg_value>", "</arg_value>"), must_close=True
)
LONGCAT = CallForm(
    "<longcat_tool_call>",
    "</longcat_tool_call>",
    _LONGCAT.read,
    partial(InTags, "<longcat_arg_value>", "</longcat_arg_value>"),
    must_close=True,
)
