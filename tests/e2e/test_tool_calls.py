"""Tools from end to end, without HTTP: rendered by the demo model's template, called by it, read back as calls.

What the choice asks for is enforced in the engine, so that even a model that draws at random makes a valid call.
"""

import json
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files

import pytest

from mlxk2.adapters.mlx.engine import MlxEngineLoader
from mlxk2.adapters.system import SystemMachine
from mlxk2.adapters.worker.engine import WorkerLoader
from mlxk2.domain.answer import Answer
from mlxk2.domain.text.grammar.choice import ToolChoice, tool_structure
from mlxk2.domain.text.grammar.reasoning import after_reasoning
from mlxk2.domain.text.reader import Reading
from mlxk2.ports.conversation import Message, RenderOptions, Tool, ToolCall
from mlxk2.ports.engine import Engine, LoadOptions
from mlxk2.ports.generation import FinishReason, GenerationRequest, Sampling, Structure
from mlxk2.testing.contracts.engine.listening import collect

DEMO = str(files("mlxk2") / "assets" / "demo")
WEATHER = Tool(
    "get_weather",
    "The weather in a city",
    '{"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}',
)
ALARM = Tool(
    "set_alarm",
    "Rings at that time",
    json.dumps(
        {
            "type": "object",
            "properties": {"hour": {"type": "integer", "minimum": 0, "maximum": 23}, "loud": {"type": "boolean"}},
            "required": ["hour", "loud"],
            "additionalProperties": False,
        }
    ),
)
TOOLS = (WEATHER, ALARM)
WILD = Sampling(temperature=1.5, seed=4)


@pytest.fixture(scope="module", params=["in process", "in a worker"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    in_process = request.param == "in process"
    loader = MlxEngineLoader(SystemMachine()) if in_process else WorkerLoader()
    with closing(loader.load(DEMO, LoadOptions(context_length=2048))) as engine:
        yield engine


def ask(engine: Engine, *messages: Message, choice: ToolChoice | None, sampling: Sampling | None = None) -> Answer:
    prompt = engine.render(messages, TOOLS, RenderOptions(thinking=False))
    markers = engine.info().markers
    opened = prompt.opens_reasoning
    structure = tool_structure(markers, TOOLS, choice, opens_reasoning=opened) if choice else None
    request = GenerationRequest(prompt.tokens, 200, sampling or Sampling(), structure=structure)
    answer = Answer((), Reading(markers, TOOLS, opened))
    for event in collect(lambda sink: engine.start(request, sink)):
        answer.read(event)
    assert answer.error is None
    return answer


QUESTION = Message("user", "What is the weather in Lisbon?")


def test_a_model_calls_a_tool_and_uses_its_result(engine: Engine) -> None:
    first = ask(engine, QUESTION, choice=None)
    (call,) = first.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Lisbon"})
    assert "<tool_call>" not in first.text
    result = Message("tool", '{"temperature": 21, "sky": "clear"}', tool_call_id=call.id)
    second = ask(engine, QUESTION, Message("assistant", "", tool_calls=(call,)), result, choice=None)
    assert second.tool_calls == ()
    assert second.text


def test_the_free_choice_is_not_disturbed_by_being_held(engine: Engine) -> None:
    held, free = ask(engine, QUESTION, choice=ToolChoice()), ask(engine, QUESTION, choice=None)
    assert held.tool_calls == free.tool_calls
    assert (
        ask(engine, Message("user", "hello"), choice=ToolChoice()).text
        == ask(engine, Message("user", "hello"), choice=None).text
    )


@pytest.mark.parametrize("sampling", [Sampling(), WILD, WILD._replace(seed=5), WILD._replace(seed=6)])
@pytest.mark.parametrize("message", ["hello", "What is 2 + 3?"])
def test_a_required_call_is_made_and_fits_the_schema(engine: Engine, message: str, sampling: Sampling) -> None:
    answer = ask(engine, Message("user", message), choice=ToolChoice(name="set_alarm"), sampling=sampling)
    assert answer.finish_reason is FinishReason.STOP
    (call,) = answer.tool_calls
    assert call.name == "set_alarm"
    arguments = json.loads(call.arguments)
    assert set(arguments) == {"hour", "loud"}
    assert 0 <= arguments["hour"] <= 23
    assert isinstance(arguments["loud"], bool)


def test_the_engine_names_every_token_that_a_grammar_has_to_name_by_its_id(engine: Engine) -> None:
    import llguidance
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(DEMO)
    vocabulary = llguidance.LLTokenizer(tokenizer.backend_tokenizer.to_str())
    added = tokenizer.get_added_vocab()
    special = {text: token for text, token in added.items() if vocabulary.is_special_token(token)}
    assert dict(engine.info().markers.special) == special


def test_calls_of_the_past_are_shown_to_the_model(engine: Engine) -> None:
    call = ToolCall("set_alarm", '{"hour": 7, "loud": true}', "call_0")
    turns = [Message("user", "Wake me at seven"), Message("assistant", "", tool_calls=(call,)), Message("tool", "done")]
    text = engine.detokenize(engine.render(turns, TOOLS).tokens)
    assert "set_alarm" in text
    assert '"hour": 7' in text
    assert "done" in text


def test_a_form_waits_until_the_model_has_thought(engine: Engine) -> None:
    prompt = engine.render([Message("user", "What is 2 + 3?")], options=RenderOptions(thinking=True))
    markers = engine.info().markers
    form = Structure("regex", "(yes|no)")
    request = GenerationRequest(
        prompt.tokens,
        200,
        structure=after_reasoning(form, markers, opens_reasoning=prompt.opens_reasoning),
    )
    answer = Answer((), Reading(markers, opens_reasoning=prompt.opens_reasoning))
    for event in collect(lambda sink: engine.start(request, sink)):
        answer.read(event)
    assert answer.text.strip() in ("yes", "no")
