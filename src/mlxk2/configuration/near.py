"""What somebody may have meant who wrote a name that does not exist."""

from collections.abc import Sequence


def near_name(written: str, names: Sequence[str]) -> str | None:
    from difflib import get_close_matches

    return next(iter(get_close_matches(written, names, 1)), None)
