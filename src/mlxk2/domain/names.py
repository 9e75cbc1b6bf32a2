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
MAIN = "main"
LONGEST_NAME = 96
SHORTEST_HASH = 3
LONGEST_HASH = 40

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_NOT_PRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_HUB_NAME = re.compile(r"[A-Za-z0-9]([\w.-]*[A-Za-z0-9_])?/[A-Za-z0-9_]([\w.-]*[A-Za-z0-9_])?", re.ASCII)
_REVISION = re.compile(r"[\w.+=/-]{1,200}", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
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
    if not _HEX.fullmatch(revision) or not SHORTEST_HASH <= len(revision) <= LONGEST_HASH:
        raise ValidationError(
            f"{_shown(text)} asks for revision {_shown(revision)}: after '@' write {SHORTEST_HASH} to {LONGEST_HASH}"
            " hexadecimal digits of a commit"
        )
    return ModelReference(full_name, revision.lower(), exact)


class HubReference(NamedTuple):
    """A repo on the Hub, spelled out, and the branch, tag or commit that is wanted of it.

    `pinned` tells whether the revision was asked for; `typed` is what the user wrote for the name.
    """

    typed: str
    name: str
    revision: str = MAIN
    pinned: bool = False

    @property
    def is_commit(self) -> bool:
        return _COMMIT.fullmatch(self.revision) is not None


def parse_hub_reference(text: str, revision: str | None = None) -> HubReference:
    """`demo`, `org/name`, or a bare `name`, which means `mlx-community/name`; `@` or `revision` names a revision.

    Never fuzzy. Raises ValidationError with the rule that is broken.
    """
    typed, at, after = text.partition("@")
    _check_name(typed, text)
    if at and revision is not None and after != revision:
        raise ValidationError(f"Two revisions are asked for, {_shown(after)} and {_shown(revision)}; name one")
    wanted = after if at else revision
    name = hub_name(DEMO_NAME if typed == DEMO_ALIAS else typed)
    if wanted is None:
        return HubReference(typed, name)
    check_revision(wanted, text)
    return HubReference(typed, name, wanted.lower() if _COMMIT.fullmatch(wanted.lower()) else wanted, pinned=True)


def hub_name(text: str) -> str:
    """A repo's full name, checked by the Hub's own rules. Raises ValidationError."""
    _check_name(text, text)
    name = text if "/" in text else f"{DEFAULT_ORG}/{text}"
    if not _HUB_NAME.fullmatch(name) or "--" in name or ".." in name or len(name) > LONGEST_NAME:
        raise ValidationError(
            f"{_shown(text)} is not a name on the Hub: write org/model, each of letters, digits, '-', '_' and '.',"
            f" beginning and ending with a letter or digit, without '--' or '..', at most {LONGEST_NAME} characters"
        )
    return name


def check_revision(revision: str, text: str) -> None:
    """Raises ValidationError when this cannot be a branch, a tag or a commit; `text` is what the user wrote."""
    parts = revision.split("/")
    odd = any(part in ("", ".", "..") or part.endswith((".lock", ".")) or ".." in part for part in parts)
    if not _REVISION.fullmatch(revision) or odd:
        raise ValidationError(
            f"{_shown(text)} does not name a revision: write a branch, a tag or the hash of a commit, not"
            f" {_shown(revision)}"
        )


def folder_of(name: str) -> str:
    """The cache folder of a Hub name."""
    return FOLDER_PREFIX + name.replace("/", "--")


def name_of(folder: str) -> str:
    """The name of a cache folder, by mechanical conversion; bytes that are not text show as `\\xff` does."""
    name = folder.removeprefix(FOLDER_PREFIX).replace("--", "/")
    return printable(name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))


def printable(text: str) -> str:
    """The text with control characters spelled out, so that nothing in a repo can steer a terminal, and with bytes that
    are not text spelled out, too, since many readers of JSON take no half of a surrogate pair."""
    return _NOT_PRINTABLE.sub(lambda match: spelled_out(match[0]), text)


def spelled_out(character: str) -> str:
    """`\\x1b` for a control character, `\\xff` for a byte of a file's name that is not text."""
    code = ord(character)
    if 0xDC80 <= code <= 0xDCFF:  # as Python reads such bytes
        code -= 0xDC00
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


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
    if "://" in name:
        raise ValidationError(f"{_shown(text)} is an address; write only the model's name, such as org/model")
    parts = name.split("/")
    if name.startswith(("/", "~")):
        raise ValidationError(f"{_shown(text)} is a path, not a model name; write a name such as org/model")
    if any(part in ("", ".", "..") for part in parts):
        raise ValidationError(f"{_shown(text)} is not a model name: empty parts, '.' and '..' are not allowed")


def _shown(text: str) -> str:
    return repr(text.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
