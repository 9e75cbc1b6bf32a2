"""The screen of a chat on a terminal; one that cannot move its cursor gets the same as plain lines."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mlxk2.domain.text.outputs import TextDelta
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.chat.answer_view import AnswerView
from mlxk2.entrypoints.cli.chat.display.streams import PlainStream
from mlxk2.entrypoints.cli.chat.display.styled import styled
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal
from mlxk2.entrypoints.cli.chat.display.wrapping import wrap
from mlxk2.entrypoints.cli.chat.inbox import Inbox
from mlxk2.entrypoints.cli.chat.screen import MAKES_ROOM
from mlxk2.entrypoints.cli.chat.waiting import Waiting
from mlxk2.ports.errors import Mlxk2Error, ServerGone
from mlxk2.ports.generation import FinishReason

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import ChatTurn
    from mlxk2.ports.sessions import Conversation

_CLEAR = "\x1b[H\x1b[2J"


class TerminalScreen:
    """`read` asks for one line of text, `change` opens the user's editor. `statistics`: say how fast an answer was."""

    def __init__(
        self,
        terminal: Terminal,
        *,
        read: Callable[[str], str],
        change: Callable[[str], str | None],
        plain: bool = False,
        show_reasoning: bool = True,
        statistics: bool = False,
    ) -> None:
        self._terminal = terminal
        self._read = read
        self._change = change
        self._statistics = statistics
        self._last_reasoning = ""
        self.plain = plain
        self.show_reasoning = show_reasoning

    def say(self, text: str) -> None:
        for line in self._terminal.harmless(text).split("\n"):
            rows = wrap(styled(line, "dim"), self._terminal.size().columns - 1) if self._terminal.moves else [line]
            for row in rows:
                shown = row if isinstance(row, str) else self._terminal.ansi(row)
                self._terminal.write(f"{shown}\n")

    @contextmanager
    def waiting(self) -> Iterator[None]:
        with Waiting(self._terminal):
            yield

    def answer(self, turn: "ChatTurn") -> None:
        view = AnswerView(self._terminal, plain=self.plain, show_reasoning=self.show_reasoning)
        with Inbox(turn.cancel) as inbox:
            view.wait()
            try:
                for events in inbox.events(turn.start):
                    view.wait(events[-1])
                    view.add([output for event in events for output in turn.read(event)])
            finally:
                view.end()
        self._last_reasoning = turn.answer.reasoning
        self._conclude(turn, stopped=inbox.stopped)

    def ask_yes(self, question: str) -> bool:
        try:
            return self._read(f"{self._terminal.harmless(question)} [y/N] ").strip().lower() in ("y", "yes")
        except (EOFError, KeyboardInterrupt):
            return False

    def edit(self, text: str) -> str | None:
        with self._terminal.lent():
            return self._change(text)

    def clear(self) -> None:
        if self._terminal.moves:
            self._terminal.write(_CLEAR)

    def recall(self, conversation: "Conversation") -> None:
        """Where a conversation stopped: its last question and answer."""
        asked = [message for message in conversation.messages if message.role == "user"]
        self.say(f"Going on with '{conversation.title}': {human.count(len(asked), 'question')} so far")
        if asked:
            self.say(f">>> {asked[-1].content}")
        if conversation.messages and conversation.messages[-1].role == "assistant":
            view = AnswerView(self._terminal, plain=self.plain, show_reasoning=self.show_reasoning)
            view.add([TextDelta(conversation.messages[-1].content or " ")])
            view.end()
        self._terminal.write("\n")

    def switch_reasoning(self) -> None:
        """Reasoning is shown from now on, also that of the last answer; or no more."""
        self.show_reasoning = not self.show_reasoning
        self.say(f"(reasoning is {'shown' if self.show_reasoning else 'hidden'} from now on)")
        if self.show_reasoning and self._last_reasoning.strip():
            stream = PlainStream(self._terminal, "dim")
            stream.feed(self._last_reasoning)
            stream.end()

    def _conclude(self, turn: "ChatTurn", *, stopped: bool) -> None:
        """Keep what was answered, and say what is to be said of it."""
        answer = turn.answer
        answered = bool(answer.text.strip() or answer.tool_calls)
        if answer.error is not None:
            self.say(f"{answer.error.message} (the question was not kept{_way_on(answer.error)})\n")
            return
        if answered:
            turn.keep()
        ended = _before_its_end(turn, stopped=stopped)
        if not answered:
            self.say(f"({ended or 'the model gave no answer'}; the question was not kept)")
        elif ended:
            self.say(f"({ended}; what was answered so far is kept)")
        elif turn.fills_context:
            self.say(f"({_full(turn)}; {MAKES_ROOM})")
        elif answer.finish_reason is FinishReason.LENGTH:
            self.say(f"(ended after {answer.completion_tokens} tokens, the limit of this answer)")
        if self._statistics:
            self.say(
                f"({answer.prompt_tokens} prompt tokens, {answer.cached_tokens} of them from the cache,"
                f" {answer.completion_tokens} generated, {answer.tokens_per_second:.1f} tokens/s,"
                f" first token after {answer.first_token_seconds:.2f} s)"
            )
        self._terminal.write("\n")


def _way_on(error: Mlxk2Error) -> str:
    """The next question finds another place for the model when the server of before is no more."""
    return "; ask it again: the chat goes on, if need be without that server" if isinstance(error, ServerGone) else ""


def _full(turn: "ChatTurn") -> str:
    return f"ended after {turn.answer.completion_tokens} tokens: the model's context of {turn.context_length} is full"


def _before_its_end(turn: "ChatTurn", *, stopped: bool) -> str:
    """Why the answer is not whole, or not there; empty when it is. `stopped` by the user."""
    answer = turn.answer
    answered = bool(answer.text.strip() or answer.tool_calls)
    if stopped:
        return "stopped" if answered else "stopped before an answer"
    if answer.finish_reason is FinishReason.CANCELLED:
        return "the model was unloaded before the answer was complete"
    if turn.fills_context and not answered:
        return _full(turn)
    return ""
