"""What a chat and its commands may do with the terminal."""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import ChatTurn

MAKES_ROOM = "/undo takes back the last turn, /clear begins anew"
"""What helps when the model's context is full."""


class Screen(Protocol):
    """`plain`: Markdown is shown as it is written. `show_reasoning`: what the model thinks is shown, dimmed."""

    plain: bool
    show_reasoning: bool

    def say(self, text: str) -> None:
        """A line for people, dimmed. What would steer the terminal is spelled out."""

    def waiting(self) -> AbstractContextManager[object]:
        """Around what the model is asked for before it answers: shows that it is waited for. Nothing is said within."""

    def answer(self, turn: "ChatTurn") -> None:
        """Show a turn as it comes, to its end. Ctrl-C stops it. What was answered is kept, and nothing else is."""

    def ask_yes(self, question: str) -> bool:
        """Anything but yes is no, also the end of input and Ctrl-C."""

    def edit(self, text: str) -> str | None:
        """The text as the user's editor leaves it; None when it is not to be used."""

    def clear(self) -> None:
        """Nothing is on the screen any more, as far as the terminal can do that."""
