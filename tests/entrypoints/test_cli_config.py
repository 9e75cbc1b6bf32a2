"""`mlxk2 config`: what the server would be told, and who says so."""

import json
from pathlib import Path

import pytest

from mlxk2.configuration.options import OPTIONS
from mlxk2.testing.plugin import CommandLine

TABLE = """\
option              value      from
host                127.0.0.1  default
port                8080       file
api-key-file        none       default
api-key             set        MLXK2_API_KEY
insecure            false      default
cors-origin         none       default
allowed-host        none       default
model               demo,qwen  file
pin                 none       default
allow               none       default
memory              24GB       file
max-models          none       default
keep-alive          1h         MLXK2_KEEP_ALIVE
prefix-cache        auto       default
default-max-tokens  4096       default
max-tokens-limit    none       default
queue               256        default
queue-patience      5m         default
per-key             none       default
request-timeout     10m        default
drain-seconds       30s        default
max-body            8MiB       default
log-format          text       default
log-level           info       default

The file is FILE.
"""


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that sets three options, beside two variables."""
    path = tmp_path / "mlxk2" / "config.toml"
    path.parent.mkdir()
    path.write_text('[serve]\nport = 8080\nmodel = ["demo", "qwen"]\nmemory = "24GB"\nkeep-alive = "2h"\n')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("MLXK2_KEEP_ALIVE", "1h")
    monkeypatch.setenv("MLXK2_API_KEY", "s3cret")
    return path


def test_the_table_has_every_option_with_its_value_and_where_it_comes_from(cli: CommandLine, file: Path) -> None:
    shown = cli("config")
    assert (shown.code, shown.err) == (0, "")
    assert shown.out.replace(str(file), "FILE") == TABLE


def test_json_has_numbers_and_never_a_secret(cli: CommandLine, file: Path) -> None:
    shown = cli("config", "--json")
    data = json.loads(shown.out)["data"]
    assert (data["file"], data["usual_file"]) == (str(file), str(file))
    found = {each["name"]: (each["variable"], each["value"], each["source"]) for each in data["options"]}
    assert list(found) == [option.name for option in OPTIONS]
    assert found["port"] == ("MLXK2_PORT", 8080, "file")
    assert found["model"] == ("MLXK2_MODEL", ["demo", "qwen"], "file")
    assert found["memory"] == ("MLXK2_MEMORY", 24_000_000_000, "file")
    assert found["keep-alive"] == ("MLXK2_KEEP_ALIVE", 3600.0, "environment")
    assert found["insecure"] == ("MLXK2_INSECURE", False, "default")
    assert found["max-models"] == ("MLXK2_MAX_MODELS", None, "default")
    assert found["api-key"] == ("MLXK2_API_KEY", None, "environment")
    assert "s3cret" not in shown.out + cli("config").out


def test_without_a_file_it_says_where_one_would_be(cli: CommandLine, tmp_path: Path) -> None:
    usual = tmp_path / "no-configuration-here" / "mlxk2" / "config.toml"
    shown = cli("config")
    assert shown.out.splitlines()[-1] == (
        f"There is no file; it would be {usual}, with the options below a line [serve]."
    )
    assert "api-key             not set    default" in shown.out
    data = json.loads(cli("config", "--json").out)["data"]
    assert (data["file"], data["usual_file"]) == (None, str(usual))
    assert {each["source"] for each in data["options"]} == {"default"}


def test_another_file_can_be_looked_at(cli: CommandLine, file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.toml"
    other.write_text("[serve]\nport = 9\n")
    data = json.loads(cli("config", "--config", str(other), "--json").out)["data"]
    assert (data["file"], data["usual_file"]) == (str(other), str(file))
    assert data["options"][1]["value"] == 9


@pytest.mark.parametrize("command", ["config", "serve", "server"])
def test_what_is_wrong_with_it_is_told_by_both_commands(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("MLXK2_PORT", "http")
    told = cli(command)
    assert (told.code, told.out) == (1, "")
    assert told.err == "mlxk2: MLXK2_PORT is 'http'; it must be a whole number from 0 to 65535\n"
    document = json.loads(cli(command, "--json").out)
    assert document["command"] == {"server": "serve"}.get(command, command)
    assert document["error"]["type"] == "ValidationError"


def test_a_file_that_cannot_be_read_is_a_failure_of_the_file_system(cli: CommandLine, tmp_path: Path) -> None:
    told = cli("config", "--config", str(tmp_path / "none.toml"), "--json")
    assert told.code == 3
    assert json.loads(told.out)["error"]["type"] == "PermissionError"
