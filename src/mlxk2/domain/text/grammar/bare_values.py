"""Values in the spelling of the Gemma models, held to a JSON schema: bare keys, and texts between quotes of their own.

Texts are held to `enum` and `const`, objects and lists to their parts' schemas; bounds on lengths and counts, and
patterns, cannot be said here.
"""

from mlxk2.domain.text.calls.jsons import write_json
from mlxk2.domain.text.grammar.lark import Grammar, in_order, one_of, quoted, schema_rule
from mlxk2.domain.text.grammar.parameters import allowed_values, parameters
from mlxk2.domain.text.grammar.parts import Parts
from mlxk2.domain.text.json_schema import Json, Schema

_SCALARS = ("integer", "number", "boolean", "null")


def bare_object(grammar: Grammar, schema: Schema, quote: str) -> str:
    """`{key:value,…}` for a schema of an object."""
    return _Values(grammar, quote, schema).whole(schema)


class _Values:
    def __init__(self, grammar: Grammar, quote: str, root: Schema) -> None:
        self._grammar = grammar
        self._quote = quote
        self._parts = Parts(grammar, root)
        self._named: dict[str, str] = {}
        self._undefined: list[str] = []

    def whole(self, schema: Schema) -> str:
        """The object, and rules for all that it refers to, one after the other: references may form long chains."""
        written = self._object_of(schema)
        while self._undefined:
            reference = self._undefined.pop()
            self._grammar.define(self._named[reference], self._value(self._parts.target(reference)))
        return written

    def _object_of(self, schema: Schema) -> str:
        pairs = [(f"{quoted(f'{one.name}:')} {self._value(one.schema)}", one.required) for one in parameters(schema)]
        return f'"{{" {in_order(self._grammar, pairs, ",")} "}}"'

    def _value(self, part: Json) -> str:
        schema: Schema = part if isinstance(part, dict) else {}
        if isinstance(reference := schema.get("$ref"), str):
            return self._referred(reference)
        if allowed := allowed_values(schema):
            return one_of([self._literal(value) for value in allowed])
        for key in ("anyOf", "oneOf"):
            branches = schema.get(key)
            if isinstance(branches, list) and branches:
                return one_of([self._value(branch) for branch in branches])
        named = schema.get("type")
        kinds = named if isinstance(named, list) else [named]
        return one_of([self._kind(kind, schema) for kind in dict.fromkeys(map(str, kinds))])

    def _kind(self, kind: str, schema: Schema) -> str:
        if kind == "string":
            return f"{self._grammar.literal(self._quote)} {self._grammar.until(self._quote)}"
        if kind in _SCALARS:
            return self._parts.once({**schema, "type": kind}, self._parts.json)
        if kind == "array":
            item = self._grammar.rule("item", self._value(schema.get("items")))
            return f'"[" ({item} ("," {item})*)? "]"'
        if kind == "object" and schema.get("properties"):
            return self._object_of(schema)
        return self._anything(only_objects=kind == "object")

    def _referred(self, reference: str) -> str:
        if reference not in self._named:
            self._named[reference] = self._grammar.reserve("referred")
            self._undefined.append(reference)
        return self._named[reference]

    def _literal(self, value: Json) -> str:
        if isinstance(value, str):
            return self._grammar.literal(f"{self._quote}{value}{self._quote}")
        return quoted(write_json(value))

    def _anything(self, *, only_objects: bool) -> str:
        """A value of any kind, for a schema that names none."""
        if "anything" not in self._named:
            self._named["anything"] = value = self._grammar.reserve("anything")
            text = self._kind("string", {})
            scalar = schema_rule({"type": list(_SCALARS)})
            pair = f'/[A-Za-z_][A-Za-z0-9_-]*/ ":" {value}'
            whole = self._grammar.rule("object", f'"{{" ({pair} ("," {pair})*)? "}}"')
            self._grammar.define(value, f'{text} | {scalar} | {whole} | "[" ({value} ("," {value})*)? "]"')
            self._named["object"] = whole
        return self._named["object" if only_objects else "anything"]
