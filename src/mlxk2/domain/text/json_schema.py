"""JSON schemas as requests bring them: read from their text within bounds, and the references in them looked up.

A reference is a JSON pointer (RFC 6901) into the schema itself, written as a fragment: `#`, `#/$defs/a~1b`. Anchors and
other documents are not looked up.
"""

import json
import re
from collections.abc import Iterable
from urllib.parse import unquote

Json = object
Schema = dict[str, Json]
Place = tuple[str, ...]
"""The steps from a document's root to a part of it: names, and numbers where the part stands in a list."""

DEEPEST = 100
"""How many levels of lists and objects a schema may nest: a little less than the grammar engine reads."""
_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}")


class UnreadableSchema(ValueError):
    """The text is no schema that can be used; the message says why, after "it"."""


def read_schema(text: str) -> Json:
    """The value that the text of a schema stands for. Raises UnreadableSchema."""
    try:
        value: Json = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnreadableSchema(f"is not JSON ({error})") from error
    level = _nesting([value])
    for _ in range(DEEPEST):
        level = _nesting(part for one in level for part in _inside(one))
    if level:
        raise UnreadableSchema(f"nests deeper than {DEEPEST} levels")
    return value


def place_of(reference: str) -> Place | None:
    """Where a reference points, None if it is not a pointer into its own document."""
    pointer = unquote(reference.removeprefix("#"))
    if not reference.startswith("#") or (pointer and not pointer.startswith("/")):
        return None
    return tuple(step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:])


def part_at(place: Place, root: Json) -> Json:
    """What stands at a place; None where there is nothing."""
    here = root
    for step in place:
        if isinstance(here, dict):
            here = here.get(step)
        elif isinstance(here, list) and _NUMBER.fullmatch(step) and int(step) < len(here):
            here = here[int(step)]
        else:
            return None
    return here


def _nesting(values: Iterable[Json]) -> list[dict[str, Json] | list[Json]]:
    return [value for value in values if isinstance(value, dict | list)]


def _inside(value: dict[str, Json] | list[Json]) -> Iterable[Json]:
    return value.values() if isinstance(value, dict) else value
