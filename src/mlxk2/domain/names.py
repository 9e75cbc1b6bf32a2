"""Model names: what a user types, the name on the Hub, and the folder in the cache.

A Hub name `org/model` is the cache folder `models--org--model` ("/" becomes "--"). A folder that breaks the rules is
shown by the same conversion backwards: never hidden, never an error.
"""

import re
from typing import NamedTuple

from mlxk2.ports.errors import ValidationError

FOLDER_PREFIX = "models--"
DEFAULT_ORG = "mlx-community"
DEMO_ALIAS = "demo"
DEMO_NAME = "mlxk2/demo"
LONGEST_NAME = 96
SHORTEST_HASH = 3

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_HEX = re.compile(r"[0-9a-fA-F]+")


class ModelReference(NamedTuple):
    """`name` as typed, `revision` the lower-case hash prefix after `@`, or None.

    `demo` is spelled out already, and then `exact`: it means that one model and no other whose name contains it.
    """

    name: str
    revision: str | None = None
    exact: bool = False

    def __str__(self) -> str:
        return f"{self.name}@{self.revision}" if self.revision else self.name


def parse_reference(text: str) -> ModelReference:
    """`org/name`, a short name, or `name@hash`. Raises ValidationError with the rule that is broken."""
    name, at, revision = text.partition("@")
    _check_name(name, text)
    exact = name == DEMO_ALIAS
    full_name = DEMO_NAME if exact else name
    if not at:
        return ModelReference(full_name, exact=exact)
    if not _HEX.fullmatch(revision) or not SHORTEST_HASH <= len(revision) <= 40:
        raise ValidationError(
            f"{_shown(text)} asks for revision {_shown(revision)}: after '@' write {SHORTEST_HASH} to 40 hexadecimal"
            f" digits of a commit"
        )
    return ModelReference(full_name, revision.lower(), exact)


def folder_of(name: str) -> str:
    """The cache folder of a Hub name."""
    return FOLDER_PREFIX + name.replace("/", "--")


def name_of(folder: str) -> str:
    """The name of a cache folder, by mechanical conversion; bytes that are not text show as `\\xff` does."""
    name = folder.removeprefix(FOLDER_PREFIX).replace("--", "/")
    return printable(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """The text with control characters spelled out, so that nothing in a repo can steer a terminal."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def short_name(name: str) -> str:
    """The name without `mlx-community/`, as tables show it."""
    return name.removeprefix(f"{DEFAULT_ORG}/")


def _check_name(name: str, text: str) -> None:
    if not name.strip():
        raise ValidationError("The model reference is empty; write a name such as org/model, or 'demo'")
    if len(name) > LONGEST_NAME:
        raise ValidationError(
            f"The model name has {len(name)} characters; at most {LONGEST_NAME} are allowed: {_shown(name[:40])}…"
        )
    if _CONTROL.search(name):
        raise ValidationError(f"The model name {_shown(text)} contains a control character; write it as org/model")
    if "\\" in name:
        raise ValidationError(f"The model name {_shown(text)} contains a backslash; write it with '/', as org/model")
    parts = name.split("/")
    if name.startswith(("/", "~")):
        raise ValidationError(f"{_shown(text)} is a path, not a model name; write a name such as org/model")
    if any(part in ("", ".", "..") for part in parts):
        raise ValidationError(f"{_shown(text)} is not a model name: empty parts, '.' and '..' are not allowed")


def _shown(text: str) -> str:
    return repr(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
