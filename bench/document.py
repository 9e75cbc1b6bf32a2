"""docs/benchmarks.md has two parts, commands and engine; a run that measured one of them leaves the other as it was."""

from pathlib import Path

_DOCUMENT = Path(__file__).parent.parent / "docs" / "benchmarks.md"
_ENGINE = "\n## The engine\n\n"


def write_commands(text: str) -> Path:
    """Replace everything before the engine's heading."""
    _, heading, engine = _read().partition(_ENGINE)
    return _write(text + heading + engine)


def write_engine(text: str) -> Path:
    """Replace everything behind the engine's heading, which is added when it is not there."""
    commands, _, _ = _read().partition(_ENGINE)
    return _write(commands + _ENGINE + text)


def _read() -> str:
    return _DOCUMENT.read_text(encoding="utf-8")


def _write(text: str) -> Path:
    _DOCUMENT.write_text(text, encoding="utf-8")
    return _DOCUMENT
