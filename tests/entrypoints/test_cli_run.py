"""`run` and `pull` through the command line, with a scripted engine."""

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

from mlxk2.adapters.memory import MemoryCache, MemoryEngine, MemoryMachine, MemorySource
from mlxk2.entrypoints.cli.context import Services
from mlxk2.ports.errors import OperationError
from mlxk2.testing import healthy_model, memory_program, safetensors
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk


def answering(text: str) -> Callable[[], Services]:
    return memory_program(MemoryCache([healthy_model()]), MemoryEngine(lambda _: text))


def echoing() -> Callable[[], Services]:
    return memory_program(MemoryCache([healthy_model()]), MemoryEngine(lambda prompt: prompt))


def typed(monkeypatch: pytest.MonkeyPatch, content: bytes, *, terminal: bool = False) -> None:
    """Make standard input hold `content`."""

    class Input(io.TextIOWrapper):
        def isatty(self) -> bool:
            return terminal

    monkeypatch.setattr(sys, "stdin", Input(io.BytesIO(content)))


def test_the_answer_is_printed_with_a_line_end(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", services=answering("Hello"))
    assert (run.code, run.out, run.err) == (0, "Hello\n", "")
    assert cli("run", "tiny", "hi", services=answering("Hello\n")).out == "Hello\n"
    assert cli("run", "tiny", "hi", "--no-stream", services=answering("Hello")).out == "Hello\n"


def test_json_holds_the_answer_and_its_true_numbers(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", "--json", services=answering("Hello"))
    data = json.loads(run.out)["data"]
    assert list(data) == ["model", "prompt", "response", "usage", "finish_reason", "timings"]
    assert (data["model"], data["prompt"], data["response"]) == ("mlx-community/tiny-4bit", "hi", "Hello")
    assert data["usage"] == {
        "prompt_tokens": 9,
        "completion_tokens": 6,
        "total_tokens": 15,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert data["finish_reason"] == "stop"
    assert set(data["timings"]) == {"load_seconds", "first_token_seconds", "total_seconds", "tokens_per_second"}


def test_a_limit_ends_the_answer_and_says_so(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", "--max-tokens", "3", services=answering("Hello"))
    assert (run.out, run.err) == ("Hel\n", "(ended after 3 tokens, the limit of this run)\n")
    data = json.loads(cli("run", "tiny", "hi", "--max-tokens", "3", "--json", services=answering("Hello")).out)["data"]
    assert (data["finish_reason"], data["usage"]["completion_tokens"]) == ("length", 3)


def test_an_answer_that_fills_the_context_says_so(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", services=answering("x" * 3000))
    full = "the model's context of 2048 is full"
    assert run.err == f"(ended after 2039 tokens: {full}; a shorter prompt leaves more room)\n"


def test_stop_strings_end_the_answer_and_never_leak(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", "--stop", "wor", "--stop", "XX", "--json", services=answering("Hello world"))
    data = json.loads(run.out)["data"]
    assert (data["response"], data["finish_reason"], data["usage"]["completion_tokens"]) == ("Hello ", "stop", 9)
    assert cli("run", "tiny", "hi", "--stop", "o w", services=answering("Hello world")).out == "Hell\n"


@pytest.mark.parametrize("argv", [("hi",), ("-p", "hi"), ("--prompt", "hi"), ("-",), ()])
def test_the_prompt_comes_as_an_argument_an_option_or_from_standard_input(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch, argv: tuple[str, ...]
) -> None:
    typed(monkeypatch, b"hi")
    assert cli("run", "tiny", *argv, "--no-chat-template", services=echoing()).out == "hi\n"


def test_a_prompt_that_starts_with_a_dash_follows_two_dashes(cli: CommandLine) -> None:
    assert cli("run", "--no-chat-template", "--", "tiny", "--json please", services=echoing()).out == "--json please\n"


def test_the_system_text_comes_first(cli: CommandLine) -> None:
    assert cli("run", "tiny", "hi", "--system", "be kind", services=echoing()).out == "system: be kind\nuser: hi\n"


def test_no_prompt_on_a_terminal_is_a_usage_error(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b"", terminal=True)
    run = cli("run", "tiny", services=echoing())
    assert (run.code, run.out) == (2, "")
    assert "no prompt" in run.err


def test_an_empty_or_binary_standard_input_is_refused(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    typed(monkeypatch, b"")
    assert "prompt is empty" in cli("run", "tiny", services=echoing()).err
    typed(monkeypatch, b"\xff\xfe\x00")
    run = cli("run", "tiny", services=echoing())
    assert (run.code, "not UTF-8" in run.err) == (1, True)


def test_verbose_tells_speed_and_reason_on_standard_error(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", "--verbose", services=answering("Hello"))
    assert run.out == "Hello\n"
    assert "9 prompt + 6 generated tokens, 20.0 tokens/s, first token after 0.25 s" in run.err
    assert "ended by stop, greedy" in run.err


def test_an_engine_that_fails_is_an_error_and_what_came_before_is_kept(cli: CommandLine) -> None:
    def fail(_: str) -> str:
        raise OperationError("The engine failed")

    program = memory_program(MemoryCache([healthy_model()]), MemoryEngine(fail))
    run = cli("run", "tiny", "hi", "--json", services=program)
    assert (run.code, json.loads(run.out)["error"]["message"]) == (1, "The engine failed")


def test_an_answer_that_was_cut_off_with_its_model_is_no_whole_one(cli: CommandLine) -> None:
    def unloaded(_: str) -> str:
        engine.close()
        return "Hello"

    engine = MemoryEngine(unloaded)
    run = cli("run", "tiny", "hi", services=memory_program(MemoryCache([healthy_model()]), engine))
    assert run.code == 1
    assert run.err == "mlxk2: The model was unloaded before the answer was complete; run the same command again\n"


def small_machine() -> Callable[[], Services]:
    cache = MemoryCache([healthy_model()])
    return memory_program(cache, MemoryEngine(lambda _: "Hello"), machine=MemoryMachine(100, None))


def test_a_model_that_does_not_fit_is_refused_with_both_numbers(cli: CommandLine) -> None:
    run = cli("run", "tiny", "hi", services=small_machine())
    assert (run.code, run.out) == (1, "")
    assert run.err == (
        "mlxk2: 'mlx-community/tiny-4bit' needs about 139 B of memory, 126 B of them for its weights, and this machine"
        " has 75 B for it; take a smaller quantization, or try it anyway with --force-load\n"
    )
    error = json.loads(cli("run", "tiny", "hi", "--json", services=small_machine()).out)["error"]
    assert (error["type"], error["needed_bytes"], error["limit_bytes"]) == ("not_enough_memory", 139, 75)
    assert set(error) == {"type", "message", "needed_bytes", "limit_bytes"}


def test_force_load_tries_it_anyway(cli: CommandLine) -> None:
    assert cli("run", "tiny", "hi", "--force-load", services=small_machine()).out == "Hello\n"


def test_a_prompt_over_the_context_is_refused_with_both_numbers(cli: CommandLine) -> None:
    run = cli("run", "tiny", "x" * 3000, "--no-chat-template", "--json", services=echoing())
    error = json.loads(run.out)["error"]
    assert (run.code, error["type"]) == (1, "context_length_exceeded")
    assert (error["prompt_tokens"], error["context_length"]) == (3000, 2048)


DEMO = MemorySource(
    "mlxk2/demo",
    {"config.json": b'{"model_type": "qwen3"}', "tokenizer.json": b'{"model": {}}', "model.safetensors": safetensors()},
)


def pulled(cli: CommandLine, reference: str, program: Callable[[], Services]) -> Any:
    return json.loads(cli("pull", reference, "--json", services=program).out)


def test_pull_installs_the_demo_once_and_expands_its_name(cli: CommandLine) -> None:
    program = memory_program(MemoryCache(), bundled=DEMO)
    first = pulled(cli, "demo", program)["data"]
    assert (first["model"], first["download_status"], first["expanded_name"]) == ("mlxk2/demo", "success", "mlxk2/demo")
    second = pulled(cli, "mlxk2/demo", program)["data"]
    assert (second["download_status"], second["expanded_name"]) == ("already_exists", None)
    assert "already in the cache" in cli("pull", "demo", services=program).out


def test_pull_honours_a_revision_and_refuses_another(cli: CommandLine) -> None:
    program = memory_program(MemoryCache(), bundled=DEMO)
    commit = DEMO.fetch().commit
    assert pulled(cli, f"demo@{commit[:8]}", program)["status"] == "success"
    assert "revision" in pulled(cli, "demo@0123456", program)["error"]["message"]


def test_pull_never_claims_success_over_a_damage_that_it_cannot_mend(
    cli: CommandLine, model_cache: ModelCacheOnDisk
) -> None:
    assert cli("pull", "demo").code == 0
    (snapshot,) = (model_cache.root / "models--mlxk2--demo" / "snapshots").iterdir()
    (snapshot / "model-2.safetensors").write_bytes(b"junk")
    run = cli("pull", "demo", "--json")
    assert run.code == 1
    assert "model-2.safetensors, which is not of this commit" in json.loads(run.out)["error"]["message"]
    assert cli("rm", "demo", "--force").code == 0
    assert cli("pull", "demo").code == 0
    assert cli("health", "demo", "--fail").code == 0


def test_pull_repairs_a_damaged_demo(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    assert cli("pull", "demo").code == 0
    (blob,) = [path for path in (model_cache.root / "models--mlxk2--demo" / "blobs").iterdir() if len(path.name) == 64]
    whole = blob.read_bytes()
    blob.write_bytes(whole[:-100] + bytes(100))
    assert json.loads(cli("pull", "demo", "--json").out)["data"]["download_status"] == "success"
    assert blob.read_bytes() == whole
    blob.write_bytes(whole[:1000])
    assert cli("health", "--fail").code == 1
    document = json.loads(cli("pull", "demo", "--json").out)
    assert document["data"]["download_status"] == "success"
    assert blob.read_bytes() == whole
    assert cli("health", "--fail").code == 0
