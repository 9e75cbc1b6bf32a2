"""From questions to requests: limits, seeds, thinking, structures, and errors that name their parameter."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.text.grammar.choice import ToolChoice
from mlxk2.domain.usecases.prepare_answers import (
    MOST_ANSWERS,
    AnswerLimits,
    AnswerOptions,
    ChatQuestion,
    Prepared,
    Question,
    TextQuestion,
    count_tokens,
    prepare,
)
from mlxk2.domain.usecases.serve_models_records import Lease, Offer
from mlxk2.domain.usecases.serve_requests import gate_before
from mlxk2.ports.conversation import Message, Tool
from mlxk2.ports.engine import EngineInfo, KvCost, KvLayers, Markers
from mlxk2.ports.errors import ContextExceeded, NotEnoughMemory, ValidationError
from mlxk2.ports.generation import Structure
from mlxk2.testing import MEMORY_INFO, MemoryClock, MemoryEngine

_OFFER = Offer("org/scripted", "0" * 40, 0, "chat", ("text-generation", "chat"), None, "loaded")
_HELLO = ChatQuestion((Message("user", "hello"),))
_THINKS = Markers(think_start="<think>", think_end="</think>")
_TOOL = Tool("look_up", parameters='{"type": "object", "properties": {"city": {"type": "string"}}}')


@contextmanager
def _model(info: EngineInfo = MEMORY_INFO, budget: int | None = None) -> Iterator[Lease]:
    engine = MemoryEngine(lambda prompt: prompt, info=info)
    try:
        gate = gate_before(engine, budget, MemoryClock(), threading.RLock())
        yield Lease(_OFFER, engine, gate, {}, lambda: None)
    finally:
        engine.close()


def _prepared(question: Question, info: EngineInfo = MEMORY_INFO, limits: AnswerLimits = AnswerLimits()) -> Prepared:  # noqa: B008
    with _model(info) as model:
        return prepare(model, question, limits)


def _refused(question: Question, info: EngineInfo = MEMORY_INFO) -> ValidationError:
    with pytest.raises(ValidationError) as caught:
        _prepared(question, info)
    return caught.value


def test_without_a_number_the_servers_own_limit_holds() -> None:
    assert _prepared(_HELLO, limits=AnswerLimits(default_max_tokens=77)).requests[0].max_tokens == 77


def test_the_servers_own_limit_gives_way_to_the_context() -> None:
    info = MEMORY_INFO._replace(context_length=100)
    prepared = _prepared(_HELLO, info)
    assert prepared.requests[0].max_tokens == 100 - prepared.prompt_tokens


def test_the_servers_own_limit_gives_way_to_the_memory() -> None:
    info = MEMORY_INFO._replace(kv=KvCost((KvLayers(10),), block=1))
    with _model(info, budget=1000) as model:
        prepared = prepare(model, TextQuestion("x" * 40), AnswerLimits())
    assert prepared.requests[0].max_tokens <= 60
    assert prepared.requests[0].max_tokens > 50


def test_a_prompt_that_memory_has_no_room_for_is_refused_with_the_numbers() -> None:
    info = MEMORY_INFO._replace(kv=KvCost((KvLayers(10),), block=1))
    with _model(info, budget=1000) as model, pytest.raises(NotEnoughMemory) as caught:
        prepare(model, TextQuestion("x" * 400), AnswerLimits())
    assert caught.value.limit_bytes == 1000


def test_more_tokens_than_the_context_has_room_for_are_a_ceiling_like_any_other() -> None:
    info = MEMORY_INFO._replace(context_length=100)
    assert _prepared(TextQuestion("x" * 40, AnswerOptions(max_tokens=5000)), info).requests[0].max_tokens == 5000


def test_more_tokens_than_the_server_allows_are_refused_by_name() -> None:
    with _model() as model, pytest.raises(ValidationError, match="at most 50") as caught:
        prepare(model, TextQuestion("x", AnswerOptions(max_tokens=51)), AnswerLimits(most_tokens=50))
    assert caught.value.parameter == "max_tokens"


def test_a_prompt_beyond_the_context_is_refused_with_both_numbers() -> None:
    with pytest.raises(ContextExceeded) as caught:
        _prepared(TextQuestion("x" * 120), MEMORY_INFO._replace(context_length=100))
    assert (caught.value.prompt_tokens, caught.value.context_length, caught.value.parameter) == (120, 100, "prompt")


def test_several_answers_with_a_seed_are_drawn_with_seeds_in_a_row() -> None:
    options = AnswerOptions(SamplingChoice(temperature=1.0, seed=2**64 - 1), answers=3)
    requests = _prepared(_HELLO._replace(options=options)).requests
    assert [request.sampling.seed for request in requests] == [2**64 - 1, 0, 1]
    assert len({request.prompt for request in requests}) == 1


@pytest.mark.parametrize(
    ("options", "parameter"),
    [
        (AnswerOptions(max_tokens=0), "max_tokens"),
        (AnswerOptions(max_tokens=-1), "max_tokens"),
        (AnswerOptions(answers=0), "n"),
        (AnswerOptions(answers=MOST_ANSWERS + 1), "n"),
        (AnswerOptions(stops=("",)), "stop"),
        (AnswerOptions(logprobs=21), "logprobs"),
        (AnswerOptions(SamplingChoice(temperature=-1.0)), "temperature"),
        (AnswerOptions(SamplingChoice(presence_penalty=3.0)), "presence_penalty"),
        (AnswerOptions(SamplingChoice(frequency_penalty=-2.5)), "frequency_penalty"),
        (AnswerOptions(SamplingChoice(logit_bias=((0x110000, 1.0),))), "logit_bias"),
        (AnswerOptions(SamplingChoice(logit_bias=((1, 101.0),))), "logit_bias"),
        (AnswerOptions(structure=Structure("json_schema", "no JSON")), "structure"),
    ],
)
def test_an_option_that_cannot_be_is_refused_by_name(options: AnswerOptions, parameter: str) -> None:
    assert _refused(_HELLO._replace(options=options)).parameter == parameter


def test_a_model_without_a_chat_template_holds_no_conversation() -> None:
    assert _refused(_HELLO, MEMORY_INFO._replace(has_chat_template=False)).parameter == "messages"


def test_a_text_without_tokens_is_refused() -> None:
    assert _refused(TextQuestion("")).parameter == "prompt"


def test_token_ids_are_taken_as_they_are() -> None:
    assert _prepared(TextQuestion((104, 105))).requests[0].prompt == (104, 105)


def test_a_token_id_outside_the_vocabulary_is_refused() -> None:
    assert _refused(TextQuestion((104, -1))).parameter == "prompt"


def test_counting_tokens_counts_the_prompt_that_would_be_sent() -> None:
    with _model() as model:
        assert count_tokens(model.engine, _HELLO) == prepare(model, _HELLO, AnswerLimits()).prompt_tokens


class TestThinking:
    def test_a_switch_is_told_what_was_asked(self) -> None:
        info = MEMORY_INFO._replace(has_thinking_switch=True, markers=_THINKS)
        on, off = (_prepared(_HELLO._replace(thinking=thinking), info) for thinking in (True, False))
        assert on.requests[0].prompt != off.requests[0].prompt

    @pytest.mark.parametrize("effort", ["minimal", "low", "medium", "high", "xhigh"])
    def test_a_switch_knows_no_levels_and_any_effort_switches_it_on(self, effort: str) -> None:
        info = MEMORY_INFO._replace(has_thinking_switch=True, markers=_THINKS)
        asked = _prepared(_HELLO._replace(effort=effort), info)
        assert asked.requests == _prepared(_HELLO._replace(thinking=True), info).requests

    def test_no_effort_switches_it_off(self) -> None:
        info = MEMORY_INFO._replace(has_thinking_switch=True, markers=_THINKS)
        asked = _prepared(_HELLO._replace(effort="none"), info)
        assert asked.requests == _prepared(_HELLO._replace(thinking=False), info).requests

    def test_a_model_without_reasoning_cannot_be_told_to_think(self) -> None:
        assert _refused(_HELLO._replace(thinking=True)).parameter == "thinking"
        assert _refused(_HELLO._replace(effort="high")).parameter == "effort"

    def test_a_model_without_reasoning_may_be_told_not_to_think(self) -> None:
        plain = _prepared(_HELLO)
        assert _prepared(_HELLO._replace(thinking=False)).requests == plain.requests
        assert _prepared(_HELLO._replace(effort="none")).requests == plain.requests

    def test_reasoning_that_has_no_switch_cannot_be_switched_off(self) -> None:
        info = MEMORY_INFO._replace(markers=_THINKS)
        assert _refused(_HELLO._replace(thinking=False), info).parameter == "thinking"
        assert _prepared(_HELLO._replace(thinking=True), info).requests == _prepared(_HELLO, info).requests

    def test_effort_and_switch_must_not_contradict_each_other(self) -> None:
        info = MEMORY_INFO._replace(has_thinking_switch=True, markers=_THINKS)
        assert _refused(_HELLO._replace(thinking=True, effort="none"), info).parameter == "effort"


class TestForm:
    def test_a_response_format_holds_the_answer_after_the_reasoning(self) -> None:
        question = _HELLO._replace(options=AnswerOptions(structure=Structure("json_schema", '{"type": "object"}')))
        assert _prepared(question).requests[0].structure == question.options.structure
        held = _prepared(question, MEMORY_INFO._replace(markers=_THINKS)).requests[0].structure
        assert held is not None
        assert held.kind == "lark"
        assert "</think>" in held.text

    def test_a_tool_choice_that_cannot_be_enforced_is_refused_by_name(self) -> None:
        question = _HELLO._replace(tools=(_TOOL,), choice=ToolChoice(required=True))
        assert _refused(question).parameter == "tool_choice"

    def test_a_tool_choice_without_tools_is_refused(self) -> None:
        assert _refused(_HELLO._replace(choice=ToolChoice(name="look_up"))).parameter == "tool_choice"

    def test_a_required_call_is_held_to_its_form(self) -> None:
        info = MEMORY_INFO._replace(
            markers=Markers(tool_start="<tool_call>", tool_end="</tool_call>", tool_format="json_tools")
        )
        question = _HELLO._replace(tools=(_TOOL,), choice=ToolChoice(required=True))
        structure = _prepared(question, info).requests[0].structure
        assert structure is not None
        assert "look_up" in structure.text

    def test_tools_and_a_response_format_at_once_are_refused(self) -> None:
        options = AnswerOptions(structure=Structure("json_schema", "{}"))
        assert _refused(_HELLO._replace(tools=(_TOOL,), options=options)).parameter == "structure"
