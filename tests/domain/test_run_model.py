"""`run` as a use case: everything that can be wrong is found before the first token."""

import pytest

from mlxk2.adapters.memory import MEMORY_INFO, MemoryEngine, MemoryMachine, Script, StoredModel
from mlxk2.domain.answer import Answer
from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.usecases.run_model import RunOptions
from mlxk2.ports.engine import EngineInfo, LoadOptions, Markers
from mlxk2.ports.errors import ContextExceeded, Mlxk2Error, NotEnoughMemory, OperationError, ValidationError
from mlxk2.ports.generation import FinishReason, Structure
from mlxk2.ports.servers import RunningServer
from mlxk2.testing import Pathology, gguf_model, healthy_model, sick_model, with_files
from mlxk2.testing.files import document, safetensors
from mlxk2.testing.models import CONFIG
from tests.domain.opening import SERVER, Desk, follow, pinned

NAME = "tiny-4bit"
GB = 10**9
WEIGHTS = len(safetensors())
"""Bytes of the weights of a healthy model, as these tests have it."""


class Bench:
    """The use case with its fakes at hand."""

    def __init__(
        self,
        model: StoredModel,
        *,
        script: Script = lambda prompt: f"<{prompt}>",
        has_chat_template: bool = True,
        info: EngineInfo = MEMORY_INFO,
        machine: MemoryMachine | None = None,
        running: tuple[RunningServer, ...] = (),
    ) -> None:
        self.served = MemoryEngine(lambda prompt: f"served <{prompt}>", info=info._replace(context_length=10_000))
        self.desk = Desk(
            model,
            script=script,
            info=info._replace(has_chat_template=has_chat_template),
            machine=machine,
            running=running,
            served={pinned(model): self.served},
        )
        self.loader = self.desk.loader

    @property
    def engine(self) -> MemoryEngine:
        return self.desk.engine

    def ask(self, options: RunOptions) -> str:
        return self.answer(options).text

    def answer(self, options: RunOptions) -> Answer:
        session = self.desk.run.open(NAME, options)
        answer = follow(session)
        session.close()
        return answer

    def refusal(self, options: RunOptions, name: str = NAME) -> Mlxk2Error:
        with pytest.raises(Mlxk2Error) as caught:
            self.desk.run.open(name, options)
        return caught.value


def test_the_prompt_goes_through_the_chat_template() -> None:
    bench = Bench(healthy_model())
    assert bench.ask(RunOptions("hi", system="be brief")) == "<system: be brief\nuser: hi\n>"
    assert bench.engine.closed


def test_without_a_template_the_prompt_goes_bare() -> None:
    assert Bench(healthy_model()).ask(RunOptions("hi", use_chat_template=False)) == "<hi>"
    assert Bench(healthy_model(), has_chat_template=False).ask(RunOptions("hi")) == "<hi>"


def test_a_system_text_without_a_template_is_refused_and_the_engine_closed() -> None:
    bench = Bench(healthy_model(), has_chat_template=False)
    assert isinstance(bench.refusal(RunOptions("hi", system="x")), ValidationError)
    assert bench.engine.closed


def test_the_whole_context_is_the_limit_unless_one_is_given() -> None:
    bench = Bench(healthy_model())
    bench.ask(RunOptions("hi", use_chat_template=False))
    bench.ask(RunOptions("hi", use_chat_template=False, max_tokens=5))
    assert [engine.requests[0].max_tokens for engine in bench.desk.engines] == [2046, 5]


def test_a_config_without_a_context_length_gets_a_safe_limit() -> None:
    config = {key: value for key, value in CONFIG.items() if key != "max_position_embeddings"}
    bench = Bench(with_files(healthy_model(), {"config.json": document(config)}))
    bench.ask(RunOptions("hi"))
    assert bench.engine.requests[0].max_tokens == 4096


def test_a_prompt_longer_than_the_context_is_refused_with_both_numbers() -> None:
    error = Bench(healthy_model()).refusal(RunOptions("x" * 3000, use_chat_template=False))
    assert "3000 tokens" in error.message
    assert "2048" in error.message


def test_a_limit_that_does_not_fit_is_refused_and_never_cut() -> None:
    error = Bench(healthy_model()).refusal(RunOptions("xx", use_chat_template=False, max_tokens=2047))
    assert "--max-tokens 2047" in error.message
    assert "2046" in error.message


@pytest.mark.parametrize(
    "options",
    [
        RunOptions("  "),
        RunOptions("hi", max_tokens=0),
        RunOptions("hi\udcff"),
        RunOptions("hi", stops=("\udcff",)),
        RunOptions("hi", system="\udcff"),
        RunOptions("hi", stops=("",)),
        RunOptions("hi", sampling=SamplingChoice(top_p=7)),
    ],
)
def test_bad_options_are_refused_before_anything_is_loaded(options: RunOptions) -> None:
    bench = Bench(healthy_model())
    assert isinstance(bench.refusal(options), ValidationError)
    assert bench.loader.loaded == []


def test_an_unhealthy_model_is_not_loaded() -> None:
    bench = Bench(sick_model(Pathology.TRUNCATED_SHARD))
    error = bench.refusal(RunOptions("hi"))
    assert isinstance(error, OperationError)
    assert "is truncated" in error.message
    assert bench.loader.loaded == []


def test_an_incompatible_model_is_not_loaded() -> None:
    bench = Bench(gguf_model("org/tiny-4bit"))
    assert "GGUF" in bench.refusal(RunOptions("hi")).message
    assert bench.loader.loaded == []


def test_code_of_a_model_runs_only_when_trusted() -> None:
    model = with_files(healthy_model(), {"config.json": document({**CONFIG, "model_file": "evil.py"})})
    bench = Bench(model)
    assert "--trust-remote-code" in bench.refusal(RunOptions("hi")).message
    assert bench.loader.loaded == []
    bench.ask(RunOptions("hi", trust_remote_code=True))
    assert bench.loader.loaded[0][1].trust_remote_code


def test_the_model_recommends_the_sampling() -> None:
    config = document({"do_sample": True, "temperature": 0.6})
    bench = Bench(with_files(healthy_model(), {"generation_config.json": config}))
    bench.ask(RunOptions("hi"))
    assert bench.engine.requests[0].sampling.temperature == 0.6


def test_a_model_that_is_not_here_can_be_downloaded() -> None:
    assert (
        "download it with: mlxk2 pull org/other"
        in Bench(healthy_model()).refusal(RunOptions("hi"), "org/other").message
    )


@pytest.mark.parametrize("reference", ["demo", "org/other@abc1234"])
def test_what_cannot_be_downloaded_under_this_name_is_not_offered(reference: str) -> None:
    assert "download it with" not in Bench(healthy_model()).refusal(RunOptions("hi"), reference).message


@pytest.mark.parametrize("revision", ["", "@{commit}"])
def test_an_unhealthy_model_is_met_with_its_repair(revision: str) -> None:
    model = sick_model(Pathology.TRUNCATED_SHARD)
    (commit,) = model.revisions
    reference = NAME + revision.format(commit=commit[:8])
    message = Bench(model).refusal(RunOptions("hi"), reference).message
    pinned = f"@{commit[:12]}" if revision else ""
    assert message.endswith(f"repair it with: mlxk2 pull mlx-community/tiny-4bit{pinned} --repair")


def test_a_prompt_over_the_context_has_an_error_of_its_own() -> None:
    error = Bench(healthy_model()).refusal(RunOptions("x" * 2048, use_chat_template=False))
    assert isinstance(error, ContextExceeded)
    assert (error.prompt_tokens, error.context_length) == (2048, 2048)


def test_the_engine_is_told_its_bounds() -> None:
    bench = Bench(healthy_model(), machine=MemoryMachine(16 * GB, 8 * GB))
    bench.ask(RunOptions("hi"))
    ((_, options),) = bench.loader.loaded
    assert options == LoadOptions(context_length=2048, memory_limit=12 * GB, max_rows=1)


def test_a_model_that_does_not_fit_is_not_loaded_unless_it_is_forced() -> None:
    bench = Bench(healthy_model(), machine=MemoryMachine(100, None))
    error = bench.refusal(RunOptions("hi"))
    assert isinstance(error, NotEnoughMemory)
    assert (error.needed_bytes, error.limit_bytes) == (round(WEIGHTS * 1.1), 75)
    assert error.message.startswith("'mlx-community/tiny-4bit' needs about ")
    assert bench.loader.loaded == []
    assert bench.ask(RunOptions("hi", use_chat_template=False, force_load=True)) == "<hi>"
    assert bench.loader.loaded[0][1].memory_limit is None


CONFIG_WITH_HEADS = {**CONFIG, "num_key_value_heads": 4}
EACH_TOKEN = 2 * 2 * 4 * 16 * 2
"""Bytes of such a model: keys and values, 2 layers, 4 heads of 16 numbers, 16 bits."""


def test_the_answer_that_is_asked_for_counts_before_loading() -> None:
    model = with_files(healthy_model(), {"config.json": document(CONFIG_WITH_HEADS)})
    machine = MemoryMachine(None, WEIGHTS + round(1355 * EACH_TOKEN / 0.8))
    bench = Bench(model, machine=machine)
    error = bench.refusal(RunOptions("hi", max_tokens=1101))  # and room for a block of 256 tokens but one
    assert isinstance(error, NotEnoughMemory)
    assert "--max-tokens" in error.message
    assert bench.loader.loaded == []
    bench.ask(RunOptions("hi", max_tokens=1100))
    bench.ask(RunOptions("hi"))


def test_without_a_limit_the_answer_may_be_as_long_as_memory_allows() -> None:
    bench = Bench(healthy_model(), machine=MemoryMachine(None, WEIGHTS + 1000))  # 800 of them for requests
    bench.ask(RunOptions("hi", use_chat_template=False))
    assert bench.engine.requests[0].max_tokens == 798


def test_a_limit_that_memory_has_no_room_for_is_refused_and_the_engine_closed() -> None:
    bench = Bench(healthy_model(), machine=MemoryMachine(None, WEIGHTS + 1000))
    error = bench.refusal(RunOptions("hi", use_chat_template=False, max_tokens=799))
    assert isinstance(error, NotEnoughMemory)
    assert "ask for at most 798 tokens" in error.message
    assert bench.engine.closed


def test_a_prompt_that_memory_has_no_room_for_is_refused() -> None:
    bench = Bench(healthy_model(), machine=MemoryMachine(None, WEIGHTS + 1000))
    error = bench.refusal(RunOptions("x" * 900, use_chat_template=False))
    assert isinstance(error, NotEnoughMemory)
    assert "shorten it to fewer than 800" in error.message


def test_weights_count_as_the_engine_holds_them() -> None:
    bench = Bench(
        healthy_model(),
        info=MEMORY_INFO._replace(weights_bytes=WEIGHTS + 500),
        machine=MemoryMachine(None, WEIGHTS + 1000),
    )
    bench.ask(RunOptions("hi", use_chat_template=False))
    assert bench.engine.requests[0].max_tokens == 398


THINKER = MEMORY_INFO._replace(has_thinking_switch=True, markers=Markers(think_start="<think>", think_end="</think>"))


def test_reasoning_is_told_apart_from_the_answer() -> None:
    bench = Bench(healthy_model(), info=THINKER)
    answer = bench.answer(RunOptions("hm</think>well", thinking=True))
    assert (answer.reasoning, answer.text) == ("<user: hm", "well\n<think>>")


@pytest.mark.parametrize("thinking", [True, False])
def test_thinking_that_a_model_cannot_be_told_is_refused_with_the_option_to_leave_out(thinking: bool) -> None:
    info = MEMORY_INFO if thinking else THINKER._replace(has_thinking_switch=False)
    bench = Bench(healthy_model(), info=info)
    message = bench.refusal(RunOptions("hi", thinking=thinking)).message
    assert message.startswith("This model")
    assert message.endswith("; leave --thinking/--no-thinking out")
    assert bench.engine.closed


def test_thinking_without_a_template_is_refused() -> None:
    message = Bench(healthy_model()).refusal(RunOptions("hi", thinking=True, use_chat_template=False)).message
    assert message == "--system and --thinking need a chat template; this run does not use one"


@pytest.mark.parametrize("use_chat_template", [True, False])
def test_an_answer_is_held_to_a_structure(use_chat_template: bool) -> None:
    form = Structure("json_schema", '{"type": "object"}')
    assert (
        Bench(healthy_model()).ask(RunOptions("hi", structure=form, use_chat_template=use_chat_template)) == form.text
    )


def test_a_stop_string_ends_the_work_on_an_answer() -> None:
    config = {key: value for key, value in CONFIG.items() if key != "max_position_embeddings"}
    model = with_files(healthy_model(), {"config.json": document(config)})
    bench = Bench(model, script=lambda _: "abcdef" * 100_000)
    answer = bench.answer(RunOptions("hi", stops=("cd",), max_tokens=500_000))
    assert (answer.text, answer.finish_reason, answer.completion_tokens) == ("ab", FinishReason.STOP, 4)
    assert bench.engine.stats().generated_tokens < 500_000


def test_a_running_server_answers_with_its_own_limit_and_keeps_the_model() -> None:
    bench = Bench(healthy_model(), running=(SERVER,))
    assert bench.ask(RunOptions("hi")) == "served <user: hi\n>"
    assert bench.served.requests[0].max_tokens == 4096
    assert not bench.served.closed
    assert bench.loader.loaded == []


def test_a_run_can_refuse_the_server() -> None:
    bench = Bench(healthy_model(), running=(SERVER,))
    assert bench.ask(RunOptions("hi", local=True)) == "<user: hi\n>"


def test_what_a_server_has_too_little_room_for_is_refused_before_the_first_token() -> None:
    error = Bench(healthy_model(), running=(SERVER,)).refusal(RunOptions("x" * 6000))
    assert isinstance(error, NotEnoughMemory)
