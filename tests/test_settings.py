"""Where the cache is: as huggingface_hub finds it, except that empty means unset."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mlxk2.ports.errors import ValidationError
from mlxk2.settings import cache_root, check_hub, memory_dir, read_settings, runtime_dir, state_dir

HOME = os.path.expanduser("~")
VARIABLES = ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME")


@pytest.mark.parametrize(
    ("environ", "root"),
    [
        ({}, f"{HOME}/.cache/huggingface/hub"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/huggingface/hub"),
        ({"HF_HOME": "/h", "XDG_CACHE_HOME": "/x"}, "/h/hub"),
        ({"HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/h"}, "/old"),
        ({"HF_HUB_CACHE": "/new", "HUGGINGFACE_HUB_CACHE": "/old", "HF_HOME": "/h"}, "/new"),
        ({"HF_HUB_CACHE": "~/hub"}, f"{HOME}/hub"),
        ({"HF_HOME": "~/hf"}, f"{HOME}/hf/hub"),
        ({"HF_HUB_CACHE": "$MLXK2_TEST_DISK/hub"}, "/mnt/disk/hub"),
    ],
)
def test_the_cache_is_found_as_huggingface_hub_finds_it(
    environ: dict[str, str], root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLXK2_TEST_DISK", "/mnt/disk")
    assert cache_root(environ) == root
    others = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    code = "import huggingface_hub.constants as c; print(c.HF_HUB_CACHE)"
    theirs = subprocess.run(
        [sys.executable, "-c", code], env={**others, **environ}, capture_output=True, text=True, check=True
    )
    assert theirs.stdout.strip() == root


@pytest.mark.parametrize("name", VARIABLES)
def test_an_empty_variable_counts_as_unset(name: str) -> None:
    assert cache_root({name: ""}) == f"{HOME}/.cache/huggingface/hub"


def test_a_relative_folder_is_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_settings({"HF_HUB_CACHE": "hub"}).cache_root == str(tmp_path / "hub")


@pytest.mark.parametrize(
    ("environ", "hub"),
    [
        ({}, "https://huggingface.co"),
        ({"HF_ENDPOINT": ""}, "https://huggingface.co"),
        ({"HF_ENDPOINT": "http://127.0.0.1:8080/"}, "http://127.0.0.1:8080"),
    ],
)
def test_the_hub_is_the_one_that_the_environment_names(environ: dict[str, str], hub: str) -> None:
    assert read_settings(environ).hub == hub
    check_hub(hub)


@pytest.mark.parametrize("address", ["", "huggingface.co", "ftp://host", "http://", "http://[::1", "http://host:99999"])
def test_an_address_where_nobody_can_be_is_refused(address: str) -> None:
    with pytest.raises(ValidationError, match=r"HF_ENDPOINT is .*correct or unset it"):
        check_hub(address)


@pytest.mark.parametrize("name", ["HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"])
@pytest.mark.parametrize(("value", "offline"), [("1", True), ("true", True), ("YES", True), ("0", False), ("", False)])
def test_offline_mode_is_on_as_huggingface_hub_reads_it(name: str, value: str, *, offline: bool) -> None:
    assert read_settings({name: value}).offline is offline


def test_running_programs_meet_in_the_runtime_folder_of_the_user(tmp_path: Path) -> None:
    assert read_settings({"XDG_RUNTIME_DIR": str(tmp_path)}).runtime_dir == str(tmp_path.resolve())
    link = tmp_path / "link"
    link.symlink_to(tmp_path, target_is_directory=True)
    assert read_settings({"XDG_RUNTIME_DIR": str(link)}).runtime_dir == str(tmp_path.resolve())


@pytest.mark.parametrize("unusable", ["", "relative", "/nothing/here", "/dev/null", "/a\0b"])
def test_without_a_runtime_folder_they_meet_in_a_folder_among_the_temporary_ones(unusable: str) -> None:
    environ = {"XDG_RUNTIME_DIR": unusable, "TMPDIR": "/where/temporary"}
    assert runtime_dir(environ) == f"/where/temporary/mlxk2-{os.getuid()}"
    assert runtime_dir({}) == f"/tmp/mlxk2-{os.getuid()}"  # noqa: S108


def test_a_runtime_folder_of_another_user_is_not_used(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    another = os.getuid() + 1
    monkeypatch.setattr(os, "getuid", lambda: another)
    assert runtime_dir({"XDG_RUNTIME_DIR": str(tmp_path)}) == f"/tmp/mlxk2-{another}"  # noqa: S108


def test_logs_and_conversations_are_kept_where_the_environment_or_else_the_system_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert read_settings({"XDG_STATE_HOME": "/kept"}).state_dir == "/kept"
    monkeypatch.setattr(sys, "platform", "linux")
    assert state_dir({}) == state_dir({"XDG_STATE_HOME": "relative"}) == f"{HOME}/.local/state"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert state_dir({}) == f"{HOME}/Library/Application Support"


def test_what_only_saves_time_is_kept_where_the_environment_or_else_the_system_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert read_settings({"XDG_CACHE_HOME": "/kept"}).memory_dir == "/kept"
    monkeypatch.setattr(sys, "platform", "linux")
    assert memory_dir({}) == memory_dir({"XDG_CACHE_HOME": "relative"}) == f"{HOME}/.cache"
    monkeypatch.setattr(sys, "platform", "darwin")
    assert memory_dir({}) == f"{HOME}/Library/Caches"
