"""docs/benchmarks.md has parts: commands first, then one for each group; a run replaces the parts that it measured."""

import re
from pathlib import Path

_DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"


def write_commands(text: str, groups: tuple[str, ...]) -> Path:
    """Replace everything before the first group's heading; `groups` are the titles of all, in order."""
    _, parts = _parts(groups)
    return _write(text, parts)


def write_group(title: str, text: str, groups: tuple[str, ...]) -> Path:
    """Replace what stands under the group's heading, which is added when it is not there."""
    commands, parts = _parts(groups)
    found = {**parts, title: text}
    return _write(commands, {name: found[name] for name in groups if name in found})


def _parts(groups: tuple[str, ...]) -> tuple[str, dict[str, str]]:
    """What is about commands, and the text of each group that is there."""
    headings = "|".join(re.escape(_heading(title)) for title in groups)
    commands, *rest = re.split(f"({headings})", _DOCUMENT.read_text(encoding="utf-8"))
    titles = {_heading(title): title for title in groups}
    return commands, {titles[heading]: text for heading, text in zip(rest[::2], rest[1::2], strict=True)}


def _write(commands: str, parts: dict[str, str]) -> Path:
    text = commands + "".join(_heading(title) + part for title, part in parts.items())
    _DOCUMENT.write_text(text, encoding="utf-8")
    return _DOCUMENT


def _heading(title: str) -> str:
    return f"\n## {title}\n\n"
