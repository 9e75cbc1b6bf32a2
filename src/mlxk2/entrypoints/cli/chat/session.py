"""What a chat's commands work on."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.chat.screen import Screen

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import Chat
    from mlxk2.ports.sessions import SessionStore


@dataclass(slots=True)
class Session:
    """`attachments` are the paths of files that go with the next question."""

    chat: "Chat"
    screen: Screen
    store: "SessionStore"
    attachments: list[str] = field(default_factory=list)
