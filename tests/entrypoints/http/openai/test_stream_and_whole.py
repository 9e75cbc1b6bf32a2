"""Whatever the model says, the stream, joined by the unmodified `openai` client, is the whole answer."""

from collections.abc import Sequence

from hypothesis import given, settings
from hypothesis import strategies as st
from openai.lib.streaming.chat import ChatCompletionStreamState
from openai.types import Completion
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from mlxk2.domain.text.reader import Reading
from mlxk2.entrypoints.http.openai.chat.writer import ChatWriter
from mlxk2.entrypoints.http.openai.completions.writer import CompletionWriter
from mlxk2.entrypoints.http.openai.manner import Manner
from mlxk2.ports.generation import FinishReason
from tests.entrypoints.http.openai.answering import CALL, Said, Session, chunks_of

_PIECES = st.sampled_from(["a", " ", "b\n", "ü🎈", "<think>", "</think>", "hm", CALL, "<tool_call>", "STOP", "ST"])
_REASONS = st.sampled_from([FinishReason.STOP, FinishReason.LENGTH])
_SAID = st.lists(st.builds(Said, st.lists(_PIECES, max_size=12), _REASONS), min_size=1, max_size=3)
_MANNERS = st.builds(Manner, usage=st.just(True), logprobs=st.booleans())


@settings(deadline=None, max_examples=150)
@given(said=_SAID, manner=_MANNERS)
def test_a_chat_stream_joined_is_the_whole_answer(said: Sequence[Said], manner: Manner) -> None:
    def session() -> Session:
        return Session(ChatWriter(manner), said, ("STOP",), each=len(said))

    state: ChatCompletionStreamState[None] = ChatCompletionStreamState()
    for chunk in chunks_of(session().streamed()):
        state.handle_chunk(ChatCompletionChunk.model_validate(chunk))
    joined = state.current_completion_snapshot
    whole = ChatCompletion.model_validate(session().whole())
    assert joined.usage == whole.usage
    for streamed, choice in zip(sorted(joined.choices, key=lambda one: one.index), whole.choices, strict=True):
        assert streamed.finish_reason == choice.finish_reason
        assert (streamed.message.content or "") == (choice.message.content or "")
        assert _extra(streamed.message) == _extra(choice.message)
        made = [(call.id, call.function.name, call.function.arguments) for call in streamed.message.tool_calls or ()]
        calls = choice.message.tool_calls or ()
        assert made == [(one.id, one.function.name, one.function.arguments) for one in calls if one.type == "function"]
        if manner.logprobs and choice.logprobs and choice.logprobs.content:
            assert streamed.logprobs is not None
            assert streamed.logprobs.content == choice.logprobs.content


@settings(deadline=None, max_examples=60)
@given(said=_SAID, manner=_MANNERS)
def test_a_text_stream_joined_is_the_whole_answer(said: Sequence[Said], manner: Manner) -> None:
    def session() -> Session:
        return Session(CompletionWriter(manner, ("P",) * len(said)), said, ("STOP",), 1, Reading())

    chunks = [Completion.construct(**chunk) for chunk in chunks_of(session().streamed())]
    whole = Completion.model_validate(session().whole())
    assert chunks[-1].usage == whole.usage
    for choice in whole.choices:
        mine = [one for chunk in chunks for one in chunk.choices if one.index == choice.index]
        assert "".join(one.text for one in mine) == choice.text
        assert mine[-1].finish_reason == choice.finish_reason


def _extra(message: object) -> object:
    return getattr(message, "reasoning_content", None), getattr(message, "reasoning", None)
