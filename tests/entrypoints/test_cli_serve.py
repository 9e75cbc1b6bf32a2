"""`mlxk2 serve` as a process of its own: what it says when it listens, and how it ends.

No model is loaded here, except where a load is to fail: the cache holds models of a few hundred bytes.
"""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlxk2.testing import healthy_model
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk
from tests.conftest import check_against

_PATIENCE = 60
"""Seconds after which a test gives up waiting."""

BLOCK = """\
mlxk2 serves at http://127.0.0.1:PORT (process PID)
  Models:    2 models to ask for: org/tiny-a, org/tiny-b
  API keys:  not required
  OpenAI:    base URL http://127.0.0.1:PORT/v1
  Anthropic: base URL http://127.0.0.1:PORT
  Stop:      Ctrl-C (answers under way have 30 s to end; twice: at once)
"""


@dataclass(frozen=True, slots=True)
class Server:
    """A running `mlxk2 serve --json`, and the document that it printed."""

    process: "subprocess.Popen[str]"
    line: str

    @property
    def data(self) -> Any:
        return json.loads(self.line)["data"]

    def status(self, path: str, headers: dict[str, str] | None = None) -> int:
        request = urllib.request.Request(self.data["url"] + path, headers=headers or {})  # noqa: S310 - loopback
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310
                return int(answer.status)
        except urllib.error.HTTPError as error:
            error.close()
            return error.code

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str, str]:
        """Exit code, and what it printed since it listened."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=_PATIENCE)
        return self.process.returncode, out, err


@contextmanager
def started(environment: dict[str, str], *argv: str) -> "Iterator[subprocess.Popen[str]]":
    command = [sys.executable, "-m", "mlxk2", *argv]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@contextmanager
def serving(environment: dict[str, str], *argv: str) -> Iterator[Server]:
    with started(environment, "serve", "--port", "0", "--json", *argv) as process:
        assert process.stdout is not None
        yield Server(process, process.stdout.readline())


@pytest.fixture
def environment(model_cache: ModelCacheOnDisk) -> dict[str, str]:
    """A cache with two models that run."""
    model_cache.add(healthy_model("org/tiny-a"), healthy_model("org/tiny-b"))
    return {**os.environ, "HF_HUB_CACHE": str(model_cache.root)}


def complaint(environment: dict[str, str], *argv: str) -> tuple[int, str]:
    """Exit code and sentence of a server that does not start."""
    with started(environment, "serve", *argv) as process:
        out, err = process.communicate(timeout=_PATIENCE)
    assert out == ""
    return process.returncode, err


def test_with_json_one_document_says_where_it_listens(
    environment: dict[str, str], schema: jsonschema.Draft202012Validator
) -> None:
    with serving(environment) as server:
        check_against(schema, server.line)
        data = server.data
        assert data["url"] == f"http://127.0.0.1:{data['port']}"
        assert (data["host"], data["pid"]) == ("127.0.0.1", server.process.pid)
        assert (data["models"], data["loading"], data["api_key_required"]) == (["org/tiny-a", "org/tiny-b"], [], False)
        assert server.status("/health") == 200
        code, out, _ = server.end()
    assert (code, out) == (0, "")


def test_for_people_one_block_says_how_to_use_it(environment: dict[str, str]) -> None:
    with started(environment, "server", "--port", "0") as process:
        assert process.stderr is not None
        block = "".join(process.stderr.readline() for _ in BLOCK.splitlines())
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=_PATIENCE)
    assert re.sub(r":[0-9]+(/|\n| \()", r":PORT\1", block).replace(f"process {process.pid}", "process PID") == BLOCK
    assert (process.returncode, out) == (0, "")


def test_without_a_model_it_says_how_to_get_one(model_cache: ModelCacheOnDisk) -> None:
    environment = {**os.environ, "HF_HUB_CACHE": str(model_cache.root)}
    with started(environment, "serve", "--port", "0") as process:
        assert process.stderr is not None
        process.stderr.readline()
        assert process.stderr.readline() == "  Models:    none in the cache; get one with: mlxk2 pull demo\n"


def test_flags_variables_and_the_file_reach_the_server(environment: dict[str, str], tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_text('[serve]\nallow = ["tiny-b"]\nlog-format = "json"\nport = 1\n')
    variables = {**environment, "MLXK2_CONFIG": str(file), "MLXK2_API_KEY": "key-1"}
    with serving(variables) as server:
        assert server.data["models"] == ["org/tiny-b"]
        assert server.data["api_key_required"] is True
        assert server.status("/v1/models") == 401
        assert server.status("/v1/models", {"Authorization": "Bearer key-1"}) == 200
        code, _, err = server.end()
    assert code == 0
    assert [json.loads(line)["request"]["status"] for line in err.splitlines() if "/v1/models" in line] == [401, 200]


def test_a_log_of_json_is_json_from_its_first_line(environment: dict[str, str]) -> None:
    with started(environment, "serve", "--port", "0", "--log-format", "json") as process:
        assert process.stderr is not None
        first = json.loads(process.stderr.readline())
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=_PATIENCE)
    assert re.fullmatch(r"The server listens at http://127\.0\.0\.1:[0-9]+", first["message"])
    assert [line for line in rest.splitlines() if not line.startswith("{")] == []


def test_a_port_that_is_taken_is_named_with_the_next_step(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, told = complaint(environment, "--port", str(port))
    assert code == 1
    assert told.startswith(f"mlxk2: The server cannot listen on 127.0.0.1 port {port}: ")
    assert told.endswith("or choose another with --port (0: any free one)\n")


@pytest.mark.parametrize("flag", ["--model", "--pin"])
def test_a_model_that_is_not_there_keeps_it_from_starting(environment: dict[str, str], flag: str) -> None:
    code, told = complaint(environment, "--port", "0", flag, "nothing-like-this")
    assert code == 1
    assert told.startswith("mlxk2: No model in the cache matches 'nothing-like-this'")


def test_a_model_that_cannot_be_loaded_ends_it_in_one_sentence(environment: dict[str, str]) -> None:
    """The tiny model looks healthy, but its weights are no model of mlx-lm's."""
    with serving(environment, "--model", "tiny-a") as server:
        out, err = server.process.communicate(timeout=_PATIENCE)
    assert server.data["loading"] == ["tiny-a"]
    assert (server.process.returncode, out) == (1, "")
    assert [line[:34] for line in err.splitlines() if line.startswith("mlxk2: ")] == [
        "mlxk2: mlx-lm could not load this "
    ]


@pytest.mark.parametrize(
    ("argv", "code", "kind"),
    [
        (("--host", "192.0.2.1"), 1, "ValidationError"),
        (("--api-key-file", "/no/such/file"), 3, "PermissionError"),
        (("--config", "/no/such/file"), 3, "PermissionError"),
        (("--port", "65536"), 1, "ValidationError"),
        (("--default-max-tokens", "9", "--max-tokens-limit", "8"), 1, "ValidationError"),
        (("--frob",), 2, "ValidationError"),
        (("demo",), 2, "ValidationError"),
    ],
)
def test_what_keeps_it_from_starting_has_its_type_and_its_exit_code(
    cli: CommandLine, argv: tuple[str, ...], code: int, kind: str
) -> None:
    told = cli("serve", *argv, "--json")
    document = json.loads(told.out)
    assert (told.code, document["command"], document["error"]["type"]) == (code, "serve", kind)


def test_a_key_file_that_others_can_read_is_warned_of(environment: dict[str, str], tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text("key-1\n")
    keys.chmod(0o644)
    with serving(environment, "--api-key-file", str(keys)) as server:
        assert server.status("/v1/models", {"x-api-key": "key-1"}) == 200
        _, _, err = server.end()
    assert f"chmod 600 {keys}" in err
    assert "key-1" not in err
