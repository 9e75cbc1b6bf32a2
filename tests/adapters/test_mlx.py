"""Loading on MLX: precision, quantized weights, failures."""

import queue
import subprocess
import sys
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import mlx.core as mx
import mlx_lm.utils
import pytest

from mlxk2.adapters.memory import MemoryMachine
from mlxk2.adapters.mlx.engine import MlxEngine, MlxEngineLoader
from mlxk2.adapters.mlx.loading import load_model
from mlxk2.adapters.system import SystemMachine
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.ports.generation import Event, Failed, Finished, FinishReason, GenerationRequest, Sampling
from mlxk2.testing.contracts.engine import collect, text_of

DEMO = str(files("mlxk2") / "assets" / "demo")
OPTIONS = LoadOptions()


def dtype_of(machine: MemoryMachine) -> mx.Dtype:
    weight: mx.array = load_model(DEMO, OPTIONS, machine).model.model.norm.weight
    return weight.dtype


@pytest.fixture
def engine() -> Iterator[MlxEngine]:
    engine = MlxEngineLoader(SystemMachine()).load(DEMO, OPTIONS)
    yield engine
    engine.close()


def answer(engine: MlxEngine, question: str) -> str:
    prompt = engine.render([Message("user", question)]).tokens
    return text_of(collect(lambda sink: engine.start(GenerationRequest(prompt, 100, Sampling()), sink)))


@pytest.mark.skipif(mx.default_device() != mx.cpu, reason="float32 is for CPUs")
def test_a_cpu_holds_the_model_in_float32_when_memory_allows() -> None:
    assert dtype_of(MemoryMachine(available=10**9)) == mx.float32
    assert dtype_of(MemoryMachine(available=5_000_000)) == mx.float16
    assert dtype_of(MemoryMachine(available=None)) == mx.float16


def test_a_quantized_model_answers_too(tmp_path: Path) -> None:
    model, config = mlx_lm.utils.load_model(Path(DEMO))
    model, config = mlx_lm.utils.quantize_model(model, config, group_size=64, bits=8)
    mlx_lm.utils.save_model(tmp_path, model)
    mlx_lm.utils.save_config(config, tmp_path / "config.json")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (tmp_path / name).write_bytes(Path(DEMO, name).read_bytes())
    quantized = MlxEngineLoader(SystemMachine()).load(str(tmp_path), OPTIONS)
    try:
        assert "mlxk2 list" in answer(quantized, "How do I list my models?")
    finally:
        quantized.close()
    small = load_model(str(tmp_path), OPTIONS, MemoryMachine(available=None))
    assert small.model.model.layers[0].self_attn.q_proj.bits == 8


def test_a_folder_that_cannot_be_loaded_is_an_error_and_ends_the_thread(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no_such_model"}')
    with pytest.raises(OperationError, match="could not load"):
        MlxEngineLoader(SystemMachine()).load(str(tmp_path), OPTIONS)


@pytest.mark.parametrize("folder", ["", "/no/such/folder", "mlxk2/demo"])
def test_what_is_no_folder_of_a_model_is_told_so(folder: str) -> None:
    with pytest.raises(OperationError, match=r"no config\.json; give the folder of a snapshot"):
        MlxEngineLoader(SystemMachine()).load(folder, OPTIONS)


def test_one_failing_request_does_not_harm_the_next(engine: MlxEngine) -> None:
    failed = collect(lambda sink: engine.start(GenerationRequest((), 5, Sampling()), sink))
    assert isinstance(failed[-1], Failed)
    assert isinstance(failed[-1].error, ValidationError)
    assert "mlxk2 list" in answer(engine, "How do I list my models?")


def test_closing_ends_what_is_queued_as_cancelled(engine: MlxEngine) -> None:
    waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
    prompt = engine.render([Message("user", "hello")]).tokens
    for _ in range(3):
        engine.start(GenerationRequest(prompt, 2000, Sampling(temperature=5.0)), waiting.put)
    engine.close()
    finished = []
    while not waiting.empty():
        event = waiting.get()
        finished += [event.reason] if isinstance(event, Finished) else []
    assert len(finished) == 3
    assert finished[-1] is FinishReason.CANCELLED


def test_ending_right_after_an_answer_never_aborts_the_process() -> None:
    code = (
        "import sys\nfrom mlxk2.adapters.mlx.engine import MlxEngineLoader\n"
        "from mlxk2.adapters.system import SystemMachine\nfrom mlxk2.ports.engine import LoadOptions\n"
        "from mlxk2.ports.generation import GenerationRequest, Sampling\n"
        "from mlxk2.testing.contracts.engine import collect\n"
        "engine = MlxEngineLoader(SystemMachine()).load(sys.argv[1], LoadOptions())\n"
        "collect(lambda sink: engine.start(GenerationRequest((5, 6, 7), 3, Sampling()), sink))\nengine.close()\n"
    )
    for _ in range(4):
        run = subprocess.run([sys.executable, "-c", code, DEMO], capture_output=True, text=True, check=False)
        assert (run.returncode, run.stderr) == (0, "")


@pytest.mark.parametrize(("end", "code"), [("", 0), ("1 / 0", 1), ("raise SystemExit(7)", 7)])
@pytest.mark.parametrize("state", ["busy", "answered"])
def test_a_process_may_end_without_closing_its_engine(end: str, code: int, state: str) -> None:
    first = "heard.get(timeout=60)\n"
    wait = "while not isinstance(heard.get(timeout=60), Finished): pass\n" if state == "answered" else first
    limit = 3 if state == "answered" else 10**6
    program = (
        "import queue, sys\nfrom mlxk2.adapters.mlx.engine import MlxEngineLoader\n"
        "from mlxk2.adapters.system import SystemMachine\nfrom mlxk2.ports.engine import LoadOptions\n"
        "from mlxk2.ports.generation import Finished, GenerationRequest\nheard = queue.SimpleQueue()\n"
        "engine = MlxEngineLoader(SystemMachine()).load(sys.argv[1], LoadOptions())\n"
        f"engine.start(GenerationRequest((5, 6, 7), {limit}), heard.put)\n{wait}{end}\n"
    )
    run = subprocess.run([sys.executable, "-c", program, DEMO], capture_output=True, text=True, check=False)
    assert run.returncode == code
    assert "terminate called" not in run.stderr
