"""Parts of a schema cut out so that they stand alone: what a part refers to comes with it, and nothing else.

The grammar engine looks references up in the schema that it is given, so that a part's references have to be turned
towards its own `$defs`. Whatever is referred to is shipped there whole and once: a place inside another that is shipped
is reached through that one. So a part that stands alone is never longer than itself and the whole schema.
"""

from collections.abc import Iterator, Mapping
from urllib.parse import quote

from mlxk2.domain.text.json_schema import Json, Place, Schema, part_at, place_of
from mlxk2.ports.errors import ValidationError

_DATA = frozenset(("enum", "const", "default", "examples"))
"""Keywords whose values are data: what looks like a reference there is none."""
_BY_NAME = frozenset(("properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"))
"""Keywords whose values hold schemas by names that mean nothing."""
_BASES = frozenset(("$id", "$schema"))
"""Keywords that would turn references towards another document."""


class References:
    """What the parts of one schema refer to; every place is looked through once."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._direct: dict[Place, list[Place]] = {}

    def alone(self, part: Schema) -> Schema:
        """The part as a schema of its own. Raises ValidationError where it refers to what is not in the whole."""
        names = {place: str(number) for number, place in enumerate(_outermost(self._reachable(part)))}
        if not names:
            return part
        shipped = {name: _turned(part_at(place, self._root), names) for place, name in names.items()}
        return {**_turned_schema(part, names), "$defs": shipped}

    def target(self, reference: str) -> Json:
        """What a reference stands for. Raises ValidationError where that is nothing."""
        return part_at(self._place(reference), self._root)

    def _reachable(self, part: Schema) -> set[Place]:
        found: set[Place] = set()
        waiting = self._places_in(part)
        while waiting:
            place = waiting.pop()
            if place in found:
                continue
            found.add(place)
            if place not in self._direct:
                self._direct[place] = self._places_in(part_at(place, self._root))
            waiting += self._direct[place]
        return found

    def _places_in(self, part: Json) -> list[Place]:
        references = {schema["$ref"] for schema in _schemas(part) if isinstance(schema.get("$ref"), str)}
        return [self._place(str(reference)) for reference in references]

    def _place(self, reference: str) -> Place:
        place = place_of(reference)
        if place is None or part_at(place, self._root) is None:
            raise ValidationError(
                f"The schema of a tool refers to '{reference[:80]}', which is not in it;"
                " write a pointer to a place in it, as '#/$defs/name'",
                parameter="tools",
            )
        return place


def _outermost(places: set[Place]) -> list[Place]:
    """Those that are not inside another of them, in a steady order."""
    return sorted(place for place in places if not any(place[:length] in places for length in range(len(place))))


def _schemas(part: Json) -> Iterator[Schema]:
    """The schema and all schemas in it."""
    waiting = [part]
    while waiting:
        here = waiting.pop()
        if isinstance(here, list):
            waiting += here
        elif isinstance(here, dict):
            yield here
            for key, value in here.items():
                if key in _BY_NAME and isinstance(value, dict):
                    waiting += value.values()
                elif key not in _DATA:
                    waiting.append(value)


def _turned(part: Json, names: Mapping[Place, str]) -> Json:
    """The part with its references turned towards where those places are shipped."""
    if isinstance(part, list):
        return [_turned(one, names) for one in part]
    return _turned_schema(part, names) if isinstance(part, dict) else part


def _turned_schema(schema: Schema, names: Mapping[Place, str]) -> Schema:
    turned: Schema = {}
    for key, value in schema.items():
        if key == "$ref" and isinstance(value, str):
            turned[key] = _shipped_at(place_of(value) or (), names)
        elif key in _BY_NAME and isinstance(value, dict):
            turned[key] = {name: _turned(one, names) for name, one in value.items()}
        elif key not in _BASES:
            turned[key] = value if key in _DATA else _turned(value, names)
    return turned


def _shipped_at(place: Place, names: Mapping[Place, str]) -> str:
    within = next(place[:length] for length in range(len(place) + 1) if place[:length] in names)
    steps = ("$defs", names[within], *place[len(within) :])
    return "#" + "".join(f"/{quote(step.replace('~', '~0').replace('/', '~1'), safe='$~')}" for step in steps)
