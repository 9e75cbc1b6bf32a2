"""Calls whose arguments are tagged texts without a JSON type: the tool's schema says what each value is.

Values are read as they stand: the line breaks that the templates put around them are cut off, one on each side.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlxk2.domain.text.calls.form import CallForm, Malformed
from mlxk2.domain.text.calls.jsons import NotJson, read_json_at, write_json
from mlxk2.domain.text.calls.schemas import ToolSchemas
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
        while not calls or text[at:].strip():
            call, at = self._one(text, at, schemas)
            calls.append(call)
        return tuple(calls)

    def _one(self, text: str, at: int, schemas: ToolSchemas) -> tuple[ToolCall, int]:
        head = self.head.match(text, at)
        if head is None:
            raise Malformed("no name")
        at = head.end()
        values: dict[str, object] = {}
        while key := self.key.match(text, at):
            if key[1] in values:
                raise Malformed("the same parameter twice")
            end, at = self._value_end(text, key.end())
            values[key[1]] = schemas.typed(head[1], key[1], _bare(text[key.end() : end]))
        foot = self.foot.match(text, at)
        if foot is None:
            raise Malformed("not closed")
        return ToolCall(head[1], write_json(values)), foot.end()

    def _value_end(self, text: str, begin: int) -> tuple[int, int]:
        """Where a value ends and where what closes it does: at its first `close`, or after a whole value of JSON or
        CDATA, which may hold that text."""
        for whole_end in _whole_values(text, begin):
            if text.startswith(self.close, whole_end):
                return whole_end, whole_end + len(self.close)
        end = text.find(self.close, begin)
        if end < 0:
            raise Malformed("value not closed")
        return end, end + len(self.close)


_CDATA = re.compile(r"\s*<!\[CDATA\[(.*?)\]\]>\s*", re.DOTALL)
_SPACE = re.compile(r"\s*")
_NESTED = re.compile(r"\s*[\[{]")


def _whole_values(text: str, begin: int) -> Iterator[int]:
    """Where a list, an object or a CDATA section that begins here ends, with the space after it."""
    if cdata := _CDATA.match(text, begin):
        yield cdata.end()
    if _NESTED.match(text, begin):
        try:
            _, end = read_json_at(text, begin)
        except NotJson:
            return
        space = _SPACE.match(text, end)
        yield space.end() if space else end


def _bare(value: str) -> str:
    if cdata := _CDATA.fullmatch(value):
        return cdata[1]
    return value.removeprefix("\n").removesuffix("\n")


def _open_value(begin: str, end: str) -> Callable[[str], bool]:
    """Whether a text breaks off between the texts that begin and end a value."""
    return lambda text: text.rfind(begin) > text.rfind(end)


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
    _pattern(r"\s*<arg_key>\s*([^<>]+?)\s*</arg_key>\s*<arg_value>"),
    "</arg_value>",
    _pattern(r"\s*\Z"),
)
_LONGCAT = _Tags(
    _pattern(r"\s*([^\s<>]+)\s*"),
    _pattern(r"\s*<longcat_arg_key>\s*([^<>]+?)\s*</longcat_arg_key>\s*<longcat_arg_value>"),
    "</longcat_arg_value>",
    _pattern(r"\s*\Z"),
)

QWEN3_CODER = CallForm("<tool_call>", "</tool_call>", _QWEN.read, _open_value("<parameter=", "</parameter>"))
MINIMAX_M2 = CallForm(
    "<minimax:tool_call>", "</minimax:tool_call>", _MINIMAX.read, _open_value("<parameter name=", "</parameter>")
)
MUSE_SPARK = CallForm(
    "<atem:function_calls>", "</atem:function_calls>", _MUSE.read, _open_value("<atem:parameter", "</atem:parameter>")
)
MINICPM5 = CallForm(
    "<function name=", "</function>", _MINICPM.read, _open_value("<param name=", "</param>"), must_close=True
)
GLM47 = CallForm("<tool_call>", "</tool_call>", _GLM.read, _open_value("<arg_value>", "</arg_value>"), must_close=True)
LONGCAT = CallForm(
    "<longcat_tool_call>",
    "</longcat_tool_call>",
    _LONGCAT.read,
    _open_value("<longcat_arg_value>", "</longcat_arg_value>"),
    must_close=True,
)
