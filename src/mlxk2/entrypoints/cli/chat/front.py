"""The terminal that is there, and a chat on it: edited lines where its cursor can be moved, plain ones elsewhere."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from io import TextIOWrapper
from typing import TYPE_CHECKING, TextIO

from mlxk2.entrypoints.cli.chat.display.area import Area
from mlxk2.entrypoints.cli.chat.display.styled import styled
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal
from mlxk2.entrypoints.cli.chat.loop import Loop
from mlxk2.entrypoints.cli.chat.prompts import LinePrompt, Prompt
from mlxk2.entrypoints.cli.chat.session import Session
from mlxk2.entrypoints.cli.chat.terminal_screen import TerminalScreen
from mlxk2.ports.errors import AccessProblem

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import Chat
    from mlxk2.entrypoints.cli.chat.opening import Opening
    from mlxk2.ports.sessions import Conversation, SessionStore

_WITHOUT_MOVES = frozenset({"", "dumb", "unknown"})


@dataclass(frozen=True, slots=True)
class Manner:
    """How the chat looks, and what it begins with. `statistics`: say after each answer how fast it was."""

    plain: bool = False
    show_reasoning: bool = True
    statistics: bool = False
    attachments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Skills:
    """What the chat can do beside asking: its commands, the user's editor, and files that go with a question.

    `words` may follow a command, by its name.
    """

    commands: Mapping[str, str]
    run_command: Callable[[str, Session], bool]
    edit: Callable[[str], str | None]
    question: Callable[[str, list[str]], str]
    words: Mapping[str, Callable[[], Iterable[str]]] = field(default_factory=dict)


@dataclass
class Front:
    """`file` is the terminal that answers go to.

    `begin` is called when the model is open. `before` is the conversation that is gone on with.
    """

    file: TextIO
    environ: Mapping[str, str]
    store: "SessionStore"
    skills: Skills
    manner: Manner = field(default_factory=Manner)
    begin: "Callable[[Session], None]" = lambda _: None
    before: "Conversation | None" = None

    def hold(self, opening: "Opening") -> None:
        """The whole conversation. Raises what opening raised."""
        terminal = self._terminal()
        busy = Area(terminal)
        told: list[str] = []
        prompt, screen = self._prompt_and_screen(terminal, opening)

        def tell(text: str) -> None:
            if terminal.moves:
                shown = terminal.harmless(text)[: max(terminal.size().columns - 1, 1)]
                busy.draw([styled(shown, "dim")] if shown else [])
            elif text and not told:
                told.append(text)
                screen.say("Loading the model ...")

        def session(chat: "Chat") -> Session:
            made = Session(chat, screen, self.store, [*self.manner.attachments])
            self.begin(made)
            return made

        loop = Loop(
            opening,
            prompt,
            session=session,
            run_command=self.skills.run_command,
            question=self.skills.question,
            busy=tell,
        )
        if self.before is not None:
            screen.recall(self.before)
        with terminal.quiet():
            if isinstance(prompt, LinePrompt):
                loop.open()  # a line that is being read cannot be told that the model is not there
            loop.run(hint=lambda: screen.say("(Ctrl-D or /quit leaves)"))

    def _terminal(self) -> Terminal:
        moves = self.environ.get("TERM", "") not in _WITHOUT_MOVES and self.file.isatty()
        return Terminal(self.file, moves=moves, colour=not self.environ.get("NO_COLOR"))

    def _prompt_and_screen(self, terminal: Terminal, opening: "Opening") -> tuple[Prompt, TerminalScreen]:
        prompt: Prompt = LinePrompt(terminal.write)
        screen = TerminalScreen(
            terminal,
            read=lambda question: prompt.read_line(question),
            change=self.skills.edit,
            plain=self.manner.plain,
            show_reasoning=self.manner.show_reasoning,
            statistics=self.manner.statistics,
        )
        if terminal.moves and sys.stdin.isatty():
            from mlxk2.entrypoints.cli.chat.editing import EditedPrompt

            prompt = EditedPrompt(
                terminal,
                opening,
                history=self._history(),
                commands=self.skills.commands,
                words=self.skills.words,
                on_reasoning=screen.switch_reasoning,
            )
        elif isinstance(sys.stdin, TextIOWrapper):
            sys.stdin.reconfigure(errors="replace")
        return prompt, screen

    def _history(self) -> str | None:
        with contextlib.suppress(AccessProblem):
            return self.store.history_file()
        return None
