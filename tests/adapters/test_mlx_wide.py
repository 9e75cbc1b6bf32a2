"""A model whose matrices are large, as real ones are: its products have ways of their own and a second stream."""

import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import mlx.core as mx
import mlx_lm.utils
import pytest
from mlx_lm.models import qwen3

from mlxk2.adapters.worker.engine import WorkerEngine, WorkerLoader
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.generation import GenerationRequest
from mlxk2.testing.contracts.engine import Listener
from tests.adapters.mlx_models import DEMO

TOKENS = 24


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A snapshot of two wide layers with the demo's vocabulary."""
    folder = tmp_path_factory.mktemp("wide")
    config = mlx_lm.utils.load_config(Path(DEMO)) | {
        "hidden_size": 1024,
        "intermediate_size": 1408,
        "num_hidden_layers": 2,
        "head_dim": 128,
        "torch_dtype": "float32",
    }
    mx.random.seed(5)
    model: Any = qwen3.Model(qwen3.ModelArgs.from_dict(config))
    mlx_lm.utils.save_model(folder, model)
    mlx_lm.utils.save_config(config, folder / "config.json")
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        (folder / name).write_bytes(Path(DEMO, name).read_bytes())
    return str(folder)


def texts(engine: WorkerEngine, prompts: list[tuple[int, ...]]) -> list[str]:
    listeners = [Listener(engine, GenerationRequest(prompt, TOKENS)) for prompt in prompts]
    for listener in listeners:
        listener.end()
    return [listener.text for listener in listeners]


def run(program: str, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """In a process that has OpenBLAS, as a worker has it: this one had MLX before."""
    begin = "from mlxk2.adapters.mlx.blas import openblas, prefer_openblas\nprefer_openblas()\n"
    return subprocess.run(
        [sys.executable, "-c", begin + program, *arguments], capture_output=True, text=True, check=False
    )


def test_it_says_the_same_alone_and_in_a_batch_and_in_the_next_process(wide: str) -> None:
    prompts = [tuple(range(first, first + 9)) for first in range(20, 320, 50)]
    heard = []
    for _ in range(2):
        with closing(WorkerLoader().load(wide, LoadOptions())) as engine:
            heard += [texts(engine, prompts), [texts(engine, [prompt])[0] for prompt in prompts]]
    assert len(set(heard[0])) > 1
    assert all(other == heard[0] for other in heard)


def test_its_large_layers_have_tiles_where_openblas_is_good_at_them(wide: str) -> None:
    """All do, or none does."""
    ran = run(
        "import sys\nfrom mlxk2.adapters.mlx.loading import load_model\n"
        "from mlxk2.adapters.mlx.tiles import KERNELS, MOST_THREADS\n"
        "from mlxk2.adapters.system import SystemMachine\nfrom mlxk2.ports.engine import LoadOptions\n"
        "blas = openblas()\nknows = blas is not None and blas.kernels in KERNELS and blas.threads <= MOST_THREADS\n"
        "model = load_model(sys.argv[1], LoadOptions(), SystemMachine()).model\n"
        "print(15 if knows else 0, sum(hasattr(layer, 'ways') and layer.ways.tiles is not None"
        " for layer in model.modules()))\n",
        wide,
    )
    expected, found = ran.stdout.split()
    assert expected == found


@pytest.mark.parametrize("limit", [3, 10**6])
def test_a_process_may_end_without_closing_its_engine(wide: str, limit: int) -> None:
    ran = run(
        "import queue, sys\nfrom mlxk2.adapters.mlx.engine import MlxEngineLoader\n"
        "from mlxk2.adapters.system import SystemMachine\nfrom mlxk2.ports.engine import LoadOptions\n"
        "from mlxk2.ports.generation import Delta, GenerationRequest\nheard = queue.SimpleQueue()\n"
        "engine = MlxEngineLoader(SystemMachine()).load(sys.argv[1], LoadOptions())\n"
        f"engine.start(GenerationRequest((5, 6, 7), {limit}), heard.put)\n"
        "while not isinstance(heard.get(timeout=60), Delta): pass\n",
        wide,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
