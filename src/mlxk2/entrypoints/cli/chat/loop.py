"""The conversation itself: a question, its answer, the next question, until the user leaves."""

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.chat.opening import Opening
from mlxk2.entrypoints.cli.chat.prompts import QUOTES, Prompt, meant
from mlxk2.entrypoints.cli.chat.screen import MAKES_ROOM
from mlxk2.entrypoints.cli.chat.session import Session
from mlxk2.ports.errors import ContextExceeded, Mlxk2Error
from mlxk2.ports.sessions import LAST

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import Chat
    from mlxk2.ports.conversation import Message

_COMMAND = re.compile(r"/[a-z?]*(\s|$)")
_LEAVE = frozenset({"/quit", "/exit", "/bye"})
_TICK = 0.1
_NOTE_AFTER = 0.5


class Loop:
    """`session` makes what commands work on, once the model is open. `run_command` takes a command, False ends all.

    `question` makes the question from what was typed and the files that go with it. `busy` shows, and without a text
    takes away, what is waited for.
    """

    def __init__(
        self,
        opening: Opening,
        prompt: Prompt,
        *,
        session: "Callable[[Chat], Session]",
        run_command: Callable[[str, Session], bool],
        question: Callable[[str, list[str]], str],
        busy: Callable[[str], None],
    ) -> None:
        self._opening = opening
        self._prompt = prompt
        self._make_session = session
        self._run_command = run_command
        self._question = question
        self._busy = busy
        self._session: Session | None = None
        self._saved: tuple[Message, ...] = ()
        self._can_save = True
        self._told: tuple[str, ...] = ()

    def run(self, hint: Callable[[], None]) -> None:
        """Until the end of input or a command that leaves. Raises what opening the model raised.

        `hint` is called when Ctrl-C is pressed where nothing is to be stopped.
        """
        default = ""
        while True:
            try:
                typed = self._prompt.read(default)
            except EOFError:
                return
            except KeyboardInterrupt:
                hint()
                continue
            default = ""
            text = meant(typed)
            if text.strip() in _LEAVE:
                return
            if not text.strip():
                continue
            try:
                self.open()
            except KeyboardInterrupt:  # the question is to be changed, or it takes too long
                default = typed
                continue
            if not self._take(text, command=_is_command(typed)):
                return

    def open(self) -> None:
        """Wait for the model. Raises what opening it raised, and KeyboardInterrupt."""
        if self._session is not None:
            return
        self._opening.start()
        try:
            self._wait_for_opening()
        finally:
            self._busy("")
        chat = self._opening.chat()
        self._session = self._make_session(chat)
        self._saved = chat.messages
        self._tell_of_servers(self._session)

    def _wait_for_opening(self) -> None:
        since = time.monotonic()
        while not self._opening.wait(_TICK):
            seconds = time.monotonic() - since
            if seconds >= _NOTE_AFTER:
                stage = f", {self._opening.stage}" if self._opening.stage else ""
                self._busy(f"Loading the model{stage} … {seconds:.0f} s")

    def _take(self, text: str, *, command: bool) -> bool:
        """A command or a question; False when the chat is over. What is wrong with it is told, and the chat goes on."""
        session = self._session
        assert session is not None, "the model is open by now"  # noqa: S101
        goes_on = True
        try:
            if command:
                goes_on = self._run_command(text.strip(), session)
            else:
                self._ask(text, session)
        except Mlxk2Error as error:
            session.screen.say(_sentence(error, session.chat))
        except KeyboardInterrupt:
            session.screen.say("(stopped; the question was not kept)\n")
        self._tell_of_servers(session)
        self._save(session)
        return goes_on

    def _tell_of_servers(self, session: Session) -> None:
        """Why the model is not where it could be, once; it may change when a server ends."""
        notes = session.chat.passed_over
        for note in notes if notes != self._told else ():
            session.screen.say(f"({note})")
        self._told = notes

    def _ask(self, text: str, session: Session) -> None:
        question = self._question(text, session.attachments)
        with session.screen.waiting():
            turn = session.chat.ask(question)
        session.answer(turn)

    def _save(self, session: Session) -> None:
        """So that `--continue` finds the conversation as it is now."""
        messages = session.chat.messages
        if not messages or messages == self._saved or not self._can_save:
            return
        try:
            session.store.save(session.chat.conversation(LAST))
            self._saved = messages
        except Mlxk2Error as error:
            self._can_save = False
            session.screen.say(f"{error.message}; this conversation will not be there for --continue")


def _is_command(typed: str) -> bool:
    """`/help`, but not a path such as /usr/bin, and nothing within three quotes."""
    return not typed.lstrip().startswith(QUOTES) and _COMMAND.match(typed.strip()) is not None


def _sentence(error: Mlxk2Error, chat: "Chat") -> str:
    if not isinstance(error, ContextExceeded):
        return error.message
    what = "The conversation and the question together have" if chat.messages else "The question has"
    return (
        f"{what} {error.prompt_tokens} tokens, and the model's context holds {error.context_length} with the answer;"
        f" {MAKES_ROOM if chat.messages else 'ask a shorter one'}"
    )
