"""Places in a body, and how OpenAI's errors write them: `messages[2].content`."""

from typing import Any

Path = tuple[str, ...]
"""Names of fields and numbers of items, from the body's outside inwards."""


def written(path: Path) -> str:
    text = "".join(f"[{step}]" if step.isdigit() else f".{step}" for step in path)
    return text.removeprefix(".")


def values_along(body: Any, path: Path) -> list[Any]:
    """The body, and what each step of the path leads to, as far as it leads anywhere."""
    values = [body]
    for step in path:
        outer = values[-1]
        if isinstance(outer, dict) and step in outer:
            values.append(outer[step])
        elif isinstance(outer, list) and step.isdigit() and int(step) < len(outer):
            values.append(outer[int(step)])
        else:
            break
    return values
