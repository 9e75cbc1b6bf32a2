"""What a chat's commands work on."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.chat.screen import Screen

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import Chat, ChatTurn
    from mlxk2.ports.sessions import SessionStore


@dataclass(slots=True)
class Session:
    """`attachments` are the paths of files that go with the next question."""

    chat: "Chat"
    screen: Screen
    store: "SessionStore"
    attachments: list[str] = field(default_factory=list)

    def answer(self, turn: "ChatTurn") -> None:
        """Show the answer to a new question. The files that went with one that was not kept wait for the next one."""
        before = self.chat.messages
        self.screen.answer(turn)
        if self.chat.messages is not before:
            self.attachments.clear()
