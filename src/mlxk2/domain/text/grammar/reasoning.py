"""Reasoning before a form: what a model that thinks may write first, in its own marks.

In harmony syntax the analysis channel takes that part, and the form goes into the final channel.
"""

from mlxk2.domain.text.grammar.lark import GAP, Grammar, schema_rule
from mlxk2.domain.text.json_schema import Json, UnreadableSchema, read_schema
from mlxk2.ports.engine import Markers
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Structure

HARMONY_NEXT = "<|end|><|start|>assistant"
HARMONY_ANALYSIS = "<|channel|>analysis<|message|>"
HARMONY_FINAL = "<|channel|>final<|message|>"
JSON_OBJECT = Structure("json_schema", '{"type": "object"}')
"""What OpenAI calls `json_object`: any object."""


def after_reasoning(structure: Structure, markers: Markers, *, opens_reasoning: bool) -> Structure:
    """The structure, with whatever the model thinks before it. Unchanged for a model that has no marks for that.

    Raises ValidationError for a JSON schema that is not JSON, or nests too deep.
    """
    grammar = Grammar(markers.special)
    before = reasoning(grammar, markers, opens_reasoning=opens_reasoning, then=GAP)
    if markers.tool_format == "harmony":
        return grammar.structure(f"{before} {grammar.literal(HARMONY_FINAL)} {_inside(structure)}")
    return grammar.structure(f"{before} {_inside(structure)}") if before else structure


def reasoning(grammar: Grammar, markers: Markers, *, opens_reasoning: bool, then: str = "") -> str:
    """Reasoning that has to end before something else follows; empty for a model that has no marks for it.

    `then` may follow on reasoning, and on nothing else. Harmony, whose marks leave no room for it, passes it over.
    """
    if markers.tool_format == "harmony":
        return f"({grammar.literal(HARMONY_ANALYSIS)} {grammar.until(HARMONY_NEXT)})*"
    if not markers.think_end:
        return ""
    thought = grammar.until(markers.think_end)
    if opens_reasoning:
        return f"{thought} {then}"
    return f"({GAP} {grammar.literal(markers.think_start)} {thought} {then})?" if markers.think_start else ""


def _inside(structure: Structure) -> str:
    if structure.kind == "json_schema":
        return schema_rule(_parsed(structure.text))
    if structure.kind == "regex":
        return f"/(?:{_between_slashes(structure.text)})/"
    return f"%lark {{\n{structure.text}\n}}"


def _parsed(schema: str) -> Json:
    try:
        return read_schema(schema)
    except UnreadableSchema as error:
        raise ValidationError(
            f"The JSON schema cannot be used: it {error}; correct it and ask again", parameter="structure"
        ) from None


def _between_slashes(pattern: str) -> str:
    """A regular expression so that it can stand between slashes, on one line."""
    written: list[str] = []
    escaped = False
    for char in pattern:
        plain = {"/": "\\/", "\n": "\\n"}.get(char, char)
        written.append(plain.removeprefix("\\") if escaped and char != "\n" else plain)
        escaped = char == "\\" and not escaped
    return "".join(written)
