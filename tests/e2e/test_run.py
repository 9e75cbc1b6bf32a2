"""`run` on the real demo model."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from tests.e2e.conftest import MLXK2, Program, environment

RAMBLING = ("run", "demo", "Once", "--no-chat-template", "--temperature", "9", "--seed", "21", "--max-tokens", "2000")


def changed_demo(demo_cache: Path, root: Path, files: Mapping[str, bytes]) -> Path:
    """A cache with a copy of the demo model in which some files are replaced or added."""
    shutil.copytree(demo_cache, root, symlinks=True)
    (snapshot,) = (root / "models--mlxk2--demo" / "snapshots").iterdir()
    shutil.rmtree(root / "models--mlxk2--demo" / "trees")
    for name, content in files.items():
        (snapshot / name).unlink(missing_ok=True)
        (snapshot / name).write_bytes(content)
    return root


def demo_json(demo_cache: Path, name: str) -> Any:
    (snapshot,) = (demo_cache / "models--mlxk2--demo" / "snapshots").iterdir()
    return json.loads((snapshot / name).read_text())


def test_the_demo_answers_about_the_program(program: Program) -> None:
    run = program("run", "demo", "How do I list my models?")
    assert (run.returncode, run.stderr) == (0, "")
    assert "mlxk2 list" in run.stdout
    assert "<" not in run.stdout.replace("<model>", "")


def test_the_numbers_of_an_answer_are_true(program: Program) -> None:
    data = json.loads(program("run", "demo", "what is 2 + 3?", "--json").stdout)["data"]
    assert "5" in data["response"]
    assert data["finish_reason"] == "stop"
    assert data["usage"]["total_tokens"] == data["usage"]["prompt_tokens"] + data["usage"]["completion_tokens"]
    assert 0 < data["timings"]["first_token_seconds"] <= data["timings"]["total_seconds"]
    cut = json.loads(program("run", "demo", "what is 2 + 3?", "--json", "--max-tokens", "2").stdout)["data"]
    assert (cut["finish_reason"], cut["usage"]["completion_tokens"]) == ("length", 2)
    assert data["response"].startswith(cut["response"])


def test_thinking_is_off_by_default_and_told_apart_from_the_answer_when_it_is_switched_on(program: Program) -> None:
    def asked(*options: str) -> tuple[str, int]:
        data = json.loads(program("run", "demo", "what is 2 + 3?", "--json", *options).stdout)["data"]
        return data["response"], data["usage"]["completion_tokens"]

    quiet, thoughtful = asked(), asked("--thinking")
    assert quiet == asked("--no-thinking")
    assert "<think>" not in quiet[0] + thoughtful[0]
    assert thoughtful[1] > quiet[1]


@pytest.mark.parametrize(("length", "stop"), [(0, 1), (3, 9), (5, 30)])
def test_a_stop_string_anywhere_in_the_answer_never_leaks(program: Program, length: int, stop: int) -> None:
    answer = json.loads(program("run", "demo", "How do I list my models?", "--json").stdout)["data"]["response"]
    text = answer[stop : stop + length + 1]
    data = json.loads(program("run", "demo", "How do I list my models?", "--json", "--stop", text).stdout)["data"]
    assert data["response"] == answer[: answer.index(text)]
    assert data["finish_reason"] == "stop"


def test_a_seed_makes_a_sampled_answer_repeatable(program: Program) -> None:
    argv = ("run", "demo", "Tell me", "--temperature", "2", "--max-tokens", "20")
    texts = [program(*argv, "--seed", seed).stdout for seed in ("1", "1", "2", "3")]
    assert texts[0] == texts[1]
    assert len(set(texts)) > 1


@pytest.mark.parametrize(
    "options",
    [
        ("--top-k", "5"),
        ("--top-k", "1000000"),
        ("--top-p", "0.5"),
        ("--min-p", "0.3"),
        ("--repetition-penalty", "1.3"),
        ("--system", "You are brief."),
        ("--no-chat-template",),
    ],
)
def test_every_sampling_option_is_understood_by_the_engine(program: Program, options: tuple[str, ...]) -> None:
    run = program("run", "demo", "hello", "--max-tokens", "5", "--json", *options)
    assert run.returncode == 0, run.stdout
    assert json.loads(run.stdout)["data"]["usage"]["completion_tokens"] > 0


def test_top_k_of_one_is_greedy(program: Program) -> None:
    assert program("run", "demo", "hello", "--top-k", "1").stdout == program("run", "demo", "hello").stdout


def test_a_cache_path_with_glob_characters_is_no_hindrance(program: Program, demo_cache: Path, tmp_path: Path) -> None:
    cache = changed_demo(demo_cache, tmp_path / "d[1]*" / "hub", {})
    run = program("run", "demo", "hello", cache=cache)
    assert (run.returncode, run.stdout) == (0, program("run", "demo", "hello").stdout)


def test_the_prompt_can_be_piped_in(program: Program) -> None:
    piped = program("run", "demo", stdin="How do I list my models?")
    assert piped.stdout == program("run", "demo", "How do I list my models?").stdout
    assert program("run", "demo", stdin="").returncode == 1


def test_a_prompt_over_the_context_names_both_numbers(program: Program) -> None:
    run = program("run", "demo", stdin="many words " * 3000)
    assert run.returncode == 1
    assert "2048" in run.stderr
    assert run.stderr.count("\n") == 1


def test_a_prompt_over_the_context_is_an_error_type_of_its_own(program: Program) -> None:
    run = program("run", "demo", "--json", stdin="many words " * 3000)
    error = json.loads(run.stdout)["error"]
    assert (run.returncode, error["type"], error["context_length"]) == (1, "context_length_exceeded", 2048)
    assert error["prompt_tokens"] > 2048


def test_a_model_that_is_too_large_for_the_machine_is_refused_before_it_is_loaded(
    program: Program, demo_cache: Path, tmp_path: Path
) -> None:
    cache = changed_demo(demo_cache, tmp_path / "hub", {})
    memory = json.loads(program("version", "--json").stdout)["data"]["system"]["memory_total_bytes"]
    _pretend_weights(cache, memory)
    run = program("run", "demo", "hello", "--json", cache=cache)
    error = json.loads(run.stdout)["error"]
    assert (run.returncode, error["type"]) == (1, "not_enough_memory")
    assert error["needed_bytes"] > memory > error["limit_bytes"] > 0
    assert "--force-load" in error["message"]


def _pretend_weights(cache: Path, count: int) -> None:
    """One more weight file, with a tensor of so many bytes that take no room on the disk."""
    (snapshot,) = (cache / "models--mlxk2--demo" / "snapshots").iterdir()
    header = json.dumps({"large": {"dtype": "U8", "shape": [count], "data_offsets": [0, count]}}).encode()
    with (snapshot / "model-large.safetensors").open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + count)


def test_force_load_runs_a_model_as_ever_when_it_fits(program: Program) -> None:
    forced = program("run", "demo", "How do I list my models?", "--force-load")
    assert (forced.returncode, forced.stdout) == (0, program("run", "demo", "How do I list my models?").stdout)


def test_the_answer_is_streamed(demo_cache: Path) -> None:
    with subprocess.Popen(
        [MLXK2, "run", "demo", "How do I list my models?"], env=environment(demo_cache), stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        pieces = []
        while piece := os.read(process.stdout.fileno(), 4096):
            pieces.append(piece)
    assert process.returncode == 0
    assert len(pieces) > 3


def test_a_reader_that_goes_away_ends_the_run_quietly(demo_cache: Path) -> None:
    with subprocess.Popen(
        [MLXK2, *RAMBLING], env=environment(demo_cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.stdout.close()
        assert process.stderr is not None
        assert process.stderr.read() == ""
    assert process.returncode == 0


def test_ctrl_c_ends_the_answer_at_once(demo_cache: Path) -> None:
    with subprocess.Popen(
        [MLXK2, *RAMBLING], env=environment(demo_cache), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        process.stdout.read(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == "mlxk2: Interrupted\n"


@pytest.mark.skipif(not Path("/proc/self/syscall").exists(), reason="needs Linux to know when the process waits")
def test_ctrl_c_with_json_is_an_envelope(demo_cache: Path, schema: jsonschema.Draft202012Validator) -> None:
    with subprocess.Popen(
        [MLXK2, "run", "demo", "-", "--json"],
        env=environment(demo_cache),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        _wait_until_it_reads_its_input(process.pid)
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate()
    assert (process.returncode, errors) == (130, "")
    schema.validate(json.loads(output))
    assert json.loads(output)["error"]["type"] == "Interrupted"


def _wait_until_it_reads_its_input(pid: int) -> None:
    """Until the process sits in a system call on file descriptor 0 (its first two words: number, first argument)."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        words = Path(f"/proc/{pid}/syscall").read_text().split()
        if words[1:2] == ["0x0"] and words[0] in ("0", "63"):
            return
    raise AssertionError("it never read its standard input")


EVIL = b"from mlx_lm.models.qwen3 import Model, ModelArgs\nimport os\nopen(os.environ['MARK'], 'w').close()\n"


def test_code_of_a_model_never_runs_unless_it_is_trusted(program: Program, demo_cache: Path, tmp_path: Path) -> None:
    config = {**demo_json(demo_cache, "config.json"), "model_file": "evil.py"}
    cache = changed_demo(demo_cache, tmp_path / "hub", {"config.json": json.dumps(config).encode(), "evil.py": EVIL})
    mark = tmp_path / "mark"
    model = json.loads(program("show", "demo", "--json", cache=cache).stdout)["data"]["model"]
    assert (model["health"], model["runtime_compatible"]) == ("healthy", False)
    assert "evil.py" in model["reason"]
    refused = program("run", "demo", "hello", cache=cache, MARK=str(mark))
    assert refused.returncode == 1
    assert "--trust-remote-code" in refused.stderr
    assert not mark.exists()
    trusted = program("run", "demo", "hello", "--trust-remote-code", cache=cache, MARK=str(mark))
    assert trusted.returncode == 0, trusted.stderr
    assert mark.exists()


def test_an_auto_map_is_ignored(program: Program, demo_cache: Path, tmp_path: Path) -> None:
    mapping = {
        "AutoModelForCausalLM": "evil.Model",
        "AutoTokenizer": ["evil.Tokenizer", None],
        "AutoConfig": "evil.Args",
    }
    files = {"evil.py": EVIL}
    for name in ("config.json", "tokenizer_config.json"):
        files[name] = json.dumps({**demo_json(demo_cache, name), "auto_map": mapping}).encode()
    cache = changed_demo(demo_cache, tmp_path / "hub", files)
    mark = tmp_path / "mark"
    run = program("run", "demo", "hello", cache=cache, MARK=str(mark))
    assert (run.returncode, run.stdout) == (0, program("run", "demo", "hello").stdout)
    assert not mark.exists()


def test_a_template_that_fails_is_one_clear_sentence(program: Program, demo_cache: Path, tmp_path: Path) -> None:
    template = b"{{ raise_exception('System role not supported') }}"
    cache = changed_demo(demo_cache, tmp_path / "hub", {"chat_template.jinja": template})
    run = program("run", "demo", "hello", cache=cache)
    assert (run.returncode, run.stderr.count("\n")) == (1, 1)
    assert "System role not supported" in run.stderr


def test_weights_that_do_not_fit_the_config_are_one_clear_sentence(
    program: Program, demo_cache: Path, tmp_path: Path
) -> None:
    config = {**demo_json(demo_cache, "config.json"), "num_hidden_layers": 9}
    cache = changed_demo(demo_cache, tmp_path / "hub", {"config.json": json.dumps(config).encode()})
    run = program("run", "demo", "hello", "--json", cache=cache)
    assert run.returncode == 1
    message = json.loads(run.stdout)["error"]["message"]
    assert message.startswith("mlx-lm could not load this model: Missing 55 parameters: ")
    assert "layers.4" in message
    assert message.endswith("or this mlx-lm is too old for it")
