"""What an engine says of its model, and text that becomes tokens and text again."""

import pytest

from mlxk2.ports.conversation import Message, Tool, ToolCall
from mlxk2.ports.engine import Engine
from mlxk2.ports.errors import ValidationError
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures

WEATHER = Tool("get_weather", "Tells the weather", '{"type": "object", "properties": {"city": {"type": "string"}}}')


class Describing(EngineFixtures):
    def test_it_tells_what_it_is(self, engine: Engine) -> None:
        info = engine.info()
        assert info.has_chat_template
        assert info.vocab_size > 0
        assert info.max_rows >= 1
        assert info.context_length is None or info.context_length > 0

    def test_text_becomes_token_ids_of_the_vocabulary(self, engine: Engine) -> None:
        tokens = engine.tokenize("hello")
        assert tokens
        assert all(type(token) is int and 0 <= token < engine.info().vocab_size for token in tokens)

    def test_token_ids_become_the_text_they_were_made_of(self, engine: Engine) -> None:
        assert engine.detokenize(engine.tokenize("hello world")).endswith("hello world")
        assert engine.detokenize([]) == ""

    def test_text_that_is_not_unicode_is_refused(self, engine: Engine) -> None:
        with pytest.raises(ValidationError):
            engine.tokenize("half a pair: \ud83d")

    @pytest.mark.parametrize("beyond", [0, 1, 10**6, 2**63])
    def test_an_id_outside_the_vocabulary_has_no_text(self, engine: Engine, beyond: int) -> None:
        with pytest.raises(ValidationError):
            engine.detokenize([0, engine.info().vocab_size + beyond])
        with pytest.raises(ValidationError):
            engine.detokenize([-1 - beyond])

    def test_every_message_of_a_conversation_is_in_the_prompt(self, engine: Engine) -> None:
        messages = [Message("system", "be kind"), Message("user", "hello"), Message("assistant", "good day")]
        text = engine.detokenize(engine.render([*messages, Message("user", "go on")]).tokens)
        places = [text.find(part) for part in ("be kind", "hello", "good day", "go on")]
        assert -1 not in places
        assert places == sorted(places)

    def test_tools_are_in_the_prompt(self, engine: Engine) -> None:
        messages = [Message("user", "hello")]
        assert "get_weather" in engine.detokenize(engine.render(messages, [WEATHER]).tokens)
        assert "get_weather" not in engine.detokenize(engine.render(messages).tokens)

    def test_calls_and_their_results_are_in_the_prompt(self, engine: Engine) -> None:
        call = ToolCall("get_weather", '{"city": "Bern"}', "call-1")
        messages = [
            Message("user", "hello"),
            Message("assistant", "", tool_calls=(call,)),
            Message("tool", "sunny there", tool_call_id="call-1"),
        ]
        text = engine.detokenize(engine.render(messages, [WEATHER]).tokens)
        assert "Bern" in text
        assert "sunny there" in text

    def test_borders_lie_inside_the_prompt_and_rise(self, engine: Engine) -> None:
        rendered = engine.render([Message("system", "be kind"), Message("user", "hello")])
        assert list(rendered.borders) == sorted(set(rendered.borders))
        assert all(0 < border <= len(rendered.tokens) for border in rendered.borders)
