"""`fit`: the lines for people, the document for programs, exit codes, and what is asked of a Hub."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from huggingface_hub import close_session

from mlxk2.adapters.hub import HuggingFaceHub
from mlxk2.adapters.memory import (
    MemoryCache,
    MemoryClock,
    MemoryEngine,
    MemoryEngineLoader,
    MemoryHub,
    MemoryMachine,
    MemoryRepo,
)
from mlxk2.adapters.workspace import FolderWorkspace
from mlxk2.container import services_on
from mlxk2.entrypoints.cli.context import Services
from mlxk2.testing import (
    MemoryCatalogue,
    MemorySource,
    Run,
    gguf_model,
    healthy_model,
    memory_program,
    safetensors,
    with_files,
    with_listing,
)
from mlxk2.testing.plugin import CommandLine
from tests.loopback_hub import LoopbackHub

CONFIG = {
    "model_type": "qwen3",
    "max_position_embeddings": 40960,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "hidden_size": 4096,
    "num_hidden_layers": 36,
}
NAME = "org/Tiny-8B-4bit"
FILES = {"config.json": json.dumps(CONFIG).encode(), "model.safetensors": safetensors()}
HUB = MemoryHub({NAME: MemoryRepo({"main": FILES})})
COMMIT = HUB.repos[NAME].commit("main")
GGUF = "bartowski/tiny-Q4_K_M-GGUF"
GB = 10**9
Program = Callable[[], Services]


def on_hub(total: int | None = 16 * GB, available: int | None = 8 * GB) -> Program:
    return memory_program(MemoryCache(), hub=HUB, machine=MemoryMachine(total, available))


def data(run: Run, code: int = 0) -> Any:
    document = json.loads(run.out)
    assert (run.code, run.err) == (code, "")
    assert (document["status"], document["command"], document["error"]) == ("success", "fit", None)
    return document["data"]


class TestWords:
    def test_a_model_that_fits(self, cli: CommandLine) -> None:
        run = cli("fit", NAME, services=on_hub())
        assert (run.code, run.err) == (0, "")
        assert run.out == (
            f"Model:   org/Tiny-8B-4bit ({COMMIT[:7]}), on the Hub\n"
            f"Weights: {len(FILES['model.safetensors'])} B\n"
            "Context: 40,960 tokens: 6.1 GB of keys and values\n"
            "Needed:  7.6 GB, with room to compute\n"
            "Memory:  8.0 GB free of 16.0 GB; a model may take 12.0 GB\n"
            "Verdict: It fits, with its whole context of 40,960 tokens\n"
            "Next:    mlxk2 pull org/Tiny-8B-4bit\n"
        )

    def test_a_part_of_the_context_fits(self, cli: CommandLine) -> None:
        run = cli("fit", NAME, services=on_hub(available=2 * GB))
        assert run.code == 0
        assert "Verdict: It fits, with a context of up to 10,595 of its 40,960 tokens\n" in run.out

    def test_a_context_that_does_not_fit(self, cli: CommandLine) -> None:
        run = cli("fit", NAME, "--context", "20000", services=on_hub(available=2 * GB))
        assert run.code == 1
        assert "Context: 20,000 tokens of 40,960: 3.0 GB of keys and values\n" in run.out
        assert (
            "Verdict: It does not fit with a context of 20,000 tokens: this machine has 2.0 GB for it,"
            " enough for 10,595 tokens\n"
            "Next:    close other programs, or ask for less: --context 10595,"
            " or take a smaller one: mlxk2 search Tiny 8B\n"
        ) in run.out

    def test_weights_that_are_too_large(self, cli: CommandLine) -> None:
        run = cli("fit", NAME, services=on_hub(total=150, available=150))
        assert run.code == 1
        assert (
            "Verdict: It does not fit: its weights are too large, this machine has 112 B for it\n"
            "Next:    take a smaller one: mlxk2 search Tiny 8B\n"
        ) in run.out

    def test_lines_are_folded_into_a_narrow_terminal(self, cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        run = cli("fit", NAME, "--context", "20000", services=on_hub(available=2 * GB))
        lines = run.out.splitlines()
        assert max(len(line) for line in lines) <= 60
        begun = lines.index("Verdict: It does not fit with a context of 20,000 tokens:")
        assert lines[begun + 1] == "         this machine has 2.0 GB for it, enough for 10,595"

    def test_a_cached_model_can_be_run_and_a_damaged_one_repaired(self, cli: CommandLine) -> None:
        whole = with_listing(healthy_model(shards=2))
        torn = with_files(whole, {"model-00002-of-00002.safetensors": None})
        for model, step in ((whole, "run mlx-community/tiny-4bit"), (torn, "pull mlx-community/tiny-4bit --repair")):
            run = cli("fit", "tiny", services=memory_program(MemoryCache([model])))
            assert run.code == 0
            assert run.out.endswith(f"Next:    mlxk2 {step}\n")

    def test_the_revision_that_was_asked_for_is_in_the_next_step(self, cli: CommandLine) -> None:
        assert f"Next:    mlxk2 pull {NAME}@{COMMIT[:12]}\n" in cli("fit", f"{NAME}@main", services=on_hub()).out

    def test_a_model_that_mlx_lm_cannot_run(self, cli: CommandLine) -> None:
        run = cli("fit", GGUF, services=memory_program(MemoryCache([gguf_model(GGUF)])))
        assert run.code == 1
        assert run.out == (
            f"Model:   {GGUF} (REVISION), in the cache\n"
            "Weights: none that mlx-lm could load\n"
            "Context: 8,192 tokens (config.json names no limit): not known before it is loaded\n"
            "Memory:  8.0 GB free of 16.0 GB; a model may take 12.0 GB\n"
            "Verdict: It cannot run here: GGUF weights: mlx-lm loads safetensors only\n"
            "Next:    find one that can: mlxk2 search tiny\n"
        ).replace("REVISION", next(iter(gguf_model(GGUF).revisions))[:7])

    def test_a_system_that_does_not_tell_its_memory(self, cli: CommandLine) -> None:
        run = cli("fit", NAME, services=on_hub(None, None))
        assert run.code == 0
        assert "Memory:  not told by this system\nVerdict: Nobody can tell: this system does not say" in run.out

    def test_a_system_that_does_not_tell_what_is_free(self, cli: CommandLine) -> None:
        out = cli("fit", NAME, services=on_hub(available=None)).out
        assert "Memory:  16.0 GB; a model may take 12.0 GB\n" in out


class TestForPrograms:
    def test_the_document(self, cli: CommandLine) -> None:
        assert data(cli("fit", NAME, "--context", "20000", "--json", services=on_hub(available=2 * GB)), 1) == {
            "model": NAME,
            "hash": COMMIT,
            "source": "hub",
            "context_length": 40960,
            "context": 20000,
            "weights_bytes": len(FILES["model.safetensors"]),
            "kv_bytes": 147456 * (20000 + 255),
            "needed_bytes": len(FILES["model.safetensors"]) + round(147456 * (20000 + 255) / 0.8),
            "memory": {
                "total_bytes": 16 * GB,
                "available_bytes": 2 * GB,
                "limit_bytes": 12 * GB,
                "usable_bytes": 2 * GB,
            },
            "largest_context": 10595,
            "fits": False,
            "runtime_compatible": True,
            "reason": None,
            "message": "It does not fit with a context of 20,000 tokens: this machine has 2.0 GB for it, enough for"
            " 10,595 tokens",
            "next_step": "close other programs, or ask for less: --context 10595, or take a smaller one:"
            " mlxk2 search Tiny 8B",
        }

    def test_the_context_that_is_told_to_fit_does(self, cli: CommandLine) -> None:
        tight = on_hub(available=2 * GB)
        assert data(cli("fit", NAME, "--context", "10595", "--json", services=tight))["fits"] is True
        assert data(cli("fit", NAME, "--context", "10596", "--json", services=tight), 1)["fits"] is False

    def test_what_nobody_can_tell_is_null(self, cli: CommandLine) -> None:
        told = data(cli("fit", NAME, "--json", services=on_hub(None, None)))
        assert (told["fits"], told["largest_context"], told["memory"]["usable_bytes"]) == (None, None, None)

    @pytest.mark.parametrize(
        ("argv", "code", "kind"),
        [
            ((NAME, "--context", "0"), 1, "ValidationError"),
            ((NAME, "--context", "40961"), 1, "ValidationError"),
            ((NAME, "--context", "many"), 2, "ValidationError"),
            ((), 2, "ValidationError"),
            (("org/a--b",), 1, "ValidationError"),
            (("org/other",), 2, "model_not_found"),
        ],
    )
    def test_what_is_wrong_is_told_with_its_exit_code(
        self, cli: CommandLine, argv: tuple[str, ...], code: int, kind: str
    ) -> None:
        run = cli("fit", *argv, "--json", services=on_hub())
        assert (run.code, json.loads(run.out)["error"]["type"]) == (code, kind)

    def test_offline_is_told_as_such(self, cli: CommandLine) -> None:
        run = cli("fit", NAME, "--json", services=memory_program(MemoryCache(), hub=MemoryHub(is_offline=True)))
        assert (run.code, json.loads(run.out)["error"]["type"]) == (2, "NetworkError")

    @pytest.mark.parametrize("hub", [HUB, MemoryHub(is_offline=True)])
    def test_a_name_that_is_nearly_one_in_the_cache_is_told(self, cli: CommandLine, hub: MemoryHub) -> None:
        program = memory_program(MemoryCache([healthy_model("org/tiny-a")]), hub=hub)
        assert cli("fit", "tinny-a", services=program).err.endswith(
            "; did you mean org/tiny-a, which is in the cache?\n"
        )
        assert "did you mean" not in cli("fit", "org/zzz", services=program).err


@pytest.fixture(autouse=True, scope="module")
def _one_session() -> Iterator[None]:
    """A new one for each test would read all certificates again."""
    yield
    close_session()


class TestOnAHub:
    @pytest.fixture
    def server(self) -> Iterator[LoopbackHub]:
        with LoopbackHub() as server:
            yield server

    @pytest.fixture
    def fit(self, cli: CommandLine, server: LoopbackHub) -> Callable[..., Run]:
        services = services_on(
            cache=MemoryCache(),
            bundled=MemorySource("mlxk2/demo", {"config.json": b"{}"}),
            hub=HuggingFaceHub(server.endpoint),
            workspace=FolderWorkspace(),
            runtime=MemoryCatalogue(),
            clock=MemoryClock(),
            machine=MemoryMachine(),
            loader=MemoryEngineLoader(MemoryEngine(lambda prompt: prompt)),
        )
        return lambda *argv: cli("fit", *argv, services=lambda: services)

    def test_the_sizes_are_asked_for_and_the_config_is_all_that_is_fetched(
        self, fit: Callable[..., Run], server: LoopbackHub
    ) -> None:
        commit = server.add_model(NAME, {**FILES, "tokenizer.json": b"{}", "README.md": b"# long"})
        told = data(fit(NAME, "--json"))
        assert (told["hash"], told["weights_bytes"]) == (commit, len(FILES["model.safetensors"]))
        assert [request.path.partition("?")[0] for request in server.requests] == [
            f"/api/models/{NAME}/revision/main",
            f"/{NAME}/resolve/{commit}/config.json",
        ]

    def test_a_gated_model_is_refused_before_anything_is_fetched(
        self, fit: Callable[..., Run], server: LoopbackHub
    ) -> None:
        server.add_model(NAME, FILES, gated="manual")
        run = fit(NAME, "--json")
        assert (run.code, json.loads(run.out)["error"]["type"]) == (2, "access_denied")
        assert not [request for request in server.requests if "/resolve/" in request.path]

    def test_a_model_that_is_not_there_is_told(self, fit: Callable[..., Run]) -> None:
        run = fit("org/nothing")
        assert (run.code, run.out) == (2, "")
        assert "The Hub has no model 'org/nothing' to show" in run.err
