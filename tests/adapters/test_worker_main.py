"""The real worker process, with MLX and the demo model."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from importlib.resources import files
from pathlib import Path

import pytest

from mlxk2.adapters.worker.engine import WorkerEngine, WorkerLoader
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.errors import EngineFailure, OperationError
from mlxk2.ports.generation import Delta, GenerationRequest, Sampling
from mlxk2.testing.contracts.engine import Listener

DEMO = str(files("mlxk2") / "assets" / "demo")
LOADER = WorkerLoader()
END_TOKENS = (0, 2)


@pytest.fixture(scope="module")
def engine() -> Iterator[WorkerEngine]:
    with closing(LOADER.load(DEMO, LoadOptions())) as engine:
        yield engine


def answer(engine: WorkerEngine) -> str:
    prompt = engine.render([Message("user", "How do I list my models?")]).tokens
    listener = Listener(engine, GenerationRequest(prompt, 100))
    listener.finished()
    return listener.text


def test_a_model_that_is_killed_in_the_middle_of_an_answer_answers_the_next_as_before(engine: WorkerEngine) -> None:
    before = answer(engine)
    never_ending = Sampling(logit_bias=tuple((token, -100.0) for token in END_TOKENS))
    running = Listener(engine, GenerationRequest((5, 6, 7), 10**6, never_ending))
    running.wait_for(Delta)
    assert engine.process_id is not None
    os.kill(engine.process_id, signal.SIGKILL)
    assert isinstance(running.failure(), EngineFailure)
    assert "mlxk2 list" in before
    assert answer(engine) == before


def test_it_tells_how_much_memory_its_process_takes(engine: WorkerEngine) -> None:
    answer(engine)
    assert engine.stats().resident_bytes > 10_000_000


def test_the_reason_why_a_model_cannot_be_loaded_crosses_the_border(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "no_such_model"}')
    with pytest.raises(OperationError, match="could not load") as refused:
        LOADER.load(str(tmp_path), LoadOptions())
    assert not isinstance(refused.value, EngineFailure)


@pytest.mark.parametrize("module", ["mlxk2.adapters.worker.engine", "mlxk2.worker_main"])
def test_neither_side_imports_a_heavy_library_before_a_model_is_loaded(module: str) -> None:
    code = f"import json, sys, {module}; print(json.dumps(sorted(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {name.partition(".")[0] for name in json.loads(run.stdout)}
    assert "msgspec" in loaded
    assert not loaded & {"mlx", "mlx_lm", "transformers", "numpy", "llguidance", "dependency_injector"}


def test_files_in_the_current_folder_are_not_taken_for_modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit('imported from the current folder')")
    monkeypatch.chdir(tmp_path)
    with closing(LOADER.load(DEMO, LoadOptions())) as engine:
        assert engine.tokenize("hello")
