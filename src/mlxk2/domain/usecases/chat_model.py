"""A chat: questions and answers with an opened model, each in the light of those before.

An answer belongs to the conversation once its turn is kept, whole or as far as it came; a turn that is not kept leaves
the conversation as it was.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from mlxk2.domain.chat_settings import ChatSettings, read, written
from mlxk2.domain.names import parse_reference
from mlxk2.domain.usecases.answer_run import AnswerRun
from mlxk2.domain.usecases.open_model import OpenedModel, OpenModel, OpenOptions
from mlxk2.domain.usecases.prepare_answers import AnswerOptions, ChatQuestion, Prepared, count_tokens, prepare
from mlxk2.ports.checking import is_unicode
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import Watch, unwatched
from mlxk2.ports.errors import ServerGone, ValidationError
from mlxk2.ports.servers import RunningServer
from mlxk2.ports.sessions import Conversation
from mlxk2.ports.system import Clock

__all__ = ["Chat", "ChatModel", "ChatOptions", "ChatSettings", "ChatTurn"]

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class ChatOptions:
    """How a chat begins; `system` is the text that every question is asked under."""

    system: str | None = None
    settings: ChatSettings = field(default_factory=ChatSettings)
    open: OpenOptions = field(default_factory=OpenOptions)


class ChatTurn(AnswerRun):
    """One question with its answer, as far as that has come."""

    def __init__(
        self, opened: OpenedModel, prepared: Prepared, question: Message, keep: Callable[[Message], None]
    ) -> None:
        super().__init__(opened, prepared)
        self.question = question
        self._keep = keep

    def keep(self) -> None:
        """Question and answer join the conversation, in the place of those that they were asked instead of."""
        answer = self.answer
        self._keep(Message("assistant", answer.text, answer.reasoning or None, answer.tool_calls))


class Chat:
    """A conversation with a model that is open. Close it when done.

    `system` and `settings` may be changed between two questions. When the server that holds the model has ended, the
    next question opens the model anew: `server` and `passed_over` then say where it is and why.
    """

    def __init__(
        self, open_model: OpenModel, clock: Clock, reference: str, options: ChatOptions, watch: Watch = unwatched
    ) -> None:
        self.system = options.system
        self.settings = options.settings
        self._open_model = open_model
        self._clock = clock
        self._options = options.open._replace(prefix_cache=True)
        self._messages: tuple[Message, ...] = ()
        self._revision = parse_reference(reference).revision
        self._opened = self._open(reference, watch)

    @property
    def name(self) -> str:
        return self._opened.name

    @property
    def commit(self) -> str:
        return self._opened.commit

    @property
    def server(self) -> RunningServer | None:
        """The one that holds the model, None when it is in this process."""
        return self._opened.server

    @property
    def passed_over(self) -> tuple[str, ...]:
        """Why servers that could hold the model do not, in one sentence each."""
        return self._opened.passed_over

    @property
    def messages(self) -> tuple[Message, ...]:
        """Questions and answers that were kept, oldest first, without the system text."""
        return self._messages

    @property
    def context_length(self) -> int | None:
        """In tokens, for the conversation with the answer that is made; None when it is not known."""
        return self._opened.engine.info().context_length

    def ask(self, text: str) -> ChatTurn:
        """The next question, ready to be started. Raises what `prepare` raises."""
        if not text.strip():
            raise ValidationError("The question is empty; write some text")
        return self._turn(self._messages, Message("user", text))

    def retry(self) -> ChatTurn:
        """The last question once more, as if it had not been answered; without `keep` the old answer stays.

        Raises ValidationError when there is none, and what `prepare` raises.
        """
        place = self._last_question()
        if place is None:
            raise ValidationError("There is no question to ask again; ask one first")
        return self._turn(self._messages[:place], self._messages[place])

    def undo(self) -> Message | None:
        """Take back the last question with its answer; the question, None when there was none."""
        place = self._last_question()
        if place is None:
            return None
        question = self._messages[place]
        self._messages = self._messages[:place]
        return question

    def clear(self) -> None:
        """Begin anew, under the same system text."""
        self._messages = ()

    def switch(self, reference: str, watch: Watch = unwatched) -> None:
        """Go on with another model. The old one is closed once the new one is open.

        Raises what `ChatModel.open` raises; the chat is then as before.
        """
        self._replace(self._open(reference, watch))
        self._revision = parse_reference(reference).revision

    def prompt_tokens(self) -> int:
        """How many tokens the conversation has now, as the model reads it; 0 before the first question."""
        if not self._messages:
            return 0
        return self._insisting(lambda: count_tokens(self._opened.engine, self._question(self._messages)))

    def conversation(self, title: str) -> Conversation:
        """What is to be kept of the chat. The model is pinned to a revision when it was opened with one."""
        model = f"{self.name}@{self._revision}" if self._revision else self.name
        return Conversation(title, model, self.system, self._messages, written(self.settings), self._clock.now())

    def restore(self, conversation: Conversation) -> None:
        """Go on where a conversation ended, with the model that is open.

        Raises ValidationError for settings that there are not; the chat is then as before.
        """
        self.settings = read(conversation.settings)
        self.system = conversation.system
        self._messages = conversation.messages

    def close(self) -> None:
        self._opened.close()

    def _open(self, reference: str, watch: Watch) -> OpenedModel:
        opened = self._open_model.open(reference, self._options, watch)
        if not opened.engine.info().has_chat_template:
            opened.close()
            raise ValidationError(
                f"'{opened.name}' has no chat template, so it cannot hold a conversation; give it one prompt:"
                f' mlxk2 run {opened.name} "your text"'
            )
        return opened

    def _replace(self, opened: OpenedModel) -> None:
        old, self._opened = self._opened, opened
        old.close()

    def _turn(self, before: tuple[Message, ...], question: Message) -> ChatTurn:
        def keep(answer: Message) -> None:
            self._messages = (*before, question, answer)

        _check_text("The question", question.content)
        _check_text("The system text", self.system or "")
        asked = (*before, question)
        prepared = self._insisting(lambda: prepare(self._opened, self._question(asked), self._opened.limits))
        return ChatTurn(self._opened, prepared, question, keep)

    def _question(self, messages: tuple[Message, ...]) -> ChatQuestion:
        system = (Message("system", self.system),) if self.system else ()
        settings = self.settings
        options = AnswerOptions(settings.sampling, settings.max_tokens, settings.stops, structure=settings.structure)
        return ChatQuestion((*system, *messages), options, thinking=settings.thinking)

    def _insisting(self, work: Callable[[], _Result]) -> _Result:
        """Once more with the model opened anew when its server has ended: a conversation outlives it."""
        try:
            return work()
        except ServerGone:
            self._replace(self._open(f"{self.name}@{self.commit}", unwatched))
            return work()

    def _last_question(self) -> int | None:
        places = (place for place in reversed(range(len(self._messages))) if self._messages[place].role == "user")
        return next(places, None)


def _check_text(what: str, text: str) -> None:
    """Raises ValidationError for bytes that a terminal or an argument held and that are no characters."""
    if not is_unicode(text):
        raise ValidationError(f"{what} is not valid UTF-8 text; check the terminal's encoding")


class ChatModel:
    def __init__(self, open_model: OpenModel, clock: Clock) -> None:
        self._open_model = open_model
        self._clock = clock

    def open(self, reference: str, options: ChatOptions, watch: Watch = unwatched) -> Chat:
        """Raises what `OpenModel.open` raises, and ValidationError for a model that cannot hold a conversation."""
        return Chat(self._open_model, self._clock, reference, options, watch)
