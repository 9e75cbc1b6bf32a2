"""What the Hub once said of a revision in the cache, health knows without it."""

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import MLXK2, Process, Program, environment
from tests.e2e.pulling import FOLDER, NAME, TEXTS, TOKEN, shards, small_model
from tests.loopback_hub import LoopbackHub

FILES = {**TEXTS, **shards(200_000, 100_000)}
FIRST, SECOND, INDEX = sorted(path for path in FILES if path.startswith("model"))
HF = MLXK2.with_name("hf")
Mlxk2 = Callable[..., Process]


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        hub.add_model(NAME, FILES)
        yield hub


@pytest.fixture
def mlxk2(program: Program, root: Path, hub: LoopbackHub, tmp_path: Path) -> Mlxk2:
    """A process on this cache and this Hub."""

    def call(*argv: str, **more: str) -> Process:
        places = {"HF_ENDPOINT": hub.endpoint, "HF_TOKEN": "", "XDG_STATE_HOME": str(tmp_path / "state")}
        return program(*argv, cache=root, **{**places, **more})

    return call


def hf_download(root: Path, hub: LoopbackHub, *files: str) -> None:
    """Single files, of which huggingface_hub records no listing."""
    for file in files:
        env = environment(
            root, HF_ENDPOINT=hub.endpoint, HF_HOME=str(root.parent / "home"), HF_HUB_DISABLE_UPDATE_CHECK="1"
        )
        subprocess.run([HF, "download", NAME, file], env=env, capture_output=True, check=True)
    assert not (root / FOLDER / "trees").exists()


def reason(mlxk2: Mlxk2) -> str | None:
    """What health says without a Hub."""
    result = mlxk2("health", NAME, "--json", HF_HUB_OFFLINE="1")
    data = json.loads(result.stdout)["data"]
    found: str | None = (data["healthy"] + data["unhealthy"])[0]["reason"]
    return found


def test_after_fit_health_knows_every_file_of_a_model_of_which_one_was_downloaded(
    mlxk2: Mlxk2, root: Path, hub: LoopbackHub
) -> None:
    hf_download(root, hub, "config.json")
    assert reason(mlxk2) == "no weights"
    told = json.loads(mlxk2("fit", NAME, "--json").stdout)["data"]
    assert told["source"] == "cache"
    assert told["weights_bytes"] == len(FILES[FIRST]) + len(FILES[SECOND])
    assert reason(mlxk2) == f"incomplete: 2 of 2 shards missing: {FIRST}, {SECOND}"


def test_a_file_that_nothing_in_the_cache_names_is_missed_after_a_look_at_the_hub(
    mlxk2: Mlxk2, root: Path, hub: LoopbackHub
) -> None:
    hub.add_model(NAME, {**FILES, "chat_template.jinja": b"{{ messages }}"})
    hf_download(root, hub, *FILES)
    assert reason(mlxk2) is None
    assert mlxk2("pull", NAME, "--check-update").returncode == 0
    assert reason(mlxk2) == "incomplete: chat_template.jinja is missing"
    assert mlxk2("pull", NAME).returncode == 0
    assert reason(mlxk2) is None


def test_a_pull_that_has_nothing_to_do_records_the_listing(
    mlxk2: Mlxk2, root: Path, hub: LoopbackHub, tmp_path: Path
) -> None:
    hf_download(root, hub, *FILES)
    assert json.loads(mlxk2("pull", NAME, "--json").stdout)["data"]["download_status"] == "already_exists"
    (root / FOLDER / "snapshots" / hub.head(NAME) / SECOND).unlink()
    (root / FOLDER / "snapshots" / hub.head(NAME) / INDEX).unlink()
    assert reason(mlxk2) == f"incomplete: 1 of 2 shards missing: {SECOND}"
    assert len(list((tmp_path / "state").rglob("*.json"))) == 1
    assert mlxk2("rm", NAME, "--force").returncode == 0
    assert list((tmp_path / "state").rglob("*.json")) == []


def test_a_push_records_what_the_branch_held(mlxk2: Mlxk2, root: Path, hub: LoopbackHub, tmp_path: Path) -> None:
    hf_download(root, hub, "config.json")
    for path, content in small_model().items():
        (tmp_path / "model").mkdir(exist_ok=True)
        (tmp_path / "model" / path).write_bytes(content)
    hub.add_token(TOKEN, user="me")
    result = mlxk2("push", str(tmp_path / "model"), NAME, "--public", "--dry-run", "--json", HF_TOKEN=TOKEN)
    assert result.returncode == 0, result.stderr
    assert reason(mlxk2) == f"incomplete: 2 of 2 shards missing: {FIRST}, {SECOND}"


def test_without_an_answer_of_the_hub_fit_tells_what_is_known(mlxk2: Mlxk2, root: Path, hub: LoopbackHub) -> None:
    hf_download(root, hub, "config.json")
    result = mlxk2("fit", NAME, HF_HUB_OFFLINE="1")
    assert result.returncode == 1
    assert "no weights" in result.stderr
