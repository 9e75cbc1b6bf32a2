"""`verify` and `health --deep`: options, words, and the JSON contract."""

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import redirect_stderr
from dataclasses import replace
from typing import Any

import pytest

from mlxk2.domain.usecases.verify_models import Found, Planned
from mlxk2.domain.verification import Damage
from mlxk2.entrypoints.cli import verify_progress
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.verify_progress import VerifyProgress
from mlxk2.ports.verifying import FileHashing, Hashed, Hashing, Settled, Target, Watch
from mlxk2.testing import (
    MemoryCache,
    MemoryClock,
    MemoryHasher,
    Pathology,
    Placement,
    Run,
    StoredFile,
    StoredModel,
    healthy_model,
    memory_program,
    sick_model,
    with_files,
)
from mlxk2.testing.models import commit_of
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

NAME = "mlx-community/tiny-4bit"
COMMIT, OLD = commit_of(NAME), commit_of(NAME, 2)
GOOD = healthy_model(NAME)
FILES = GOOD.revisions[COMMIT].files
SIZE = sum(len(file.content) for file in FILES.values())
WEIGHTS = FILES["model.safetensors"]
WRONG = StoredFile(WEIGHTS.content[:-1] + b"!", lfs=True, named=WEIGHTS.etag)
BAD = with_files(GOOD, {"model.safetensors": WRONG})
REASON = "model.safetensors is damaged: its content does not have its hash"
NOTHING_READ = f"5 files, {SIZE} B checked within the last 30d; --again reads everything now"


def plain(model: StoredModel) -> StoredModel:
    """As in a cache without links."""
    return with_files(model, {path: replace(file, placement=Placement.PLAIN) for path, file in FILES.items()})


def data(run: Run) -> Any:
    document = json.loads(run.out)
    assert (document["status"], document["error"]) == ("success", None)
    return document["data"]


@pytest.mark.parametrize(("argv", "command"), [(("verify",), "verify"), (("health", "--deep"), "health")])
def test_a_damaged_file_is_told_with_both_hashes(
    cli: CommandLine, model_cache: ModelCacheOnDisk, argv: tuple[str, ...], command: str
) -> None:
    model_cache.add(BAD, healthy_model("org/other"))
    run = cli(*argv, "--json")
    assert (run.code, json.loads(run.out)["command"]) == (1, command)
    found = data(run)
    (row,) = found["unhealthy"]
    assert row == {
        "name": NAME,
        "status": "unhealthy",
        "reason": REASON,
        "revisions": [COMMIT],
        "files_checked": 5,
        "bytes_checked": SIZE,
        "unchecked": [],
        "damaged": [
            {
                "revision": COMMIT,
                "path": "model.safetensors",
                "problem": "is damaged: its content does not have its hash",
                "expected": WEIGHTS.etag,
                "found": StoredFile(WRONG.content, lfs=True).etag,
            }
        ],
    }
    assert [(row["name"], row["status"], row["reason"]) for row in found["healthy"]] == [("org/other", "healthy", None)]
    assert found["summary"] == {
        "total": 2,
        "healthy_count": 1,
        "unhealthy_count": 1,
        "files_checked": 10,
        "bytes_checked": 2 * SIZE,
        "bytes_read": 2 * SIZE,
    }


def test_health_alone_does_not_read_so_much_but_knows_what_was_found(
    cli: CommandLine, model_cache: ModelCacheOnDisk
) -> None:
    model_cache.add(BAD)
    assert cli("health", "--fail").out == "healthy    tiny-4bit\n1 model: 1 healthy\n"
    assert cli("verify").code == 1
    known = cli("health", "--fail")
    assert (known.code, known.out) == (1, f"unhealthy  tiny-4bit: {REASON}\n1 model: 0 healthy, 1 unhealthy\n")
    assert json.loads(cli("list", "--json").out)["data"]["models"][0]["reason"] == REASON
    assert REASON in cli("run", "tiny-4bit", "hello").err


def test_people_read_what_is_damaged_and_what_to_do(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(BAD, healthy_model("org/other"))
    run = cli("verify")
    assert run.code == 1
    assert run.out == (
        f"unhealthy  tiny-4bit: {REASON}\n2 models: 1 healthy, 1 unhealthy; 10 files, {2 * SIZE} B read and checked\n"
    )
    assert run.err == (
        f"Checking 2 models: 10 files, {2 * SIZE} B, of which {2 * SIZE} B is to be read\n"
        f"Fetch what is missing or damaged with: mlxk2 pull {NAME} --repair\n"
    )


def test_the_second_run_reads_nothing_and_says_so(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD)
    assert cli("verify").out.endswith(f"5 files, {SIZE} B read and checked\n")
    assert cli("verify") == Run(0, f"healthy    tiny-4bit\n1 model: 1 healthy; {NOTHING_READ}\n", "")
    assert data(cli("verify", "--json"))["summary"]["bytes_read"] == 0
    assert cli("health", "--deep", "--again").out.endswith(f"5 files, {SIZE} B read and checked\n")


def test_what_was_added_is_read_and_the_rest_is_remembered(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD)
    cli("verify")
    model_cache.add(healthy_model("org/other"))
    assert cli("verify").out.splitlines()[-1] == (
        f"2 models: 2 healthy; 10 files, {2 * SIZE} B checked; {SIZE} B of it read now, the rest within the last 30d"
    )


def test_after_a_month_or_the_time_that_was_given_everything_is_read_again(cli: CommandLine) -> None:
    cache, clock = MemoryCache([GOOD]), MemoryClock()
    program = memory_program(cache, clock=clock, hasher=MemoryHasher(cache))

    def read(*options: str) -> int:
        return int(data(cli("verify", *options, "--json", services=program))["summary"]["bytes_read"])

    assert read() == SIZE
    clock.advance(29 * 86_400)
    assert read() == 0
    assert read("--max-age", "28d") == SIZE
    clock.advance(3 * 3600)
    assert read("--max-age", "4h") == 0
    assert read("--max-age", "2h") == SIZE
    clock.advance(30 * 86_400 + 1)
    assert read() == SIZE


def test_a_damaged_old_revision_is_named_and_its_repair_too(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    revision = GOOD.revisions[COMMIT]
    old = replace(
        revision, files={**revision.files, "model.safetensors": replace(WRONG, named="ab" * 32)}, modified=1.0
    )
    model_cache.add(replace(GOOD, revisions={COMMIT: revision, OLD: old}))
    run = cli("verify")
    assert run.out.startswith(f"unhealthy  tiny-4bit: model.safetensors (revision {OLD[:12]}) is damaged: ")
    assert run.err.endswith(f"with: mlxk2 pull {NAME}@{OLD[:12]} --repair\n")
    assert cli("verify", f"{NAME}@{COMMIT[:8]}").code == 0
    assert cli("verify", f"{NAME}@{OLD[:8]}").err.endswith(f"with: mlxk2 pull {NAME}@{OLD[:12]} --repair\n")


def test_files_without_a_known_hash_are_told(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(plain(GOOD))
    run = cli("verify")
    assert run == Run(
        0,
        "healthy    tiny-4bit (5 files cannot be checked)\n1 model: 1 healthy; 0 files, 0 B read and checked\n",
        f"Nothing here tells the hash of these files; the Hub does, with: mlxk2 pull {NAME} --repair\n",
    )
    (row,) = data(cli("verify", "--json"))["healthy"]
    assert [file["path"] for file in row["unchecked"]] == sorted(FILES)
    assert {file["revision"] for file in row["unchecked"]} == {COMMIT}


def test_a_model_that_health_calls_unhealthy_fails_too(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(sick_model(Pathology.MISSING_SHARD, NAME))
    run = cli("verify")
    assert run.code == 1
    assert "shards missing" in run.out


def test_nothing_to_verify_is_a_success(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    assert model_cache.root.exists()
    assert cli("verify", "x").err == "No model in the cache matches 'x'; see what is there with: mlxk2 list --all\n"
    assert data(cli("verify", "--json"))["summary"]["total"] == 0
    empty = cli("verify")
    assert empty.code == 0
    assert empty.err == "No model in the cache; get the demo: mlxk2 pull demo, or find one: mlxk2 search qwen\n"


@pytest.mark.parametrize("options", [("--again",), ("--max-age", "3d"), ("--max-age", "0")])
def test_options_about_reading_need_deep(cli: CommandLine, options: tuple[str, ...]) -> None:
    run = cli("health", *options)
    assert (run.code, run.out) == (2, "")
    assert run.err == ("mlxk2: --again and --max-age are about reading whole files; add --deep, or use: mlxk2 verify\n")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--again", "--max-age", "3d"), "argument --max-age: not allowed with argument --again"),
        (
            ("--max-age", "soon"),
            "argument --max-age: 'soon' is no age; write a number with s, m, h or d, such as 30d",
        ),
        (("--max-age", "-1d"), "argument --max-age: expected one argument"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(cli: CommandLine, options: tuple[str, ...], words: str) -> None:
    run = cli("verify", *options)
    assert run.code == 2
    assert run.err.splitlines()[-1] == f"mlxk2: {words}"


class Stopped(MemoryHasher):
    """The user presses Ctrl-C when some of the files are done."""

    def hashes(self, targets: Sequence[Target], now: float, since: float, watch: Watch) -> Mapping[Target, Hashed]:
        ordered = sorted(targets, key=lambda target: target.path, reverse=True)
        for target in ordered[:3]:
            super().hashes([target], now, since, watch)
        raise KeyboardInterrupt


def interrupted(cli: CommandLine, *options: str) -> Run:
    cache = MemoryCache([BAD])
    return cli("verify", *options, services=memory_program(cache, hasher=Stopped(cache)))


def test_an_interruption_says_what_was_done_and_how_to_go_on(cli: CommandLine) -> None:
    done = sum(len(FILES[path].content) for path in sorted(FILES)[2:])
    said = (
        f"Interrupted; 3 of 5 files ({done} B of {SIZE} B) checked and remembered; damaged so far: {NAME}: {REASON};"
        " run the same command again to go on from there"
    )
    run = interrupted(cli)
    assert (run.code, run.out, run.err.splitlines()[-1]) == (130, "", f"mlxk2: {said}")
    document = json.loads(interrupted(cli, "--json").out)
    assert document["error"] == {"type": "Interrupted", "message": said}
    assert interrupted(cli, "--again").err.endswith("; run it without --again to go on from there\n")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def told(err: io.StringIO, events: Sequence[Planned | Hashing | Settled | Found], **environ: str) -> str:
    with redirect_stderr(err):
        out = Output(json=False, jsonl=False, environ={"TERM": "xterm", **environ}, out=io.StringIO(), err=err)
        with VerifyProgress(out) as progress:
            for event in events:
                progress.watch(event)
    return err.getvalue()


EVENTS = (
    Planned(1, 2, 5_000_000),
    Hashing(4_000_000, 0, (FileHashing("model.safetensors", 3_000_000, 0),)),
    Hashing(4_000_000, 2_000_000, (FileHashing("model.safetensors", 3_000_000, 2_000_000),)),
    Found("org/m", Damage(COMMIT, "a\x1b", "is damaged")),
)


def test_a_terminal_shows_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_progress, "_QUIET_SECONDS", 0.0)
    monkeypatch.setenv("COLUMNS", "80")
    screen = told(Terminal(), EVENTS)
    assert screen.startswith("Checking 1 model: 2 files, 5.0 MB, of which 4.0 MB is to be read")
    for words in ("all files", "model.safetensors", "2.0/4.0 MB", "org/m: a\\x1b is damaged"):
        assert words in screen


def test_elsewhere_lines_are_few_and_damage_is_told_at_once_when_it_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    opening = "Checking 1 model: 2 files, 5.0 MB, of which 4.0 MB is to be read\n"
    assert told(io.StringIO(), EVENTS) == opening
    monkeypatch.setattr(verify_progress, "_QUIET_SECONDS", 0.0)
    assert told(io.StringIO(), EVENTS) == f"{opening}org/m: a\\x1b is damaged\n"


def test_many_damaged_files_are_counted_when_it_is_interrupted() -> None:
    out = Output(json=False, jsonl=False, environ={}, out=io.StringIO(), err=io.StringIO())
    progress = VerifyProgress(out)
    assert progress.so_far(again=False) == "Interrupted"
    progress.watch(Planned(1, 9, 100))
    assert progress.so_far(again=True) == "Interrupted before the first of 9 files was read to its end"
    progress.watch(Settled(Target("f", None, COMMIT, "p", 9, sha256=False), Hashed("ab", 9)))
    for number in range(5):
        progress.watch(Found("m", Damage(COMMIT, f"f{number}", "is odd")))
    assert "damaged so far: m: f0 is odd, m: f1 is odd, m: f2 is odd and 2 more; " in progress.so_far(again=False)
