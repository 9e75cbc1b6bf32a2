"""A chat with the real demo model, in this process."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from mlxk2.container import build_services
from mlxk2.domain.chat_settings import changed
from mlxk2.domain.usecases.chat_model import Chat, ChatOptions
from mlxk2.domain.usecases.open_model import OpenOptions
from mlxk2.ports.generation import Delta, FinishReason
from mlxk2.settings import Settings
from tests.domain.opening import follow


@pytest.fixture(scope="module")
def chat(demo_cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chat]:
    """One model for all tests, each of which begins a conversation of its own."""
    root = tmp_path_factory.mktemp("chat")
    places = (str(root / "runtime"), str(root / "state"), str(root / "memory"))
    settings = Settings(str(demo_cache), "http://127.0.0.1:9", True, *places)
    services = build_services(settings)
    with closing(services.chat_model().open("demo", ChatOptions(open=OpenOptions(local=True)))) as opened:
        yield opened


@pytest.fixture(autouse=True)
def _anew(chat: Chat) -> None:
    chat.clear()
    chat.system, chat.settings = None, ChatOptions().settings


def said(chat: Chat, question: str) -> str:
    turn = chat.ask(question)
    follow(turn)
    turn.keep()
    return turn.answer.text


def test_the_next_question_pays_only_for_what_is_new(chat: Chat) -> None:
    chat.system = "You know the program mlxk2."
    assert "mlxk2 list" in said(chat, "How do I list my models?")
    shared = chat.prompt_tokens()
    turn = chat.ask("And how do I remove one?")
    answer = follow(turn)
    new = answer.prompt_tokens - answer.cached_tokens
    assert 0 < new <= answer.prompt_tokens - shared + 16, "the question and what stands around it, and no more"
    assert answer.cached_tokens > shared / 2


def test_an_interrupted_answer_is_kept_and_the_chat_goes_on(chat: Chat) -> None:
    chat.settings = changed(changed(chat.settings, "temperature", "9"), "seed", "1")
    turn = chat.ask("Tell me a long story")
    answer = follow(turn, until=lambda event: isinstance(event, Delta) and event.generated_tokens >= 5)
    turn.keep()
    assert answer.finish_reason is FinishReason.CANCELLED
    assert [message.content for message in chat.messages] == ["Tell me a long story", answer.text]
    chat.settings = ChatOptions().settings
    assert said(chat, "what is 2 + 3?")
    assert len(chat.messages) == 4


def test_the_same_question_again_is_answered_the_same_from_the_cache(chat: Chat) -> None:
    first = said(chat, "what is 2 + 3?")
    turn = chat.retry()
    answer = follow(turn)
    assert answer.text == first
    assert answer.cached_tokens >= answer.prompt_tokens - 16


def test_a_conversation_that_is_gone_on_with_is_the_same_to_the_model(chat: Chat) -> None:
    said(chat, "How do I list my models?")
    left = chat.conversation("last")
    prompt = chat.ask("And then?").request.prompt
    chat.clear()
    chat.restore(left)
    assert left.model == "mlxk2/demo"
    assert chat.ask("And then?").request.prompt == prompt


def test_reasoning_is_kept_apart_and_left_out_of_what_the_model_reads_again(chat: Chat) -> None:
    chat.settings = changed(chat.settings, "thinking", "on")
    text = said(chat, "what is 2 + 3?")
    assert chat.messages[-1].reasoning
    assert "think>" not in text
    assert chat.messages[-1].content == text


def test_an_answer_is_held_to_a_schema(chat: Chat) -> None:
    schema = '{"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}'
    chat.settings = changed(chat.settings, "schema", schema)
    assert said(chat, "what is 2 + 3?").startswith("{")
