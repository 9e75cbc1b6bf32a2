"""Writes grammars in llguidance's dialect of Lark.

What that dialect wants to be told: special tokens are no text and are named by their ids; text up to a mark is a lazy
rule where the mark is text; and a JSON schema stands in a rule as `%json {…}`.
"""

import json
import re
from collections.abc import Iterable, Sequence

from mlxk2.domain.text.json_schema import Json, Schema
from mlxk2.ports.checking import LONGEST_STRUCTURE
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import JSON_WHITESPACE, Structure

GAP = "GAP"
"""The little space that models write between the parts of an answer."""


class Grammar:
    """Collects rules. Methods give expressions to build further rules from; `special` is that of `Markers`.

    A grammar that grows longer than a structure may be is given up with a ValidationError, before it takes much room.
    """

    def __init__(self, special: Sequence[tuple[str, int]]) -> None:
        self._ids = {text: token for text, token in special if text}
        self._specials = re.compile("|".join(re.escape(text) for text in sorted(self._ids, key=len, reverse=True)))
        self._rules: dict[str, str] = {}
        self._names: dict[str, str] = {}
        self._length = 0

    def literal(self, text: str) -> str:
        """Exactly this text, special tokens in it as such."""
        parts: list[str] = []
        at = 0
        for found in self._specials.finditer(text) if self._ids else ():
            parts += [quoted(text[at : found.start()]), f"<[{self._ids[found[0]]}]>"]
            at = found.end()
        return " ".join(part for part in (*parts, quoted(text[at:])) if part)

    def is_special(self, text: str) -> bool:
        """Whether the text begins with a special token."""
        return bool(self._ids) and self._specials.match(text) is not None

    def until(self, mark: str) -> str:
        """Any text without special tokens up to the first `mark`, and the mark."""
        if self.is_special(mark):
            return f"TEXT {self.literal(mark)}"
        return self.rule("until", f"TEXT {quoted(mark)}", options="[lazy]")

    def free(self, without: Iterable[str]) -> str:
        """Any text, with any special tokens but those with which these texts begin."""
        barred = {found[0] for text in without if self._ids and (found := self._specials.match(text))}
        tokens = sorted(token for text, token in self._ids.items() if text not in barred)
        return f"TEXT (<[{','.join(map(str, tokens))}]> TEXT)*" if tokens else "TEXT"

    def rule(self, stem: str, body: str, options: str = "") -> str:
        """A rule with this body, by its name; the same body is written once."""
        definition = f"{options}: {body}"
        if definition not in self._names:
            self._names[definition] = name = self.reserve(stem)
            self._keep(name, definition)
        return self._names[definition]

    def json(self, schema: Schema) -> str:
        """A value in JSON that fits the schema."""
        return self.rule("json", schema_rule(schema))

    def reserve(self, stem: str) -> str:
        """The name of a rule that is defined later, so that it can be used in itself."""
        name = f"{stem}_{len(self._rules)}"
        self._rules[name] = ""
        return name

    def define(self, name: str, body: str) -> None:
        self._keep(name, f": {body}")

    def _keep(self, name: str, definition: str) -> None:
        """Raises ValidationError as soon as it is certain that no engine will take the grammar."""
        self._rules[name] = definition
        self._length += len(definition)
        if self._length > LONGEST_STRUCTURE:
            raise ValidationError(
                f"The schemas make a grammar of more than {LONGEST_STRUCTURE} characters; give fewer or simpler tools",
                parameter="tools",
            )

    def structure(self, start: str, terminals: str = "") -> Structure:
        rules = "".join(f"{name}{definition}\n" for name, definition in self._rules.items())
        text = f"%llguidance {{}}\nstart: {start}\n{rules}TEXT: /(.|\\n)*/\n{GAP}: /[ \\t\\r\\n]{{0,8}}/\n{terminals}"
        return Structure("lark", text)


def quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False) if text else ""


def schema_rule(schema: Json) -> str:
    """A value that fits the JSON schema, with no more space between its parts than anywhere else."""
    if isinstance(schema, dict):
        given = schema.get("x-guidance", {})
        wishes = given if isinstance(given, dict) else {}
        schema = {**schema, "x-guidance": {"whitespace_pattern": JSON_WHITESPACE, **wishes}}
    return "%json " + json.dumps(schema, ensure_ascii=False)


def one_of(expressions: Sequence[str]) -> str:
    return f"({' | '.join(expressions)})"


def in_order(grammar: Grammar, members: Sequence[tuple[str, bool]], separator: str) -> str:
    """Members in their order, separated; those that are not marked as required may be left out."""
    between = quoted(separator)
    first, later = "", ""  # what may follow from here on: where nothing stands before it, and where something does
    for member, required in reversed(members):
        taken_first, taken_later = _joined(member, later), _joined(between, member, later)
        if required:
            first, later = grammar.rule("rest", taken_first), grammar.rule("rest", taken_later)
        else:
            first = grammar.rule("rest", f"({taken_first} | {first})" if first else f"({taken_first})?")
            later = grammar.rule("rest", f"({taken_later} | {later})" if later else f"({taken_later})?")
    return first


def _joined(*parts: str) -> str:
    return " ".join(part for part in parts if part)
