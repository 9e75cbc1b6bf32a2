"""Which JSON types a schema names, through `enum`, `const`, `anyOf`, `oneOf`, `allOf` and references.

A schema may refer to itself in any way, and to one definition from everywhere. So every place that is referred to is
looked at once, and what it names is handed to those who refer to it until nothing new comes: the work grows with the
schema's length, whatever its shape.
"""

from collections import defaultdict

from mlxk2.domain.text.json_schema import Json, Place, Schema, part_at, place_of

_KINDS = {type(None): "null", bool: "boolean", int: "integer", float: "number", str: "string"}
_KINDS |= {list: "array", dict: "object"}
_NO_TYPE = "unknown"
"""Stands for all names that are no type of JSON: no value has it."""


def type_of(value: Json) -> str:
    """The JSON type of a value that was read from JSON."""
    return _KINDS[type(value)]


class JsonTypes:
    """The types that the parts of one schema name; `root` is the whole that its references point into."""

    def __init__(self, root: Json) -> None:
        self._root = root
        self._known: dict[Place, set[str]] = {}

    def of(self, part: Json) -> frozenset[str]:
        """Empty where any type may stand, or nothing is known."""
        types, targets = _named(part)
        for target in targets:
            self._learn(target)
        return frozenset(types.union(*(self._known[target] for target in targets)))

    def _learn(self, place: Place) -> None:
        """Looks at a place and all that can be reached from it, and then hands the types back along that way."""
        readers: dict[Place, list[Place]] = defaultdict(list)
        waiting = [place]
        while waiting:
            new = waiting.pop()
            if new in self._known:
                continue
            self._known[new], targets = _named(part_at(new, self._root))
            for target in targets:
                readers[target].append(new)
            waiting += targets
        self._hand_back(readers)

    def _hand_back(self, readers: dict[Place, list[Place]]) -> None:
        changed = list(readers)
        while changed:
            source = changed.pop()
            for reader in readers.get(source, ()):
                if not self._known[source] <= self._known[reader]:
                    self._known[reader] |= self._known[source]
                    changed.append(reader)


def _named(part: Json) -> tuple[set[str], set[Place]]:
    """The types that a part names itself, and the places that it refers to, where there may be more."""
    types: set[str] = set()
    targets: set[Place] = set()
    waiting = [part]
    while waiting:
        schema = waiting.pop()
        if not isinstance(schema, dict):
            continue
        types |= _own(schema)
        for key in ("anyOf", "oneOf", "allOf"):
            branches = schema.get(key)
            waiting += branches if isinstance(branches, list) else ()
        reference = schema.get("$ref")
        if isinstance(reference, str) and (target := place_of(reference)) is not None:
            targets.add(target)
    return types, targets


def _own(schema: Schema) -> set[str]:
    named = schema.get("type")
    names = [name for name in (named if isinstance(named, list) else [named]) if isinstance(name, str)]
    types = {name if name in _KINDS.values() else _NO_TYPE for name in names}
    values = schema.get("enum")
    types |= {type_of(value) for value in values} if isinstance(values, list) else set()
    return types | {type_of(schema["const"])} if "const" in schema else types
