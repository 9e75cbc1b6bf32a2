"""`prune`: the plan as a table and as JSON, the question, the options, and what is told of things that stay."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from mlxk2.adapters.memory import (
    MemoryCache,
    MemoryClock,
    MemorySweeper,
    Placement,
    StoredFile,
    StoredModel,
    StoredRevision,
)
from mlxk2.entrypoints.cli.context import Services
from mlxk2.ports.pruning import RecordFile, TrashEntry
from mlxk2.testing import Pathology, healthy_model, hold_lock, memory_program, sick_model
from mlxk2.testing.models import commit_of
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

NOW = 1_700_000_000.0
DAY = 86_400.0
OLD, ETAG, LOOSE = "a1" * 20, "e" * 64, "c" * 64
NAME = "mlx-community/Llama-3.2-1B-Instruct-4bit"
WEIGHTS = StoredFile(b"old weights", lfs=True)


def untidy() -> StoredModel:
    """A healthy model with a revision that no ref names, a loose blob, two partial files and a stale lock."""
    model = healthy_model(NAME)
    old = StoredRevision({"model.safetensors": WEIGHTS}, NOW - 40 * DAY)
    return replace(
        model,
        revisions={**model.revisions, OLD: old},
        partials=((ETAG, 7), ("f" * 64, 8)),
        stale_locks=frozenset({ETAG}),
        extra={f"blobs/{LOOSE}": b"loose"},
        modified=NOW - 50 * DAY,
    )


def empty() -> StoredModel:
    return StoredModel("models--org--empty", {}, {"main": OLD}, modified=NOW - 3 * DAY)


@pytest.fixture
def program() -> Callable[[], Services]:
    cache = MemoryCache([untidy(), empty(), sick_model(Pathology.DANGLING_WEIGHTS, "org/sick")])
    trash = (TrashEntry("0123", 1000, NOW - 4 * DAY),)
    records = (RecordFile("models--org--gone", OLD, 2, NOW - 5 * DAY),)
    return memory_program(cache, clock=MemoryClock(NOW), sweeper=MemorySweeper(cache, trash, records))


def data(run: Any) -> Any:
    document = json.loads(run.out)
    assert (document["status"], document["command"], document["error"]) == ("success", "prune", None)
    return document["data"]


def kinds(run: Any) -> list[str]:
    return [row["kind"] for row in data(run)["leftovers"]]


TABLE = """\
MODEL                       KIND      WHAT            SIZE  AGE
Llama-3.2-1B-Instruct-4bit  revision  a1a1a1a1a1a1    11 B  1mo ago
Llama-3.2-1B-Instruct-4bit  blob      1 blob           5 B  1mo ago
Llama-3.2-1B-Instruct-4bit  partial   2 files         15 B  1mo ago
org/empty                   folder    empty           40 B  3d ago
(interrupted)               trash     1 deletion    1.0 KB  4d ago
Llama-3.2-1B-Instruct-4bit  lock      1 file           0 B  1mo ago
org/gone                    record    1 file           2 B  5d ago
"""
WHAT = "1 revision, 1 blob, 2 partial files, 1 folder, 1 interrupted deletion, 1 lock and 1 record"
LEFT_ALONE = "org/sick is left alone: a link of it is broken, or leads to another place\n"


def test_a_dry_run_shows_the_plan_and_deletes_nothing(cli: CommandLine, program: Callable[[], Services]) -> None:
    for _ in range(2):
        run = cli("prune", "--dry-run", services=program)
        assert run.out == f"{TABLE}Would free 1.1 KB; nothing was deleted\n"
        assert (run.err, run.code) == (LEFT_ALONE, 1)


def test_with_force_it_says_what_it_has_deleted_and_then_nothing_is_left_over(
    cli: CommandLine, program: Callable[[], Services]
) -> None:
    run = cli("prune", "--force", services=program)
    assert run.out == f"{TABLE}Freed 1.1 KB\n"
    assert (run.err, run.code) == (LEFT_ALONE, 1)
    again = cli("prune", "--force", services=program)
    assert (again.out, again.err, again.code) == ("Nothing is left over\n", LEFT_ALONE, 1)


def test_the_json_has_every_single_thing(cli: CommandLine, program: Callable[[], Services]) -> None:
    planned = data(cli("prune", "--dry-run", "--json", services=program))
    assert (planned["action"], planned["count"], planned["frees_bytes"]) == ("planned", 8, 1073)
    assert planned["leftovers"][0] == {
        "kind": "revision",
        "model": NAME,
        "name": OLD,
        "size_bytes": 11,
        "last_modified": "2023-10-05T22:13:20Z",
        "action": "planned",
    }
    assert planned["message"] == f"Would delete {WHAT} and free 1.1 KB"
    assert planned["kept"] == [{"model": "org/sick", "reason": "a link of it is broken, or leads to another place"}]
    done = data(cli("prune", "--force", "--json", services=program))
    assert (done["action"], done["count"], done["frees_bytes"]) == ("pruned", 8, 1073)
    assert done["message"] == f"Deleted {WHAT}, 1.1 KB freed"
    assert {row["action"] for row in done["leftovers"]} == {"deleted"}
    assert [row["name"] for row in done["leftovers"]] == [row["name"] for row in planned["leftovers"]]
    nothing = data(cli("prune", "--force", "--json", services=program))
    assert (nothing["message"], nothing["leftovers"], nothing["count"]) == ("Nothing is left over", [], 0)


def test_without_a_terminal_it_needs_force_and_with_it_a_yes(
    cli: CommandLine, model_cache: ModelCacheOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_cache.add(untidy())
    refused = cli("prune")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == (
        "mlxk2: Nothing was deleted: without a terminal to ask on, prune needs --force; see what would go with"
        " --dry-run\n"
    )
    assert json.loads(cli("prune", "--json").out)["error"]["type"] == "OperationError"
    asked: list[str] = []

    def answer(_: object, question: str) -> bool:
        asked.append(question)
        return len(asked) > 1

    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.can_ask", lambda _: True)
    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.ask", answer)
    no = cli("prune")
    assert (no.code, no.err) == (1, "Nothing was deleted\n")
    assert "a1a1a1a1a1a1" in no.out
    assert asked == ["Delete all of this and free 31 B?"]
    assert (model_cache.folder(untidy()) / "blobs" / LOOSE).exists()
    yes = cli("prune")
    assert (yes.code, yes.out.splitlines()[-1]) == (
        0,
        "Freed 31 B",
    )
    assert not (model_cache.folder(untidy()) / "blobs" / LOOSE).exists()
    assert cli("prune", "--force").out == "Nothing is left over\n"
    assert len(asked) == 2
    assert cli("list", "--json").code == 0


def test_nothing_is_asked_where_nothing_is_left_over(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.can_ask", lambda _: True)
    run = cli("prune")
    assert (run.code, run.out, run.err) == (0, "Nothing is left over\n", "")


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (["--older-than", "45d"], ["blob", "partial", "partial", "lock"]),
        (["--older-than", "4d"], ["revision", "blob", "partial", "partial", "trash", "lock", "record"]),
        (["--older-than", "96h", "--keep-last", "2"], ["blob", "partial", "partial", "trash", "lock", "record"]),
        (["--keep-last", "1", "--older-than", "45d"], ["blob", "partial", "partial", "lock"]),
        (["--older-than", "60d"], []),
    ],
)
def test_ages_and_numbers_narrow_the_plan(
    cli: CommandLine, program: Callable[[], Services], options: list[str], expected: list[str]
) -> None:
    assert kinds(cli("prune", "--dry-run", "--json", *options, services=program)) == expected


def test_nothing_of_an_age_is_told_with_the_age(cli: CommandLine, program: Callable[[], Services]) -> None:
    run = cli("prune", "--force", "--older-than", "60d", services=program)
    assert run.out == "Nothing older than 60d is left over\n"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--older-than", "30"], "'30' is no age; write a number with s, m, h or d, such as 30d"),
        (["--older-than", "soon"], "'soon' is no age; write a number with s, m, h or d, such as 30d"),
        (["--keep-last", "-1"], "'-1' is not how many revisions to keep; write 0 or a larger number"),
        (["--keep-last", "many"], "'many' is not how many revisions to keep; write 0 or a larger number"),
        (["everything"], "unrecognized arguments: everything"),
    ],
)
def test_what_cannot_be_read_is_told_by_its_option(cli: CommandLine, options: list[str], sentence: str) -> None:
    run = cli("prune", "--dry-run", *options)
    assert run.code == 2
    assert sentence in run.err


def test_a_running_download_is_told_and_keeps_its_model(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(untidy())
    with hold_lock(model_cache.root, untidy(), ETAG):
        run = cli("prune", "--force")
    assert run.err == f"The rest of {NAME} is left alone: a download of it is running\n"
    _, row, message = run.out.splitlines()
    assert row.split()[:6] == ["Llama-3.2-1B-Instruct-4bit", "partial", "1", "file", "8", "B"]
    assert message == "Freed 8 B"
    assert cli("health", "--json").code == 0


def test_what_is_taken_into_use_while_the_question_waits_stays_and_is_told(
    cli: CommandLine, model_cache: ModelCacheOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_cache.add(untidy())
    holders: list[Any] = []

    def meanwhile(*_: object) -> bool:
        holder = hold_lock(model_cache.root, untidy(), ETAG)
        holder.__enter__()
        holders.append(holder)
        return True

    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.can_ask", lambda _: True)
    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.ask", meanwhile)
    run = cli("prune")
    assert run.code == 0
    assert run.out.splitlines()[-1] == "Freed 13 B"
    assert run.err.splitlines() == [
        f"Not deleted: {kind} of {NAME}, a download has begun to use it" for kind in ("revision", "partial", "lock")
    ]
    holders.pop().__exit__(None, None, None)
    again = cli("prune", "--force", "--json")
    assert {row["action"] for row in data(again)["leftovers"]} == {"deleted"}


def test_what_the_file_system_refuses_is_told_and_ends_with_its_status(
    cli: CommandLine, model_cache: ModelCacheOnDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_cache.add(untidy(), replace(untidy(), folder="models--org--other"))
    blobs = model_cache.folder(untidy()) / "blobs"

    def meanwhile(*_: object) -> bool:
        blobs.rename(tmp_path / "away")
        blobs.symlink_to(tmp_path / "away")
        return True

    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.can_ask", lambda _: True)
    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.ask", meanwhile)
    run = cli("prune")
    assert run.code == 3
    assert "blobs in the cache is a link to another place; nothing was changed, remove the link" in run.err
    assert (tmp_path / "away" / LOOSE).exists()
    assert not (model_cache.root / "models--org--other" / "blobs" / LOOSE).exists()


def test_a_cache_that_cannot_be_worked_in_is_an_error_in_one_sentence(
    cli: CommandLine, model_cache: ModelCacheOnDisk
) -> None:
    model_cache.add(replace(untidy(), stale_locks=frozenset()))
    (model_cache.root / ".locks").write_text("a file in the place of a folder")
    run = cli("prune", "--force", "--json")
    assert run.code == 3
    assert json.loads(run.out)["error"]["type"] == "PermissionError"
    assert (model_cache.folder(untidy()) / "blobs" / LOOSE).exists()


def test_names_that_are_no_text_do_not_stop_it(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    broken = os.fsencode(model_cache.root) + b"/models--org--\xff\n\x1b[31m"
    os.makedirs(broken + b"/blobs")
    os.utime(broken, (NOW, NOW))
    os.utime(broken + b"/blobs", (NOW, NOW))
    run = cli("prune", "--dry-run")
    assert run.code == 0
    assert "org/\\xff\\x0a\\x1b[31m  folder  empty" in run.out
    assert kinds(cli("prune", "--force", "--json")) == ["folder"]
    assert not os.path.exists(broken)


def test_a_narrow_terminal_gives_a_long_name_a_line_of_its_own(
    cli: CommandLine, program: Callable[[], Services], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = cli("prune", "--dry-run", services=program).out.splitlines()
    assert max(map(len, lines[:-1])) <= 60
    assert "Llama-3.2-1B-Instruct-4bit" in lines


def test_shared_payloads_are_counted_where_their_last_user_goes(
    cli: CommandLine, model_cache: ModelCacheOnDisk
) -> None:
    file = StoredFile(b"payload", lfs=True, placement=Placement.SHARED)
    folders = ("models--org--a", "models--org--b")
    model_cache.add(
        *(StoredModel(name, {commit_of(name): StoredRevision({"w.safetensors": file}, NOW)}, {}) for name in folders)
    )
    planned = data(cli("prune", "--dry-run", "--json"))
    revisions = [row for row in planned["leftovers"] if row["kind"] == "revision"]
    assert [row["size_bytes"] for row in revisions] == [7, 0]
    assert data(cli("prune", "--force", "--json"))["frees_bytes"] == planned["frees_bytes"] == 7
