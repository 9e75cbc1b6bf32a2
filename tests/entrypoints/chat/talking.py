"""A chat on memory adapters, and a screen that notes what it is told."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mlxk2.adapters.memory import MEMORY_INFO, MemorySessions, StoredModel
from mlxk2.domain.usecases.chat_model import ChatOptions
from mlxk2.entrypoints.cli.chat.commands import run_command
from mlxk2.entrypoints.cli.chat.session import Session
from mlxk2.ports.engine import EngineInfo
from mlxk2.ports.sessions import SessionStore
from mlxk2.testing import healthy_model
from tests.domain.opening import Desk, follow

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import ChatTurn

MODELS = (healthy_model("org/tiny"), healthy_model("org/other"))


@dataclass
class NotingScreen:
    """`said` is what people read. `edited` is what the editor will leave, `agrees` the answer to all questions."""

    plain: bool = False
    show_reasoning: bool = True
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    answers: list[str] = field(default_factory=list)
    cleared: int = 0
    agrees: bool = False
    edited: Callable[[str], str | None] = lambda text: text

    def say(self, text: str) -> None:
        self.said.append(text)

    def waiting(self) -> AbstractContextManager[None]:
        return nullcontext()

    def answer(self, turn: "ChatTurn") -> None:
        answer = follow(turn)
        assert answer.error is None
        self.answers.append(answer.text)
        turn.keep()

    def ask_yes(self, question: str) -> bool:
        self.asked.append(question)
        return self.agrees

    def edit(self, text: str) -> str | None:
        return self.edited(text)

    def clear(self) -> None:
        self.cleared += 1


class Talk:
    """A running chat. The model says how many lines its prompt has, and the last of them; held to a form, the form."""

    def __init__(
        self,
        *models: StoredModel,
        info: EngineInfo = MEMORY_INFO,
        store: SessionStore | None = None,
        system: str | None = None,
    ) -> None:
        self.desk = Desk(*(models or MODELS), script=_echo, info=info)
        self.chat = self.desk.chat.open("org/tiny", ChatOptions(system))
        self.screen = NotingScreen()
        self.store = store or MemorySessions()
        self.session = Session(self.chat, self.screen, self.store)

    def ask(self, *questions: str) -> None:
        for question in questions:
            self.screen.answer(self.chat.ask(question))

    def do(self, line: str) -> str:
        """What a command makes the screen say."""
        before = len(self.screen.said)
        assert run_command(line, self.session)
        return "\n".join(self.screen.said[before:])

    @property
    def questions(self) -> list[str]:
        return [message.content for message in self.chat.messages if message.role == "user"]


def _echo(prompt: str) -> str:
    lines = prompt.rstrip("\n").split("\n")
    return f"{len(lines)} {lines[-1]}"
