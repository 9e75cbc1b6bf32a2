"""The `SessionStore` port in memory."""

import os
from dataclasses import replace

from mlxk2.ports.errors import AccessProblem, OperationError
from mlxk2.ports.sessions import Conversation, checked_title, unknown_title


class MemorySessions:
    """`folder` is where the history of questions is kept; without one, it is refused."""

    def __init__(self, *conversations: Conversation, folder: str | None = None) -> None:
        self._kept: dict[str, Conversation] = {}
        self._damaged: set[str] = set()
        self._folder = folder
        for conversation in conversations:
            self.save(conversation)

    def save(self, conversation: Conversation) -> str:
        title = checked_title(conversation.title)
        self._kept[title] = replace(conversation, title=title)
        self._damaged.discard(title)
        return f"/memory/chats/{title}.json"

    def load(self, title: str) -> Conversation:
        title = checked_title(title)
        if title in self._damaged:
            raise OperationError(f"The conversation '{title}' is damaged; load another one")
        if title not in self._kept:
            raise unknown_title(title, self.titles())
        return self._kept[title]

    def titles(self) -> tuple[str, ...]:
        return tuple(sorted(self._kept, key=lambda title: (-self._kept[title].saved, title)))

    def history_file(self) -> str:
        if self._folder is None:
            raise AccessProblem("There is no folder for the history; give MemorySessions one")
        path = os.path.join(os.path.abspath(self._folder), "chat-history")
        os.makedirs(self._folder, exist_ok=True)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600))
        return path

    def damage(self, title: str) -> None:
        """What is kept under this title cannot be read any more."""
        self._damaged.add(title)
