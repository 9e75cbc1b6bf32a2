"""`run` as a use case: everything that can be wrong is found before the first token."""

import threading
from dataclasses import replace

import pytest

from mlxk2.adapters.memory import (
    MEMORY_INFO,
    MemoryAttachment,
    MemoryCache,
    MemoryCatalogue,
    MemoryClock,
    MemoryEngine,
    MemoryEngineLoader,
    MemoryMachine,
    MemoryServers,
    StoredModel,
)
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.usecases.open_model import OpenModel
from mlxk2.domain.usecases.open_model_places import InServers, InThisProcess
from mlxk2.domain.usecases.run_model import RunModel, RunOptions
from mlxk2.domain.usecases.serve_requests import RequestGate, gate_before
from mlxk2.ports.engine import Engine, EngineInfo, LoadOptions
from mlxk2.ports.errors import ContextExceeded, Mlxk2Error, NotEnoughMemory, OperationError, ValidationError
from mlxk2.testing import Pathology, gguf_model, healthy_model, sick_model, with_files
from mlxk2.testing.contracts.engine import collect
from mlxk2.testing.files import document, safetensors
from mlxk2.testing.models import CONFIG

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
        has_chat_template: bool = True,
        info: EngineInfo = MEMORY_INFO,
        machine: MemoryMachine | None = None,
    ) -> None:
        cache, catalogue = MemoryCache([model]), MemoryCatalogue()
        self.engine = MemoryEngine(
            lambda prompt: f"<{prompt}>", info=replace(info, has_chat_template=has_chat_template)
        )
        self.loader = MemoryEngineLoader(self.engine)
        servers = InServers(MemoryServers(), lambda: MemoryAttachment({}), _gate, cache.place(), "1")
        process = InThisProcess(self.loader, machine or MemoryMachine(), _gate)
        self.run = RunModel(OpenModel(cache, Inspector(cache, catalogue), catalogue, servers, process))

    def ask(self, options: RunOptions) -> str:
        session = self.run.open(NAME, options)
        for event in collect(session.start):
            session.read(event)
        session.close()
        return session.answer.text

    def refusal(self, options: RunOptions, name: str = NAME) -> Mlxk2Error:
        with pytest.raises(Mlxk2Error) as caught:
            self.run.open(name, options)
        return caught.value


def _gate(engine: Engine, budget: int | None) -> RequestGate:
    return gate_before(engine, budget, MemoryClock(), threading.RLock())


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
    assert [request.max_tokens for request in bench.engine.requests] == [2046, 5]


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
        info=replace(MEMORY_INFO, weights_bytes=WEIGHTS + 500),
        machine=MemoryMachine(None, WEIGHTS + 1000),
    )
    bench.ask(RunOptions("hi", use_chat_template=False))
    assert bench.engine.requests[0].max_tokens == 398
