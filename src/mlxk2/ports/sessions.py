"""Conversations that are kept between two runs of the program, each under a title."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from mlxk2.ports.conversation import Message
from mlxk2.ports.errors import ValidationError

LAST = "last"
"""The title under which a running chat keeps itself."""
LONGEST_TITLE = 60
"""Characters: with four bytes each they still fit into the name of a file."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """`model` is the reference that opens the model again, `saved` the time in seconds since the epoch.

    `messages` are those after the system prompt, oldest first. `settings` are (name, value) as `/set` takes them, only
    those that were set; `stop` may be there several times.
    """

    title: str
    model: str
    system: str | None
    messages: tuple[Message, ...]
    settings: tuple[tuple[str, str], ...]
    saved: float


class SessionStore(Protocol):
    """Conversations of this user, which nobody else can read. A title is what `checked_title` makes of it.

    Every method raises `errors.AccessProblem` when the file system refuses.
    """

    def save(self, conversation: Conversation) -> str:
        """Keep it, in the place of what had this title, and return the file's path.

        Whoever ends in the middle leaves what was there before. Raises `errors.ValidationError` for a bad title.
        """

    def load(self, title: str) -> Conversation:
        """Raises `errors.ValidationError` for a bad title, or one that is not there, and names similar ones;
        `errors.OperationError` for a file that is damaged, or that a newer version has written."""

    def titles(self) -> tuple[str, ...]:
        """The one that was saved last comes first, by `saved`. Nothing is read: some of them may be damaged."""

    def history_file(self) -> str:
        """The path of the file that keeps the questions of all chats; it is there afterwards."""


def checked_title(title: str) -> str:
    """The title in lower case, in which it is the same file on every system.

    Raises ValidationError unless it has only letters, digits, `-`, `_` and `.`, and begins with a letter or digit: no
    such name leaves the folder that it is put into.
    """
    checked = unicodedata.normalize("NFC", title.lower())
    if not checked or not checked[0].isalnum() or not all(_may_be_in_a_title(char) for char in checked):
        raise ValidationError(
            f"{title!r} cannot be a title: use letters, digits, '-', '_' and '.', and begin with a letter or digit"
        )
    if len(checked) > LONGEST_TITLE:
        raise ValidationError(f"The title has {len(checked)} characters: it may have at most {LONGEST_TITLE}")
    return checked


def unknown_title(title: str, titles: Iterable[str]) -> ValidationError:
    """What to say when nothing was saved under this title."""
    from difflib import get_close_matches

    near = get_close_matches(title, [*titles])
    hint = f"; did you mean {' or '.join(near)}?" if near else "; /sessions in a chat lists those that are there"
    return ValidationError(f"No conversation is saved as '{title}'{hint}")


def _may_be_in_a_title(char: str) -> bool:
    return char in "-_." or unicodedata.category(char)[0] in "LMN"
