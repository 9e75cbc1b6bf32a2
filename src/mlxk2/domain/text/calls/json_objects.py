"""Calls that are JSON objects: `{"name": …, "arguments": {…}}`, alone, in a list, or after a name of its own."""

import re
from functools import partial

from mlxk2.domain.text.calls.form import CallForm, Malformed
from mlxk2.domain.text.calls.jsons import NotJson, read_json, read_json_at, write_json
from mlxk2.domain.text.calls.quoting import JSON, InQuotes
from mlxk2.domain.text.calls.schemas import ToolSchemas
from mlxk2.domain.text.matching import past_space
from mlxk2.ports.conversation import ToolCall


def arguments_text(value: object) -> str:
    """The arguments as the text of a JSON object; models also write that text as a string, or nothing for none."""
    if isinstance(value, str):
        value = _json(value)
    if value is None:
        value = {}
    if not isinstance(value, dict):
        raise Malformed("arguments are not an object")
    return write_json(value)


def call_of(value: object) -> ToolCall:
    """The call that a JSON object describes, as such or under the key `function`. Raises Malformed."""
    if isinstance(value, dict) and isinstance(value.get("function"), dict):
        value = value["function"]
    if not isinstance(value, dict):
        raise Malformed("not an object")
    name = value.get("name", value.get("function"))
    if not isinstance(name, str) or not name:
        raise Malformed("no name")
    arguments = value.get("arguments", value.get("parameters"))
    if arguments is None and not value.keys() <= {"name", "function", "type", "id", "arguments", "parameters"}:
        raise Malformed("arguments under another key")
    identity = value.get("id")
    return ToolCall(name, arguments_text(arguments), identity if isinstance(identity, str) else "")


def _json(text: str) -> object:
    try:
        return read_json(text)
    except NotJson as error:
        raise Malformed(str(error)) from error


def _read_object(text: str, _: ToolSchemas) -> tuple[ToolCall, ...]:
    value = _json(text)
    return tuple(call_of(one) for one in value) if isinstance(value, list) and value else (call_of(value),)


_HEADER = re.compile(r"\s*([\w.-]+)\s*(?:\[CALL_ID\]\s*(\w+)\s*)?\[ARGS\]")


def _read_mistral(text: str, schemas: ToolSchemas) -> tuple[ToolCall, ...]:
    """A list of objects (older models), or `name[ARGS]{…}` one after the other."""
    if text.lstrip().startswith("["):
        return _read_object(text, schemas)
    calls: list[ToolCall] = []
    at = 0
    while past_space(text, at) < len(text) or not calls:
        header = _HEADER.match(text, at)
        if header is None:
            raise Malformed("no name")
        value, at = _json_at(text, header.end())
        calls.append(ToolCall(header[1], arguments_text(value), header[2] or ""))
    return tuple(calls)


def _read_llama(text: str, schemas: ToolSchemas) -> tuple[ToolCall, ...]:
    """Objects separated by `;`. Only known tools: an answer in JSON must not be taken for a call."""
    calls: list[ToolCall] = []
    at = 0
    while True:
        value, at = _json_at(text, at)
        call = call_of(value)
        if call.name not in schemas:
            raise Malformed("not one of the tools")
        calls.append(call)
        at = past_space(text, at)
        if at == len(text):
            return tuple(calls)
        if text[at] != ";":
            raise Malformed("more than calls")
        at += 1


def _json_at(text: str, at: int) -> tuple[object, int]:
    try:
        return read_json_at(text, at)
    except NotJson as error:
        raise Malformed(str(error)) from error


_KIMI = re.compile(
    r"\s*<\|tool_call_begin\|>\s*((?:functions\.)?([\w.-]+?):\d+)\s*<\|tool_call_argument_begin\|>(.*?)<\|tool_call_end\|>",
    re.DOTALL,
)


def _read_kimi(text: str, _: ToolSchemas) -> tuple[ToolCall, ...]:
    """The id is the model's own, `functions.name:0`: its template wants to see it again."""
    calls: list[ToolCall] = []
    at = 0
    while past_space(text, at) < len(text) or not calls:
        found = _KIMI.match(text, at)
        if found is None:
            raise Malformed("not a call")
        calls.append(ToolCall(found[2], arguments_text(found[3]), found[1]))
        at = found.end()
    return tuple(calls)


_QUOTING = partial(InQuotes, JSON)
JSON_TOOLS = CallForm("<tool_call>", "</tool_call>", _read_object, _QUOTING)
MISTRAL = CallForm("[TOOL_CALLS]", None, _read_mistral, _QUOTING)
LLAMA3 = CallForm(
    "<|python_tag|>",
    None,
    _read_llama,
    _QUOTING,
    bare_starts=('{"name"', '{"type"', '{"function"', '{"parameters"'),
)
KIMI_K2 = CallForm("<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", _read_kimi, _QUOTING)
