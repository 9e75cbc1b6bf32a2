"""`du`: what takes the space, for people at any width and for scripts."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import pytest

from mlxk2.domain.usecases.disk_usage import DiskUsage
from mlxk2.ports.disk import DiskFile, Missed
from mlxk2.testing import (
    MemoryCache,
    MemoryDisk,
    Placement,
    Run,
    StoredFile,
    StoredModel,
    StoredRevision,
    gguf_model,
    healthy_model,
    hold_lock,
    memory_program,
)
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

OLD, NEW = "3f2a1bc" + 33 * "0", "9a81c22" + 33 * "0"
ETAG = "c0ffee" + 58 * "0"


def a_file(letter: str, length: int, placement: Placement = Placement.BLOB) -> StoredFile:
    return StoredFile(letter.encode() * length, lfs=True, placement=placement)


BASE = a_file("b", 4_600_000, Placement.SHARED)
TUNED = StoredModel(
    "models--mlx-community--Qwen3-8B-tuned-4bit",
    {
        OLD: StoredRevision({"base": BASE, "lora": a_file("o", 1_200_000)}),
        NEW: StoredRevision({"base": BASE, "lora": a_file("n", 1_300_000)}),
    },
    {"main": NEW, "v1": OLD},
    partials=((ETAG, 250_000),),
)
PLAIN = StoredModel("models--mlx-community--Qwen3-8B-4bit", {OLD: StoredRevision({"base": BASE})}, {"main": OLD})
LONG = healthy_model("some-organisation/a-long-name-of-a-model-Instruct-4bit", files={"more": bytes(77_000)})
CACHE = MemoryCache([PLAIN, TUNED, LONG, gguf_model()], free_bytes=80_200_000_000)
PROGRAM = memory_program(CACHE)
PRUNE = "250.0 KB in partial downloads and blobs of no revision; see what can go: mlxk2 prune --dry-run\n"
SUMS = """\

Models: 7.4 MB in 4 models
Cache:  7.4 MB
Free:   80.2 GB
"""


def test_a_model_of_one_whole_revision_is_one_row_and_a_pipe_gets_a_line_a_row(cli: CommandLine) -> None:
    run = cli("du", services=PROGRAM)
    table, sums = run.out.split("\n\n")
    assert [line.split("  ")[0] or line.split("  ")[1] for line in table.splitlines()] == [
        *("NAME", "Qwen3-8B-tuned-4bit", "9a81c22 (main)", "3f2a1bc (v1)", "partial downloads", "Qwen3-8B-4bit"),
        *("some-organisation/a-long-name-of-a-model-Instruct-4bit", "bartowski/tiny-GGUF"),
    ]
    assert f"\n{sums}" == SUMS
    assert (run.code, run.err) == (0, PRUNE)


def test_the_table_at_60_columns(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    assert cli("du", services=PROGRAM).out == (
        "NAME                     SIZE      OWN  SHARED\n"
        "Qwen3-8B-tuned-4bit    7.4 MB   2.8 MB  4.6 MB\n"
        "  9a81c22 (main)       5.9 MB   1.3 MB  4.6 MB\n"
        "  3f2a1bc (v1)         5.8 MB   1.2 MB  4.6 MB\n"
        "  partial downloads  250.0 KB\n"
        "Qwen3-8B-4bit          4.6 MB     40 B  4.6 MB\n"
        "some-organisation/a-long-name-of-a-model-Instruct-4bit\n"
        "                      77.5 KB  77.5 KB       -\n"
        "bartowski/tiny-GGUF      96 B     96 B       -\n" + SUMS
    )


def test_the_verbose_table_at_80_columns(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert cli("du", "--verbose", services=PROGRAM).out == (
        "NAME                                   SIZE      OWN  SHARED\n"
        "mlx-community/Qwen3-8B-tuned-4bit    7.4 MB   2.8 MB  4.6 MB\n"
        "  9a81c22 (main)                     5.9 MB   1.3 MB  4.6 MB\n"
        "  3f2a1bc (v1)                       5.8 MB   1.2 MB  4.6 MB\n"
        "  partial downloads                250.0 KB\n"
        "mlx-community/Qwen3-8B-4bit          4.6 MB     40 B  4.6 MB\n"
        "  3f2a1bc (main)                     4.6 MB      0 B  4.6 MB\n"
        "some-organisation/a-long-name-of-a-model-Instruct-4bit\n"
        "                                    77.5 KB  77.5 KB       -\n"
        "  e16ae6f (main)                    77.5 KB  77.5 KB       -\n"
        "bartowski/tiny-GGUF                    96 B     96 B       -\n"
        "  8bf6502 (main)                       56 B     56 B       -\n"
        "mlx-community/Qwen3-8B-tuned-4bit shares files with: mlx-community/Qwen3-8B-4bit\n"
        "mlx-community/Qwen3-8B-4bit shares files with: mlx-community/Qwen3-8B-tuned-4bit\n" + SUMS
    )


def test_a_pattern_shows_some_and_the_sums_say_so(cli: CommandLine) -> None:
    run = cli("du", "8b-4BIT", services=PROGRAM)
    assert run == Run(
        0,
        "NAME             SIZE   OWN  SHARED\n"
        "Qwen3-8B-4bit  4.6 MB  40 B  4.6 MB\n"
        "\n"
        "Models: 4.6 MB in 1 of 4 models\n"
        "Cache:  7.4 MB\n"
        "Free:   80.2 GB\n",
        "",
    )
    assert cli("du", "nothing", services=PROGRAM) == Run(
        0,
        "Models: 0 B in 0 of 4 models\nCache:  7.4 MB\nFree:   80.2 GB\n",
        "No model in the cache matches 'nothing'; see all: mlxk2 du\n",
    )


def test_scripts_get_every_number(cli: CommandLine) -> None:
    document = json.loads(cli("du", "tuned", "--json", services=PROGRAM).out)
    assert document["data"] == {
        "models": [
            {
                "name": "mlx-community/Qwen3-8B-tuned-4bit",
                "size_bytes": 7_350_080,
                "own_bytes": 2_750_080,
                "shared_bytes": 4_600_000,
                "shared_with": ["mlx-community/Qwen3-8B-4bit"],
                "partial_bytes": 250_000,
                "unused_bytes": 0,
                "revisions": [
                    {
                        "hash": NEW,
                        "refs": ["main"],
                        "size_bytes": 5_900_000,
                        "own_bytes": 1_300_000,
                        "shared_bytes": 4_600_000,
                    },
                    {
                        "hash": OLD,
                        "refs": ["v1"],
                        "size_bytes": 5_800_000,
                        "own_bytes": 1_200_000,
                        "shared_bytes": 4_600_000,
                    },
                ],
                "reason": None,
            }
        ],
        "count": 1,
        "models_bytes": 7_350_080,
        "other_bytes": 0,
        "cache_bytes": 7_427_737,
        "free_bytes": 80_200_000_000,
        "unread": [],
    }


def test_an_empty_cache_is_a_success(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    run = cli("du")
    assert run.code == 0
    assert run.out.startswith("Models: 0 B in 0 models\nCache:  0 B\nFree:   ")
    assert run.err.startswith(f"No model in the cache ({model_cache.root}); get the demo: mlxk2 pull demo")
    data = json.loads(cli("du", "--json").out)["data"]
    assert (data["models"], data["count"], data["cache_bytes"]) == ([], 0, 0)


def test_what_belongs_to_no_model_is_told_beside_them(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(gguf_model(), replace(TUNED, folder="datasets--org--data"))
    run = cli("du")
    assert "\nModels: 96 B in 1 model\nOthers: 7.4 MB in data sets, spaces and leftovers\nCache:  7.4 MB\n" in run.out
    assert "Others" not in cli("du", "nothing").out


def test_a_file_of_the_shared_store_counts_once(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(PLAIN, TUNED)
    data = json.loads(cli("du", "--json").out)["data"]
    assert [model["shared_bytes"] for model in data["models"]] == [4_600_000, 4_600_000]
    assert data["models_bytes"] == 4_600_000 + 2_500_000 + 250_000 + 3 * 40


def test_a_running_download_is_not_unused(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    begun = StoredModel("models--org--m", {}, {}, extra={f"blobs/{'a' * 64}": bytes(900)})
    model_cache.add(begun)
    assert json.loads(cli("du", "--json").out)["data"]["models"][0]["unused_bytes"] == 900
    assert "\n  blobs of no revision  900 B\n" in cli("du").out
    with hold_lock(model_cache.root, begun, "b" * 64):
        (model,) = json.loads(cli("du", "--json").out)["data"]["models"]
    assert (model["unused_bytes"], model["partial_bytes"]) == (0, 900)


def test_what_cannot_be_read_is_told_and_the_exit_code_says_so(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(PLAIN, gguf_model())
    (model_cache.folder(PLAIN) / "refs").rename(model_cache.root / "elsewhere")
    (model_cache.folder(PLAIN) / "refs").symlink_to("../elsewhere")
    run = cli("du")
    assert run.code == 1
    assert run.err == "mlx-community/Qwen3-8B-4bit: refs is a link that leaves the model's folder\n"
    whole = cli("du", "--json")
    assert whole.code == 1
    assert json.loads(whole.out)["data"]["models"][0]["reason"] == "refs is a link that leaves the model's folder"
    assert cli("du", "GGUF").code == 0


class ClosedDisk(MemoryDisk):
    """Says of four folders that they may not be read."""

    def files(self, missed: Missed) -> Iterator[DiskFile]:
        for number in range(4):
            missed(f"datasets--org--{number}\x1b/blobs")
        return super().files(missed)


def test_folders_that_may_not_be_read_are_named_once_for_all(cli: CommandLine) -> None:
    services = memory_program(CACHE)()._replace(disk_usage=lambda: DiskUsage(CACHE, ClosedDisk(CACHE)))
    run = cli("du", "GGUF", services=lambda: services)
    assert run.code == 1
    names = ", ".join(f"datasets--org--{number}\\x1b/blobs" for number in range(3))
    assert run.err == (
        f"Not everything could be read, so that the sums are too small; check the permissions of {names}, ...\n"
    )
    whole = cli("du", "--json", services=lambda: services)
    assert (whole.code, len(json.loads(whole.out)["data"]["unread"])) == (1, 4)


def test_a_model_that_lies_elsewhere_is_not_counted_and_that_is_no_failure(
    cli: CommandLine, model_cache: ModelCacheOnDisk
) -> None:
    model_cache.add(gguf_model())
    model_cache.folder(gguf_model()).rename(model_cache.root.parent / "moved")
    model_cache.folder(gguf_model()).symlink_to(model_cache.root.parent / "moved")
    run = cli("du")
    assert (run.code, run.out.splitlines()[1].split()) == (0, ["bartowski/tiny-GGUF", "0", "B", "0", "B", "-"])
    assert run.err == (
        "bartowski/tiny-GGUF: its folder is a link to a place outside of the cache; what is there is not counted\n"
    )


def test_refs_with_strange_names_do_not_steer_the_terminal(cli: CommandLine) -> None:
    strange = replace(TUNED, refs={"a\x1b[2J": OLD})
    assert "\\x1b[2J" in cli("du", services=memory_program(MemoryCache([strange]))).out


def test_a_process_of_its_own_tells_what_the_disk_holds(
    model_cache: ModelCacheOnDisk, environment: dict[str, str]
) -> None:
    model_cache.add(PLAIN, TUNED)
    run = subprocess.run(
        [sys.executable, "-m", "mlxk2", "du", "--json"], env=environment, capture_output=True, text=True, check=True
    )
    data = json.loads(run.stdout)["data"]
    stored = {path.stat().st_ino: path.stat().st_size for path in model_cache.root.rglob("*") if path.is_file()}
    assert data["cache_bytes"] == sum(stored.values())
    assert run.stderr == ""
