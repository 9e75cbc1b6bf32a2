"""What somebody may have meant who wrote the name of a model that is not there."""

from collections.abc import Iterable

_NEAR = 3
"""Names that are told at most."""


def did_you_mean(name: str, names: Iterable[str]) -> str:
    """`; did you mean org/model?`, with the most similar name first; empty when none is similar."""
    near = near_names(name, names)
    return f"; did you mean {' or '.join(near)}?" if near else ""


def near_names(name: str, names: Iterable[str]) -> list[str]:
    """The few of `names` that look like `name` after the slash, whatever the case; the most similar ones first."""
    from difflib import get_close_matches  # nobody waits for it who writes names that are there

    by_part: dict[str, list[str]] = {}
    for known in names:
        by_part.setdefault(_part(known), []).append(known)
    close = get_close_matches(_part(name), by_part, _NEAR)
    return [known for part in close for known in by_part[part]][:_NEAR]


def _part(name: str) -> str:
    return name.rpartition("/")[2].casefold()
