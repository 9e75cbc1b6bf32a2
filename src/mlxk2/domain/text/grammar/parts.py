"""The parts of one tool's schema as rules of a grammar, for formats that write arguments one by one."""

import json
from collections.abc import Callable

from mlxk2.domain.text.grammar.lark import Grammar, schema_rule
from mlxk2.domain.text.grammar.parameters import allowed_values
from mlxk2.domain.text.grammar.references import References
from mlxk2.domain.text.json_schema import Json, Schema
from mlxk2.domain.text.json_types import JsonTypes

_SAYINGS = frozenset(("title", "description", "default", "examples", "deprecated", "$comment"))
"""Keywords that say something to people and forbid nothing."""


class Parts:
    """Writes parts of the schema `root`; parts that say the same are written once."""

    def __init__(self, grammar: Grammar, root: Schema) -> None:
        self._grammar = grammar
        self._references = References(root)
        self._types = JsonTypes(root)
        self._wishes = {key: root[key] for key in ("x-guidance",) if key in root}
        self._written: dict[str, str] = {}

    def once(self, part: Json, write: Callable[[Schema], str]) -> str:
        """The rule for what `write` makes of the part, always the same way; its name where it is there already.

        A part that is no object, `true` for example, forbids nothing.
        """
        schema = {key: value for key, value in part.items() if key not in _SAYINGS} if isinstance(part, dict) else {}
        text = json.dumps(schema)
        if text not in self._written:
            self._written[text] = self._grammar.rule("value", write(schema))
        return self._written[text]

    def json(self, schema: Schema) -> str:
        """A value in JSON that fits this part."""
        return schema_rule({**self._wishes, **self._references.alone(schema)})

    def types(self, schema: Schema) -> frozenset[str]:
        """The types of JSON that the part names; empty if any may stand."""
        return self._types.of(schema)

    def allowed(self, schema: Schema) -> list[Json]:
        """As `allowed_values`, also where the part is no more than a reference to what names them."""
        reference = schema.get("$ref")
        target = self.target(reference) if isinstance(reference, str) else None
        return allowed_values(schema) or (allowed_values(target) if isinstance(target, dict) else [])

    def target(self, reference: str) -> Json:
        """What a reference stands for. Raises ValidationError where that is nothing."""
        return self._references.target(reference)
