"""What the environment does to the adapter, in processes of their own: huggingface_hub reads it when it is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.loopback_hub import LoopbackHub

ASK = """
import sys
from mlxk2.adapters.hub import HuggingFaceHub, Retries
from mlxk2.ports.errors import Mlxk2Error
try:
    print(HuggingFaceHub(sys.argv[1], retries=Retries(attempts=1)).model("org/model", "main", print).name)
except Mlxk2Error as error:
    print(type(error).__name__, error.message)
"""


def asked(hub: LoopbackHub, folder: Path, **environ: str) -> str:
    """What comes of one call, made in a folder that has a file `token`."""
    (folder / "token").write_text("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0")
    clean = {
        name: value for name, value in os.environ.items() if not name.startswith("HF_") and "PROXY" not in name.upper()
    }
    process = subprocess.run(
        [sys.executable, "-c", ASK, hub.endpoint],
        cwd=folder,
        env={**clean, "HOME": str(folder / "home"), **environ},
        capture_output=True,
        text=True,
        check=True,
    )
    assert process.stderr == ""
    return process.stdout.strip()


@pytest.mark.parametrize("name", ["HF_HOME", "HF_TOKEN_PATH", "HF_TOKEN", "HF_HUB_CACHE", "HF_ENDPOINT"])
def test_an_empty_variable_counts_as_unset_and_no_file_of_this_folder_is_sent(tmp_path: Path, name: str) -> None:
    with LoopbackHub() as hub:
        hub.add_model("org/model", {"config.json": b"{}"})
        assert asked(hub, tmp_path, **{name: ""}) == "org/model"
        assert not any(request.has_authorization for request in hub.requests)


def test_nobody_is_told_what_the_program_is_used_for(tmp_path: Path) -> None:
    with LoopbackHub() as hub:
        hub.add_model("org/model", {"config.json": b"{}"})
        assert asked(hub, tmp_path) == "org/model"
        assert [request.path for request in hub.requests] == ["/api/models/org/model/revision/main"]


@pytest.mark.parametrize("proxy", ["nonsense://127.0.0.1:9", "socks5://127.0.0.1:9"])
def test_a_proxy_that_cannot_be_used_is_told_as_such(tmp_path: Path, proxy: str) -> None:
    with LoopbackHub() as hub:
        told = asked(hub, tmp_path, ALL_PROXY=proxy)
        assert told.startswith(
            "NetworkProblem The proxy that HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names cannot be used"
        )
