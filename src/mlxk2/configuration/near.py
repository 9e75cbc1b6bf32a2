"""What somebody may have meant who wrote a name that does not exist."""

from collections.abc import Sequence


def near_name(written: str, names: Sequence[str], similar: float = 0.6) -> str | None:
    """The one name that begins so, else the most similar; None when none is.

    `similar`: how much of both must agree, 1 for all.
    """
    from difflib import get_close_matches

    beginning = [name for name in names if written and name.startswith(written)]
    if len(beginning) == 1:
        return beginning[0]
    return next(iter(get_close_matches(written, names, 1, similar)), None)
