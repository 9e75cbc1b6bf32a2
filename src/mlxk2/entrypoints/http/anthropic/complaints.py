"""What is wrong with a body, in the words that Anthropic's API has for it: `messages.0.content: Field required`.

msgspec names the place and the reason in one sentence, which is taken apart here. Where a client asks for what this
server does not have, the sentence says so and what to do instead.
"""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

from mlxk2.ports.errors import ValidationError

T = TypeVar("T")
Path = tuple[str, ...]

_PLACE = re.compile(r"^(?P<reason>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)
_SHOWN = 60
"""So many characters of a wrong name or value are repeated."""
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+|\.\.\.)\]")
_TYPES = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "array": "list",
    "object": "dictionary",
}

_ELSEWHERE = "this server does not offer it; leave it out"
_ABSENT = {
    "citations": "this server knows no citations; leave it out",
    "container": _ELSEWHERE,
    "context_management": "this server does not edit conversations; shorten it yourself",
    "diagnostics": _ELSEWHERE,
    "inference_geo": "this server runs where it is; leave it out",
    "input_examples": "this server does not show them to the model; put them into the tool's description",
    "mcp_servers": "this server connects to no other; offer their functions as tools",
    "speed": "this server has one speed; leave it out",
    "toolset_name": "this server knows no toolsets; leave it out",
}
"""Fields of the API with values that nothing here answers to."""

_KNOWN = {
    ("messages", "role"): "user, assistant or system",
    ("output_config", "effort"): "low, medium, high or xhigh",
    ("service_tier",): "auto or standard_only",
    ("thinking", "type"): "enabled, adaptive or disabled",
    ("tool_choice", "type"): "auto, any, tool or none",
}
"""What may stand in such a place instead."""


def decode(body: bytes, wanted: type[T]) -> T:
    """Raises ValidationError, worded as the API words it."""
    try:
        return msgspec.json.decode(body, type=wanted)
    except msgspec.ValidationError as error:
        raise ValidationError(_told(str(error), body)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ValidationError(f"The request body is not valid JSON: {error}") from None


def complaint(path: Path, reason: str) -> ValidationError:
    """The error for what stands at `path`."""
    return ValidationError(f"{'.'.join(path)}: {reason}")


def _told(sentence: str, body: bytes) -> str:
    found = _PLACE.match(sentence)
    reason, place = (found["reason"], found["path"] or "") if found else (sentence, "")
    path = tuple(name or index for name, index in _STEP.findall(place))
    if path[:1] == ("tools",) and len(path) > 1 and (kind := _kind_of_tool(body, path[1])) not in (None, "custom"):
        return (
            f"tools.{path[1]}.type: '{kind}' is a tool of Anthropic's that this server does not have; offer a tool of"
            " your own, with an input_schema"
        )
    for pattern, word in _WORDINGS:
        if match := pattern.match(reason):
            path, words = word(path, match)
            return f"{'.'.join(path)}: {words}" if path else words
    return f"{'.'.join(path)}: {reason}"


def _kind_of_tool(body: bytes, index: str) -> str | None:
    """The type that a tool names, which explains its strange fields; None too where a later part is no JSON."""
    try:
        tools = msgspec.json.decode(body)["tools"]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    tool = tools[int(index)] if isinstance(tools, list) and int(index) < len(tools) else None
    kind = tool.get("type") if isinstance(tool, dict) else None
    return kind[:_SHOWN] if isinstance(kind, str) else None


def _unknown(path: Path, match: re.Match[str]) -> tuple[Path, str]:
    return (*path, match[1][:_SHOWN]), "Extra inputs are not permitted"


def _missing(path: Path, match: re.Match[str]) -> tuple[Path, str]:
    return (*path, match[1]), "Field required"


def _another_type(path: Path, match: re.Match[str]) -> tuple[Path, str]:
    kinds = [_TYPES[kind] for kind in match[1].split(" | ") if kind in _TYPES]
    if not kinds:
        return _not_here(path)
    return path, f"Input should be a valid {' or '.join(kinds)}"


def _another_value(path: Path, match: re.Match[str]) -> tuple[Path, str]:
    if path[-1] in _ABSENT:
        return _not_here(path)
    value = match[1][:_SHOWN]
    if path[-1] == "type" and path[-2].isdigit():
        return path, f"'{value}' blocks cannot be read: this server takes text only; say it in a text block"
    known = _KNOWN.get(tuple(step for step in path if not step.isdigit())[-2:], "what docs/server-anthropic.md lists")
    return path, f"'{value}' is not known to this server; use {known}"


def _out_of_range(path: Path, match: re.Match[str]) -> tuple[Path, str]:
    than = "greater" if match[1] == ">=" else "less"
    return path, f"Input should be {than} than or equal to {match[2].removesuffix('.0')}"


def _length(path: Path, _: re.Match[str]) -> tuple[Path, str]:
    if path[-1] in _ABSENT:
        return _not_here(path)
    if path == ("messages",):
        return path, "at least one message is required"
    return path, "text content blocks must be non-empty" if path[-1] == "text" else "it must not be empty"


def _pattern(path: Path, match: re.Match[str]) -> tuple[Path, str]:
    return path, f"String should match pattern {match[1]}"


def _not_here(path: Path) -> tuple[Path, str]:
    return path, _ABSENT.get(path[-1], "Extra inputs are not permitted") if path else "it must be null"


_WORDINGS: tuple[tuple[re.Pattern[str], Callable[[Path, re.Match[str]], tuple[Path, str]]], ...] = (
    (re.compile(r"Object contains unknown field `(.*)`", re.DOTALL), _unknown),
    (re.compile(r"Object missing required field `(.*)`"), _missing),
    (re.compile(r"Expected `([a-z |]+)`(?:, got `\w+`)?$"), _another_type),
    (re.compile(r"Invalid (?:enum )?value '?(.*?)'?$", re.DOTALL), _another_value),
    (re.compile(r"Expected `\w+` (>=|<=) (\S+)"), _out_of_range),
    (re.compile(r"Expected `\w+` of length"), _length),
    (re.compile(r"Expected `str` matching regex (.*)"), _pattern),
)
