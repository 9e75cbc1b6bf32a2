"""`fit` as a process of its own: in the cache, in the package, on a Hub, and as quick as a look should be."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Program
from tests.loopback_hub import LoopbackHub, faults

CONFIG = {
    "model_type": "llama",
    "max_position_embeddings": 4096,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "num_hidden_layers": 4,
}
NAME = "org/model"


@pytest.fixture
def server() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        server.add_model(NAME, {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": bytes(500_000)})
        yield server


def test_the_demo_fits_before_and_after_it_is_installed(program: Program, tmp_path: Path) -> None:
    here = program("fit", "demo")
    assert (here.returncode, here.stderr) == (0, "")
    assert here.stdout.endswith("Next:    mlxk2 run demo\n")
    not_yet = program("fit", "demo", "--json", cache=tmp_path / "none", HF_HUB_OFFLINE="1")
    told = json.loads(not_yet.stdout)["data"]
    assert (not_yet.returncode, told["source"], told["next_step"]) == (0, "package", "mlxk2 pull demo")
    assert not (tmp_path / "none").exists()


def test_a_model_on_the_hub_is_looked_at_and_not_downloaded(
    program: Program, server: LoopbackHub, tmp_path: Path
) -> None:
    result = program("fit", NAME, "--json", cache=tmp_path / "hub", HF_ENDPOINT=server.endpoint, HF_TOKEN="")
    told = json.loads(result.stdout)["data"]
    assert (result.returncode, result.stderr) == (0, "")
    assert (told["source"], told["weights_bytes"], told["context_length"]) == ("hub", 500_000, 4096)
    assert [request.path for request in server.requests if "/resolve/" in request.path] == [
        f"/{NAME}/resolve/{server.head(NAME)}/config.json"
    ]
    assert not (tmp_path / "hub").exists()


def test_a_context_that_the_model_does_not_have_ends_with_1(program: Program) -> None:
    result = program("fit", "demo", "--context", "2049")
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "mlxk2: --context 2049 is more than this model's context of 2048 tokens; ask for less\n"


def test_no_network_is_told_in_one_sentence(program: Program, server: LoopbackHub) -> None:
    server.break_("/api/", faults.DropConnect(), times=None)
    offline = program("fit", NAME, HF_HUB_OFFLINE="1")
    assert (offline.returncode, offline.stdout, offline.stderr.count("\n")) == (2, "", 1)
    assert "Offline mode is on" in offline.stderr
