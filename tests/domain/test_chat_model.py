"""A chat as a use case: what belongs to the conversation, and what a turn that nobody keeps leaves behind."""

from collections.abc import Callable

import pytest

from mlxk2.adapters.memory import MEMORY_INFO, MemoryEngine
from mlxk2.domain.chat_settings import read
from mlxk2.domain.usecases.chat_model import Chat, ChatOptions, ChatTurn
from mlxk2.domain.usecases.open_model import OpenOptions
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import Loading, Markers, Stepped
from mlxk2.ports.errors import ContextExceeded, Mlxk2Error, ModelNotFound, OperationError, ServerGone, ValidationError
from mlxk2.ports.generation import Delta, FinishReason
from mlxk2.ports.sessions import Conversation
from mlxk2.testing import healthy_model, with_files
from mlxk2.testing.files import document
from mlxk2.testing.models import CONFIG
from tests.domain.opening import SERVER, Desk, follow, pinned

TINY = healthy_model()
OTHER = healthy_model("org/other-4bit")
NAME, OTHER_NAME = "mlx-community/tiny-4bit", "org/other-4bit"


def counting() -> Callable[[str], str]:
    """Answers with the number of the question that it is asked."""
    return lambda prompt: f"answer {prompt.count('user: ')}"


def desk(*, script: Callable[[str], str] | None = None, served: bool = False) -> Desk:
    running = (SERVER,) if served else ()
    script = script or counting()
    return Desk(
        TINY, OTHER, script=script, running=running, served={pinned(TINY): MemoryEngine(script)} if served else {}
    )


def begun(at: Desk, options: ChatOptions = ChatOptions(), reference: str = NAME) -> Chat:  # noqa: B008
    return at.chat.open(reference, options)


def said(turn: ChatTurn) -> str:
    """What is answered; the turn is kept."""
    follow(turn)
    turn.keep()
    return turn.answer.text


def words(chat: Chat) -> list[str]:
    return [message.content for message in chat.messages]


def refused(call: Callable[[], object]) -> Mlxk2Error:
    with pytest.raises(Mlxk2Error) as caught:
        call()
    return caught.value


def test_every_question_is_asked_with_what_was_said_before() -> None:
    at = desk(script=lambda prompt: "hm." if prompt.count("user:") == 1 else f"<{prompt}>")
    chat = begun(at, ChatOptions("be brief"))
    assert said(chat.ask("one")) == "hm."
    assert said(chat.ask("two")) == "<system: be brief\nuser: one\nassistant: hm.\nuser: two\n>"
    assert chat.messages[:3] == (Message("user", "one"), Message("assistant", "hm."), Message("user", "two"))


def test_the_next_question_pays_only_for_what_is_new() -> None:
    chat = begun(desk())
    first = chat.ask("one")
    said(first)
    second = chat.ask("two")
    said(second)
    assert first.answer.cached_tokens == 0
    assert second.answer.cached_tokens >= len(first.request.prompt) > 0
    assert second.answer.prompt_tokens == len(second.request.prompt)


def test_a_turn_belongs_to_the_conversation_once_it_is_kept() -> None:
    chat = begun(desk())
    turn = chat.ask("one")
    assert chat.messages == ()
    follow(turn)
    assert chat.messages == ()
    turn.keep()
    turn.keep()
    assert words(chat) == ["one", "answer 1"]


def test_an_interrupted_turn_is_kept_as_far_as_it_came() -> None:
    at = desk(script=lambda _: "endless " * 2000)
    chat = begun(at)
    turn = chat.ask("one")
    answer = follow(turn, until=lambda event: isinstance(event, Delta) and event.generated_tokens == 12)
    turn.keep()
    assert answer.finish_reason is FinishReason.CANCELLED
    assert len(answer.text) >= 12
    assert words(chat) == ["one", answer.text]
    assert said(chat.ask("two")).startswith("endless")


def test_a_turn_may_be_interrupted_before_it_begins() -> None:
    chat = begun(desk(script=lambda _: "endless " * 200))
    turn = chat.ask("one")
    turn.cancel()
    assert follow(turn).finish_reason is FinishReason.CANCELLED
    turn.cancel()


def test_reasoning_is_kept_beside_the_answer() -> None:
    markers = Markers(think_start="<think>", think_end="</think>")
    info = MEMORY_INFO._replace(has_thinking_switch=True, markers=markers)
    at = Desk(TINY, script=lambda _: "hm</think>\n\nwell", info=info)
    chat = begun(at, ChatOptions(settings=read((("thinking", "on"),))))
    assert said(chat.ask("one")) == "well"
    assert chat.messages[-1] == Message("assistant", "well", "hm")


def test_retry_asks_the_last_question_without_its_answer() -> None:
    chat = begun(desk())
    said(chat.ask("one"))
    asked = chat.ask("two")
    said(asked)
    turn = chat.retry()
    assert turn.question == Message("user", "two")
    assert turn.request.prompt == asked.request.prompt


def test_a_retry_that_is_kept_takes_the_place_of_the_old_answer() -> None:
    answers = iter(["first", "second"])
    chat = begun(desk(script=lambda _: next(answers)))
    said(chat.ask("one"))
    turn = chat.retry()
    assert follow(turn).text == "second"
    assert words(chat) == ["one", "first"]
    turn.keep()
    assert words(chat) == ["one", "second"]


def test_undo_takes_back_a_question_with_its_answer() -> None:
    chat = begun(desk())
    said(chat.ask("one"))
    said(chat.ask("two"))
    assert chat.undo() == Message("user", "two")
    assert words(chat) == ["one", "answer 1"]
    assert chat.undo() == Message("user", "one")
    assert chat.undo() is None
    assert chat.messages == ()


def test_there_is_nothing_to_retry_at_first_and_after_clear() -> None:
    chat = begun(desk(), ChatOptions("be brief"))
    assert isinstance(refused(chat.retry), ValidationError)
    said(chat.ask("one"))
    chat.clear()
    assert isinstance(refused(chat.retry), ValidationError)
    assert (chat.messages, chat.system) == ((), "be brief")


def test_an_empty_question_is_refused() -> None:
    assert isinstance(refused(lambda: begun(desk()).ask(" \n")), ValidationError)


def test_settings_and_system_text_hold_from_the_next_question_on() -> None:
    at = desk()
    chat = begun(at, ChatOptions("be brief", read((("max-tokens", "3"),))))
    assert said(chat.ask("one")) == "ans"
    chat.settings, chat.system = read((("stop", "er"), ("seed", "3"), ("temperature", "0.5"))), None
    turn = chat.ask("two")
    assert said(turn) == "w", "of 'wer 2ans', up to the stop"
    assert "system" not in at.engine.detokenize(turn.request.prompt)


def test_a_conversation_beyond_the_context_is_refused_and_left_as_it_was() -> None:
    chat = begun(desk())
    said(chat.ask("one"))
    error = refused(lambda: chat.ask("x" * 3000))
    assert isinstance(error, ContextExceeded)
    assert error.context_length == chat.context_length == 2048
    assert words(chat) == ["one", "answer 1"]
    assert said(chat.ask("two")) == "answer 2"


def test_the_tokens_of_the_conversation_are_counted_as_the_model_reads_them() -> None:
    chat = begun(desk(), ChatOptions("be brief"))
    assert chat.prompt_tokens() == 0
    said(chat.ask("one"))
    assert chat.prompt_tokens() == len("system: be brief\nuser: one\nassistant: answer 1\n")


def test_a_model_without_a_chat_template_holds_no_conversation() -> None:
    at = Desk(TINY, info=MEMORY_INFO._replace(has_chat_template=False))
    message = refused(lambda: begun(at)).message
    assert message.endswith('give it one prompt: mlxk2 run mlx-community/tiny-4bit "your text"')
    assert at.engine.closed


def test_another_model_goes_on_with_the_same_conversation() -> None:
    at = desk()
    chat = begun(at)
    said(chat.ask("one"))
    old = at.engine
    heard: list[Loading | Stepped] = []
    chat.switch(OTHER_NAME, heard.append)
    assert (chat.name, f"{chat.name}@{chat.commit}") == (OTHER_NAME, pinned(OTHER))
    assert old.closed
    assert not at.engine.closed
    assert heard
    assert said(chat.ask("two")) == "answer 2"
    assert [len(engine.requests) for engine in at.engines] == [1, 1]


def test_a_model_that_cannot_be_opened_leaves_the_old_one() -> None:
    at = desk()
    chat = begun(at)
    said(chat.ask("one"))
    assert isinstance(refused(lambda: chat.switch("org/nowhere")), ModelNotFound)
    assert chat.name == NAME
    assert said(chat.ask("two")) == "answer 2"
    assert len(at.engines) == 1


def test_the_chat_is_opened_as_it_was_asked_for_and_keeps_its_prefixes() -> None:
    at = desk(served=True)
    chat = begun(at, ChatOptions(open=OpenOptions(local=True)))
    chat.switch(OTHER_NAME)
    assert at.attachment.opened == []
    assert all(options.prefix_cache_bytes > 0 for _, options in at.loader.loaded)
    assert len(at.loader.loaded) == 2


def test_a_conversation_can_be_left_and_gone_on_with() -> None:
    at = desk()
    first = begun(at, ChatOptions("be brief", read((("seed", "3"), ("stop", "x")))))
    said(first.ask("one"))
    left = first.conversation("last")
    assert left == Conversation(
        "last", NAME, "be brief", first.messages, (("seed", "3"), ("stop", "x")), at.clock.now()
    )
    first.close()
    assert at.engine.closed

    second = begun(at, reference=left.model)
    second.restore(left)
    assert second.conversation("last") == left
    assert said(second.ask("two")) == "answer 2"


@pytest.mark.parametrize("digits", [40, 8])
def test_a_conversation_names_the_revision_that_was_asked_for(digits: int) -> None:
    at, (commit,) = desk(), TINY.revisions
    chat = begun(at, reference=f"tiny@{commit[:digits]}")
    assert chat.conversation("x").model == f"{NAME}@{commit[:digits]}"
    chat.switch(OTHER_NAME)
    assert chat.conversation("x").model == OTHER_NAME


def test_settings_that_there_are_not_restore_nothing() -> None:
    chat = begun(desk(), ChatOptions("be brief"))
    said(chat.ask("one"))
    before = chat.conversation("x")
    strange = Conversation("y", NAME, None, (), (("colour", "blue"),), 0.0)
    assert isinstance(refused(lambda: chat.restore(strange)), ValidationError)
    assert chat.conversation("x") == before


def test_a_running_server_holds_the_model_of_a_chat() -> None:
    at = desk(served=True)
    chat = begun(at)
    assert (chat.server, chat.passed_over) == (SERVER, ())
    assert said(chat.ask("one")) == "answer 1"
    chat.close()
    assert not at.attachment.models[pinned(TINY)].closed


def gone(engine: MemoryEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server that holds this engine ends without a word."""

    def fail(*_: object) -> None:
        raise ServerGone("The server has ended")

    monkeypatch.setattr(engine, "render", fail)


def test_a_conversation_outlives_the_server_that_held_its_model(monkeypatch: pytest.MonkeyPatch) -> None:
    at = desk(served=True)
    chat = begun(at)
    said(chat.ask("one"))
    gone(at.attachment.models[pinned(TINY)], monkeypatch)
    at.attachment.gone.add(SERVER.url)
    assert said(chat.ask("two")) == "answer 2"
    assert (chat.server, len(chat.passed_over)) == (None, 1)
    assert words(chat) == ["one", "answer 1", "two", "answer 2"]


def test_tokens_are_counted_whether_or_not_the_server_still_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    at = desk(served=True)
    chat = begun(at)
    said(chat.ask("one"))
    before = chat.prompt_tokens()
    gone(at.attachment.models[pinned(TINY)], monkeypatch)
    at.servers.end(SERVER.pid)
    assert chat.prompt_tokens() == before
    assert (chat.server, chat.passed_over) == (None, ())


def test_an_answer_that_fails_says_why_and_leaves_the_conversation() -> None:
    def fail(_: str) -> str:
        raise OperationError("The engine failed")

    chat = begun(desk(script=fail))
    turn = chat.ask("one")
    error = follow(turn).error
    assert error is not None
    assert error.message == "The engine failed"
    assert chat.messages == ()


def test_a_limit_beyond_the_context_ends_at_its_end() -> None:
    model = with_files(TINY, {"config.json": document({**CONFIG, "max_position_embeddings": 50})})
    at = Desk(model, script=lambda _: "x" * 100)
    chat = begun(at, ChatOptions(settings=read((("max-tokens", "1000"),))))
    turn = chat.ask("one")
    said(turn)
    assert turn.answer.finish_reason is FinishReason.LENGTH
    assert len(turn.request.prompt) + turn.answer.completion_tokens == 50


@pytest.mark.parametrize("served", [False, True])
def test_bytes_that_are_no_characters_are_refused_in_the_words_of_a_terminal(served: bool) -> None:
    chat = begun(desk(served=served))
    with pytest.raises(ValidationError, match=r"^The question is not valid UTF-8 text; check the terminal's encoding$"):
        chat.ask("caf\udce9")
    chat.system = "caf\udce9"
    with pytest.raises(ValidationError, match=r"^The system text is not valid UTF-8 text"):
        chat.ask("hello")
    chat.system = None
    assert said(chat.ask("hello")) == "answer 1"
