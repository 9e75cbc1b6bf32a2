"""`doctor` as a process of its own, with MLX and the demo model in processes of theirs."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import MLXK2, Process, Program, environment
from tests.e2e.pulling import TOKEN, until
from tests.e2e.serving import running_server
from tests.loopback_hub import LoopbackHub


@pytest.fixture(scope="module")
def server() -> Iterator[LoopbackHub]:
    with LoopbackHub() as server:
        server.add_token(TOKEN, user="somebody")
        yield server


@pytest.fixture
def hub(server: LoopbackHub, tmp_path: Path) -> dict[str, str]:
    """The environment of a user with a Hub, a home, and no token or server."""
    return {
        "HF_ENDPOINT": server.endpoint,
        "HF_HOME": str(tmp_path),
        "HF_TOKEN": "",
        "XDG_RUNTIME_DIR": str(tmp_path),
        "XDG_STATE_HOME": str(tmp_path),
    }


def mlx_that(folder: Path, does: str) -> dict[str, str]:
    """The environment in which importing mlx does that instead."""
    package = folder / "instead" / "mlx"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("")
    (package / "core.py").write_text(does)
    return {"PYTHONPATH": str(package.parent)}


def checks(result: Process) -> dict[str, Any]:
    document = json.loads(result.stdout)
    assert (document["status"], result.stderr) == ("success", "")
    return {check["name"]: check for check in document["data"]["checks"]}


def test_everything_is_in_order_here(program: Program, hub: dict[str, str]) -> None:
    result = program("doctor", "--json", **hub)
    found = checks(result)
    assert result.returncode == 0, found
    assert [check for check in found.values() if check["status"] == "fail"] == []
    assert found["generation"]["values"]["tokens"] > 1
    assert found["device"]["values"]["kind"] in ("Metal", "CUDA", "CPU")
    assert (found["cache"]["values"]["models"], found["cache"]["values"]["unhealthy"]) == (1, 0)
    assert found["hub"]["values"]["address"] == hub["HF_ENDPOINT"]
    assert found["token"]["values"] == {"present": False}


def test_a_line_a_check_on_a_terminals_width(program: Program, hub: dict[str, str]) -> None:
    result = program("doctor", **{**hub, "COLUMNS": "60", "HF_HUB_OFFLINE": "1"})
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert max(len(line) for line in lines) <= 60
    assert [line[6:17].strip() for line in lines[:-1] if line[0] != " "][-2:] == ["servers", "generation"]


def test_the_token_is_seen_and_never_shown(program: Program, hub: dict[str, str]) -> None:
    good = program("doctor", "--json", **{**hub, "HF_TOKEN": TOKEN})
    assert checks(good)["token"]["values"] == {"present": True, "accepted": True}
    bad = program("doctor", "--json", **{**hub, "HF_TOKEN": f"{TOKEN}x"})
    assert (bad.returncode, checks(bad)["token"]["status"]) == (1, "fail")
    for result in (good, bad):
        assert TOKEN not in result.stdout + result.stderr


def test_an_mlx_that_crashes_is_two_lines_and_not_the_end(
    program: Program, hub: dict[str, str], tmp_path: Path
) -> None:
    crashing = mlx_that(tmp_path, "import os\nos.abort()\n")
    result = program("doctor", "--json", **{**hub, **crashing, "HF_HUB_OFFLINE": "1"})
    found = checks(result)
    assert result.returncode == 1
    failed = {name for name, check in found.items() if check["status"] == "fail"}
    assert failed == {"device", "generation"}
    for name in failed:
        assert "crashed with signal 6" in found[name]["message"]
        assert found[name]["mend"]


def test_a_hub_that_is_not_there_and_an_address_that_is_none(program: Program, hub: dict[str, str]) -> None:
    away = program("doctor", "--json", **{**hub, "HF_ENDPOINT": "http://127.0.0.1:9"})
    assert (away.returncode, checks(away)["hub"]["status"]) == (1, "fail")
    odd = program("doctor", "--json", **{**hub, "HF_ENDPOINT": "nowhere"})
    assert "which is no address" in checks(odd)["hub"]["message"]
    assert checks(odd)["token"]["status"] == "warn"


def test_a_cache_that_cannot_be_read_fails_and_hides_nothing_else(
    program: Program, hub: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("no folder")
    result = program("doctor", "--json", cache=tmp_path / "file", **{**hub, "HF_HUB_OFFLINE": "1"})
    found = checks(result)
    assert (result.returncode, found["cache"]["status"]) == (1, "fail")
    assert found["generation"]["status"] == "ok"


def test_a_running_server_is_told(program: Program, hub: dict[str, str], demo_cache: Path) -> None:
    with running_server(
        demo_cache, XDG_RUNTIME_DIR=hub["XDG_RUNTIME_DIR"], XDG_STATE_HOME=hub["XDG_STATE_HOME"]
    ) as running:
        found = checks(program("doctor", "--json", **hub))
        assert (found["servers"]["status"], found["servers"]["values"]) == ("ok", {"running": 1})
        assert running.url in found["servers"]["message"]


def test_ctrl_c_ends_it_and_the_process_that_it_waits_for(
    hub: dict[str, str], demo_cache: Path, tmp_path: Path
) -> None:
    told = tmp_path / "pid"
    waiting = mlx_that(
        tmp_path, f"import os, time\nopen({str(told)!r}, 'w').write(f'{{os.getpid()}} ')\ntime.sleep(600)\n"
    )
    process = subprocess.Popen(
        [MLXK2, "doctor"],
        env=environment(demo_cache, **hub, **waiting),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        until(lambda: told.exists() and told.read_text().endswith(" "), seconds=60)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (130, "mlxk2: Interrupted\n")
    child = int(told.read_text())
    until(lambda: not _lives(child), seconds=60)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
