"""`rm` on a real cache: plans, questions, locks, globs, and nothing outside the cache."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlxk2.adapters.memory import StoredFile, StoredModel, StoredRevision
from mlxk2.testing import healthy_model, hold_lock
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

GOOD = healthy_model("mlx-community/good-4bit")
LARGE = healthy_model("mlx-community/good-4bit-LARGE")
OLD, NEW = "a1" * 20, "b2" * 20
ETAG = "e" * 64


def two_revisions() -> StoredModel:
    shared, old, new = StoredFile(b"{}"), StoredFile(b"old weights", lfs=True), StoredFile(b"new", lfs=True)
    return StoredModel(
        "models--org--two",
        {
            OLD: StoredRevision({"config.json": shared, "model.safetensors": old}),
            NEW: StoredRevision({"config.json": shared, "model.safetensors": new}),
        },
        {"main": NEW, "v1": OLD},
    )


def document(run: Any) -> Any:
    return json.loads(run.out)


def test_a_forced_removal_deletes_the_model_and_says_so(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD, LARGE)
    run = cli("rm", "mlx-community/good-4bit", "--force", "--json")
    assert run.code == 0
    assert document(run)["data"] == {
        "model": "mlx-community/good-4bit",
        "action": "deleted",
        "message": "Deleted mlx-community/good-4bit, 521 B freed",
    }
    assert not model_cache.folder(GOOD).exists()
    assert model_cache.folder(LARGE).exists()


def test_without_a_terminal_and_without_force_nothing_is_deleted_and_that_is_an_error(
    cli: CommandLine, model_cache: ModelCacheOnDisk
) -> None:
    model_cache.add(GOOD)
    for run in (cli("rm", "good"), cli("rm", "good", "--json")):
        assert run.code == 1
    assert "needs --force" in cli("rm", "good").err
    assert document(cli("rm", "good", "--json"))["error"]["type"] == "OperationError"
    assert model_cache.folder(GOOD).exists()


def test_a_dry_run_shows_the_plan_and_deletes_nothing(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(two_revisions())
    run = cli("rm", "two@a1a1", "--dry-run", "--json")
    old = StoredFile(b"old weights", lfs=True).etag
    assert document(run)["data"] == {
        "model": "org/two",
        "action": "planned",
        "message": "Would delete revision a1a1a1a1a1a1 of org/two and free 51 B",
        "plan": {
            "whole_model": False,
            "revisions": [OLD],
            "refs": ["v1"],
            "blobs": [old],
            "frees_bytes": 51,
            "lock_files": [],
        },
    }
    assert cli("rm", "two", "--dry-run").out == (
        "Would delete org/two (2 revisions) and free 96 B\n  revisions: a1a1a1a1a1a1, b2b2b2b2b2b2\n"
    )
    assert cli("rm", "two@a1a1", "--dry-run").out == (
        "Would delete revision a1a1a1a1a1a1 of org/two and free 51 B\n"
        "  revisions: a1a1a1a1a1a1\n  refs:      v1\n  blobs:     1\n"
    )
    assert (model_cache.root / "models--org--two" / "snapshots" / OLD).is_dir()


def test_a_hash_removes_that_revision_and_only_its_own_blobs(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(two_revisions())
    folder = model_cache.root / "models--org--two"
    assert cli("rm", "org/two@A1A1", "--force").code == 0
    assert [path.name for path in (folder / "snapshots").iterdir()] == [NEW]
    assert (folder / "snapshots" / NEW / "config.json").read_bytes() == b"{}"
    assert len(list((folder / "blobs").iterdir())) == 2
    assert not (folder / "refs" / "v1").exists()
    assert cli("rm", "org/two@b2b2", "--force").code == 0
    assert not folder.exists()


def test_only_an_exact_or_unambiguous_reference_is_deleted(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD, LARGE)
    run = cli("rm", "good", "--force", "--json")
    assert run.code == 1
    assert document(run)["error"]["type"] == "ambiguous_match"
    assert document(run)["error"]["matches"] == ["mlx-community/good-4bit", "mlx-community/good-4bit-LARGE"]
    assert cli("rm", "nothing", "--force").code == 1
    assert model_cache.folder(GOOD).exists()
    assert model_cache.folder(LARGE).exists()


def test_a_held_lock_blocks_and_force_overrides_with_a_warning(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD)
    with hold_lock(model_cache.root, GOOD, ETAG):
        run = cli("rm", "good", "--json")
        assert run.code == 1
        assert document(run)["error"]["type"] == "locks_present"
        assert document(run)["data"] == {
            "model": "mlx-community/good-4bit",
            "locks_detected": True,
            "lock_files": [f".locks/models--mlx-community--good-4bit/{ETAG}.lock"],
        }
        assert model_cache.folder(GOOD).exists()
        forced = cli("rm", "good", "--force")
        assert forced.code == 0
        assert "Warning" in forced.err
    assert not model_cache.folder(GOOD).exists()


def test_locks_of_a_longer_name_and_stale_locks_do_not_block(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD, LARGE)
    stale = model_cache.root / ".locks" / GOOD.folder
    stale.mkdir(parents=True)
    (stale / f"{ETAG}.lock").write_text("")
    with hold_lock(model_cache.root, LARGE, ETAG):
        run = cli("rm", "mlx-community/good-4bit", "--force")
    assert (run.code, run.err) == (0, "")
    assert not stale.exists()


def test_a_glob_needs_force_and_answers_for_each_model(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(healthy_model("org/test-a"), healthy_model("org/test-b"), GOOD)
    assert cli("rm", "*test-*").code == 1
    assert len(list(model_cache.root.glob("models--*"))) == 3
    planned = document(cli("rm", "*test-*", "--dry-run", "--json"))["data"]["results"]
    assert [result["action"] for result in planned] == ["planned", "planned"]
    run = cli("rm", "org/test-?", "--force", "--json")
    assert [(row["model"], row["action"]) for row in document(run)["data"]["results"]] == [
        ("org/test-a", "deleted"),
        ("org/test-b", "deleted"),
    ]
    assert [path.name for path in model_cache.root.glob("models--*")] == [GOOD.folder]
    assert cli("rm", "no-*", "--force").code == 1


def test_a_short_glob_also_matches_without_the_default_organisation(
    cli: CommandLine, model_cache: ModelCacheOnDisk
) -> None:
    model_cache.add(GOOD, LARGE)
    assert cli("rm", "good-*", "--force").code == 0
    assert list(model_cache.root.glob("models--*")) == []


def test_an_exact_name_wins_over_a_glob(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    odd, plain = healthy_model("org/m[1]"), healthy_model("org/m1")
    model_cache.add(odd, plain)
    assert cli("rm", "org/m[1]", "--force").code == 0
    assert not model_cache.folder(odd).exists()
    assert model_cache.folder(plain).exists()


def test_demo_never_means_another_model(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    mine = healthy_model("mlxk2/demo-mine")
    model_cache.add(mine)
    run = cli("rm", "demo", "--force", "--json")
    assert (run.code, document(run)["error"]["type"]) == (1, "model_not_found")
    assert model_cache.folder(mine).exists()


def test_a_linked_part_of_a_model_is_named_for_its_revisions_too(
    cli: CommandLine, model_cache: ModelCacheOnDisk, tmp_path: Path
) -> None:
    model_cache.add(two_revisions())
    snapshots = model_cache.root / "models--org--two" / "snapshots"
    snapshots.rename(tmp_path / "elsewhere")
    snapshots.symlink_to(tmp_path / "elsewhere")
    run = cli("rm", "org/two@a1a1", "--force")
    assert run.code == 3
    assert "snapshots is a link that leaves the model's folder" in run.err


def test_one_bad_model_among_many_fails_alone(cli: CommandLine, model_cache: ModelCacheOnDisk, tmp_path: Path) -> None:
    model_cache.add(healthy_model("org/a"), healthy_model("org/b"))
    linked = model_cache.root / "models--org--a"
    linked.rename(tmp_path / "elsewhere")
    linked.symlink_to(tmp_path / "elsewhere")
    run = cli("rm", "org/*", "--force", "--json")
    assert run.code == 3
    assert [(row["model"], row["action"]) for row in document(run)["data"]["results"]] == [
        ("org/a", "failed"),
        ("org/b", "deleted"),
    ]


@pytest.mark.parametrize("change", ["lock", "revision"])
def test_what_changes_while_the_question_waits_stops_the_deletion(
    cli: CommandLine, model_cache: ModelCacheOnDisk, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    model_cache.add(two_revisions())
    held: list[Any] = []

    def meanwhile(*_: object) -> bool:
        if change == "lock":
            holder = hold_lock(model_cache.root, two_revisions(), ETAG)
            holder.__enter__()
            held.append(holder)
        else:
            newer = StoredRevision(two_revisions().revisions[OLD].files)
            model_cache.add(StoredModel("models--org--two", {"c3" * 20: newer}, {}))
        return True

    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.can_ask", lambda _: True)
    monkeypatch.setattr("mlxk2.entrypoints.cli.output.Output.ask", meanwhile)
    run = cli("rm", "org/two@a1a1")
    assert run.code == 1
    assert ("in use" if change == "lock" else "changed while you were asked") in run.err
    assert (model_cache.root / "models--org--two" / "snapshots" / OLD).is_dir()
    for holder in held:
        holder.__exit__(None, None, None)


@pytest.mark.parametrize(
    "reference",
    [
        "models--org--m/../../victim",
        "../victim",
        "/etc",
        "org/../../victim",
        "..",
        ".",
        "org/m\0x",
        "org\\..\\victim",
        "../*",
        "../vic*",
    ],
)
def test_no_reference_reaches_outside_the_cache(
    cli: CommandLine, model_cache: ModelCacheOnDisk, tmp_path: Path, reference: str
) -> None:
    model_cache.add(GOOD)
    victims = [tmp_path / "victim", model_cache.root / "victim"]
    for victim in victims:
        victim.mkdir()
    run = cli("rm", reference, "--force", "--json")
    assert run.code == 1
    assert document(run)["error"]["type"] == "ValidationError"
    assert all(victim.is_dir() for victim in victims)
    assert model_cache.folder(GOOD).exists()


def test_a_linked_model_folder_is_refused(cli: CommandLine, model_cache: ModelCacheOnDisk, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    model_cache.add(GOOD)
    model_cache.folder(GOOD).rename(elsewhere)
    model_cache.folder(GOOD).symlink_to(elsewhere)
    run = cli("rm", "good", "--force", "--json")
    assert run.code == 3
    assert document(run)["error"]["type"] == "PermissionError"
    assert (elsewhere / "blobs").is_dir()
    assert model_cache.folder(GOOD).is_symlink()
