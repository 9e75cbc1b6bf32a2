"""`push` against a Hub on the loopback device: what is sent, what is not, and what is said of it."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from dependency_injector import providers
from huggingface_hub import close_session, constants

from mlxk2.adapters.hub import HuggingFaceHub, Retries
from mlxk2.adapters.memory import MemoryCache, MemoryHub, MemoryRepo
from mlxk2.container import Adapters, App
from mlxk2.entrypoints.cli.context import Services
from mlxk2.settings import Settings
from mlxk2.testing import Placement, Run, StoredFile, healthy_model, memory_program, with_files, write_cache
from mlxk2.testing.plugin import CommandLine
from tests.loopback_hub import LoopbackHub, faults

NAME = "org/model"
TOKEN = "hf_q7Zk2mXv9LdTn4RsWcB8yHfJ3pGaE6uKoV"  # noqa: S105 - of a test
MODEL = {path: file.content for path, file in next(iter(healthy_model(NAME).revisions.values())).files.items()}


@pytest.fixture(autouse=True, scope="module")
def _one_session() -> Iterator[None]:
    """A new one for each test would read all certificates again."""
    yield
    close_session()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[LoopbackHub]:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # tests/e2e/test_push.py uploads through it
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with LoopbackHub() as server:
        server.add_token(TOKEN, user="ann", write=True)
        yield server


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A healthy model, and what should not leave the machine."""
    return filled(
        tmp_path / "model",
        {
            **MODEL,
            ".env": f"HF_TOKEN={TOKEN}".encode(),
            ".git/config": b"[core]",
            "sub/.venv/lib/site.py": b"",
            "my-python/pyvenv.cfg": b"home = /usr/bin",
            "my-python/lib/site.py": b"",
            "sub/model.pyc": b"",
            ".DS_Store": b"",
            "train.log": b"loss",
            "keep.log": b"loss",
            ".hfignore": b"*.log\n!keep.log\n",
        },
    )


SENT = {**MODEL, "keep.log": b"loss"}


def filled(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


Push = Callable[..., Run]


@pytest.fixture
def push(cli: CommandLine, server: LoopbackHub, folder: Path, tmp_path: Path) -> Iterator[Push]:
    """`push("--private", "--json")` of the folder to the repo. The token is in nothing that was printed."""
    places = (str(tmp_path / "runtime"), str(tmp_path / "state"), str(tmp_path / "memory"))
    adapters = Adapters(config=Settings(str(tmp_path / "no-cache"), server.endpoint, False, *places)._asdict())
    adapters.hub.override(providers.Object(HuggingFaceHub(server.endpoint, retries=Retries(sleep=lambda _: None))))
    services: Services = App(adapters=adapters).services()

    def push(*options: str, folder: Path = folder, name: str = NAME) -> Run:
        return cli("push", str(folder), name, *options, services=lambda: services)

    yield push
    for run in cli.runs:
        assert TOKEN not in run.out + run.err


def data(run: Run) -> Any:
    document = json.loads(run.out)
    assert (run.code, document["status"], document["command"], document["error"]) == (0, "success", "push", None)
    return document["data"]


def error(run: Run) -> Any:
    document = json.loads(run.out)
    assert (document["status"], document["command"], document["data"]) == ("error", "push", None)
    return document["error"]


def sent(server: LoopbackHub) -> list[str]:
    """Requests that can change something."""
    return [f"{request.method} {request.path}" for request in server.requests if request.method not in ("GET", "HEAD")]


def repo(server: LoopbackHub, files: Mapping[str, bytes] = {}, *, private: bool = True, name: str = NAME) -> str:
    """A repo with these files and the Hub's own .gitattributes."""
    return server.add_model(name, {".gitattributes": b"of the Hub", **files}, private=private)


class TestPrivacy:
    def test_who_may_read_the_repo_has_to_be_said(self, push: Push, server: LoopbackHub) -> None:
        run = push()
        assert (run.code, run.out) == (2, "")
        assert run.err.endswith("mlxk2: push needs --private or --public: say who may read the repo\n")
        assert push("--dry-run").code == 2
        assert push("--private", "--public").code == 2
        assert push("--private", "--public", "--check-only").code == 2
        assert server.requests == []

    @pytest.mark.parametrize("options", [(), ("--dry-run",), ("--create", "--branch", "next"), ("--delete",)])
    def test_a_public_repo_is_refused_before_anything_is_sent(
        self, push: Push, server: LoopbackHub, options: tuple[str, ...]
    ) -> None:
        repo(server, private=False)
        run = push("--private", "--json", *options)
        assert (run.code, error(run)["type"]) == (1, "OperationError")
        assert f"Make it private at {server.endpoint}/{NAME}/settings, or push with --public" in error(run)["message"]
        assert sent(server) == []
        assert server.files(NAME) == {".gitattributes": b"of the Hub"}

    def test_a_public_repo_is_for_those_who_say_so(self, push: Push, server: LoopbackHub) -> None:
        repo(server, private=False)
        run = push("--public")
        assert (run.code, "stays so" in run.err) == (0, False)
        assert server.files(NAME) == {**SENT, ".gitattributes": b"of the Hub"}

    @pytest.mark.parametrize("option", ["--public", "--private"])
    def test_a_private_repo_stays_so_and_who_wants_a_public_one_is_told(
        self, push: Push, server: LoopbackHub, option: str
    ) -> None:
        repo(server)
        for more in ("--dry-run", "--verbose"):
            run = push(option, more)
            assert run.code == 0
            assert (f"{NAME} is private on the Hub, and stays so\n" in run.err) is (option == "--public")
        assert server.model(NAME).private
        assert data(push(option, "--json"))["repo_id"] == NAME

    @pytest.mark.parametrize(("option", "private"), [("--private", True), ("--public", False)])
    def test_a_repo_is_made_as_private_as_was_said(
        self, push: Push, server: LoopbackHub, option: str, private: bool
    ) -> None:
        made = data(push(option, "--create", "--json"))
        assert server.model(NAME).private is private
        assert made["created_repo"] is True
        assert made["commit_sha"] == server.head(NAME)
        assert {**server.files(NAME), ".gitattributes": b""} == {**SENT, ".gitattributes": b""}


class TestCheckOnly:
    def test_it_needs_no_network(self, push: Push, server: LoopbackHub) -> None:
        run = push("--check-only")
        assert run.code == 0
        assert run.out == f"6 files (485 B) would go to {NAME}; as a model: healthy\n"
        assert server.requests == []

    @pytest.mark.parametrize("option", ["--private", "--public"])
    def test_who_may_read_the_repo_may_be_said_and_need_not(self, push: Push, option: str) -> None:
        for more in ((), ("--json",), ("--verbose",)):
            assert push(option, "--check-only", *more) == push("--check-only", *more)

    def test_it_says_what_stays_at_home(self, push: Push) -> None:
        assert push("--check-only").err == (
            "Secrets stay at home: .env\n"
            "4 files and 3 folders stay at home (caches, leftovers, .hfignore); see --verbose\n"
        )
        first, *others = push("--check-only", "--verbose").err.splitlines()
        assert first == "Secrets stay at home: .env"
        assert sorted(others) == [
            "  stays at home: .DS_Store (caches, virtual environments and leftovers)",
            "  stays at home: .git/ (version control)",
            "  stays at home: .hfignore (caches, virtual environments and leftovers)",
            "  stays at home: my-python/ (caches, virtual environments and leftovers)",
            "  stays at home: sub/.venv/ (caches, virtual environments and leftovers)",
            "  stays at home: sub/model.pyc (caches, virtual environments and leftovers)",
            "  stays at home: train.log (named in .hfignore)",
        ]

    def test_with_verbose_it_lists_what_goes_along(self, push: Push) -> None:
        assert push("--check-only", "--verbose").out == (
            "  + README.md (45 B)\n"
            "  + config.json (231 B)\n"
            "  + keep.log (4 B)\n"
            "  + model.safetensors (126 B)\n"
            "  + tokenizer.json (44 B)\n"
            "  + tokenizer_config.json (35 B)\n"
            f"6 files (485 B) would go to {NAME}; as a model: healthy\n"
        )

    def test_its_document_has_no_commit(self, push: Push, server: LoopbackHub) -> None:
        assert data(push("--check-only", "--json")) == {
            "repo_id": NAME,
            "branch": "main",
            "repo_url": f"{server.endpoint}/{NAME}",
            "commit_sha": None,
            "commit_url": None,
            "uploaded_files_count": 0,
            "local_files_count": 6,
            "no_changes": None,
            "created_repo": False,
            "change_summary": None,
            "message": f"6 files (485 B) would go to {NAME}; as a model: healthy",
            "experimental": False,
            "disclaimer": "",
            "local_files": sorted(SENT),
            "ignored_files": [
                {"name": ".DS_Store", "reason": "caches, virtual environments and leftovers"},
                {"name": ".env", "reason": "secrets"},
                {"name": ".git/", "reason": "version control"},
                {"name": ".hfignore", "reason": "caches, virtual environments and leftovers"},
                {"name": "my-python/", "reason": "caches, virtual environments and leftovers"},
                {"name": "sub/.venv/", "reason": "caches, virtual environments and leftovers"},
                {"name": "sub/model.pyc", "reason": "caches, virtual environments and leftovers"},
                {"name": "train.log", "reason": "named in .hfignore"},
            ],
            "workspace_health": {"healthy": True, "reason": None},
        }

    @pytest.mark.parametrize("options", [("--dry-run",), ()])
    def test_only_its_document_lists_the_folder(
        self, push: Push, server: LoopbackHub, options: tuple[str, ...]
    ) -> None:
        repo(server)
        assert {"local_files", "ignored_files"}.isdisjoint(data(push("--private", "--json", *options)))

    def test_it_is_no_dry_run_even_when_both_are_asked_for(self, push: Push, server: LoopbackHub) -> None:
        run = push("--check-only", "--dry-run", "--json")
        assert server.requests == []
        assert "dry_run" not in (json.loads(run.out)["data"] or {})

    def test_it_says_what_is_wrong_with_the_model(self, push: Push, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(MODEL["model.safetensors"][:-1])
        run = push("--check-only")
        reason = "model.safetensors is truncated: 125 of 126 bytes"
        assert (run.code, run.out) == (0, f"6 files (484 B) would go to {NAME}; as a model: unhealthy: {reason}\n")
        assert "unhealthy" not in run.err  # it is said once
        health = data(push("--check-only", "--json"))["workspace_health"]
        assert health == {"healthy": False, "reason": reason}

    def test_what_is_wrong_with_the_model_is_told_before_it_is_uploaded(self, push: Push, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(MODEL["model.safetensors"][:-1])
        run = push("--private", "--create")
        assert run.code == 0
        assert "As a model, this folder is unhealthy: model.safetensors is truncated: 125 of 126 bytes\n" in run.err

    def test_links_to_folders_are_reported(self, push: Push, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "elsewhere").mkdir()
        (folder / "linked").symlink_to(tmp_path / "elsewhere")
        assert "Links to folders and the like, left out: linked\n" in push("--check-only").err

    def test_links_to_files_outside_the_folder_are_reported(self, push: Push, folder: Path, tmp_path: Path) -> None:
        filled(tmp_path, {"key": b""})
        for number in range(12):
            (folder / f"{number:02}.txt").symlink_to(tmp_path / "key")
        told = "Links to files outside the folder, left out: 00.txt, 01.txt,"
        run = push("--check-only")
        assert f"{told} 02.txt" in run.err
        assert ", 09.txt and 2 more\n" in run.err
        assert ", 10.txt, 11.txt\n" in push("--check-only", "--verbose").err
        assert told in push("--private", "--dry-run", "--create").err
        assert data(push("--check-only", "--json"))["local_files"] == sorted(SENT)

    def test_many_names_are_cut_short_and_told_whole_when_asked_for(self, push: Push, folder: Path) -> None:
        filled(folder, {f"{number:02}.pem": b"" for number in range(14)})
        assert ", 08.pem and 5 more\n" in push("--check-only").err
        assert ", 12.pem, 13.pem\n" in push("--check-only", "--verbose").err


class TestDryRun:
    def test_it_is_the_plan_and_sends_nothing(self, push: Push, server: LoopbackHub) -> None:
        repo(server, {**SENT, "config.json": b"{}", "old.bin": b"old"})
        before = server.head(NAME)
        run = push("--private", "--dry-run", "--delete")
        assert run.out == (
            f"  ~ config.json\n  - old.bin\nA push to {NAME} would change 1 file, delete 1 file; nothing was sent\n"
        )
        assert sent(server) == []
        assert server.head(NAME) == before

    def test_its_document_names_every_file(self, push: Push, server: LoopbackHub) -> None:
        repo(server, {"config.json": b"{}", "README.md": MODEL["README.md"], "old.bin": b"old"})
        plan = data(push("--private", "--dry-run", "--json"))
        assert plan["dry_run"] is True
        assert plan["dry_run_summary"] == {"added": 4, "modified": 1, "deleted": 0}
        assert plan["added_files"] == ["keep.log", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
        assert (plan["modified_files"], plan["deleted_files"]) == (["config.json"], [])
        assert (plan["no_changes"], plan["change_summary"], plan["commit_sha"]) == (False, None, None)
        assert plan["message"] == f"A push to {NAME} would add 4 files, change 1 file; nothing was sent"

    @pytest.mark.parametrize("path", ["model.safetensors", "config.json"])
    def test_a_change_that_keeps_the_size_is_seen_in_large_and_in_small_files(
        self, push: Push, server: LoopbackHub, path: str
    ) -> None:
        repo(server, {**SENT, path: MODEL[path][:-1] + b"\1"})
        assert data(push("--private", "--dry-run", "--json"))["modified_files"] == [path]

    def test_deletions_are_planned_only_when_they_are_asked_for(self, push: Push, server: LoopbackHub) -> None:
        repo(server, {**SENT, "old.bin": b"old"})
        assert data(push("--private", "--dry-run", "--json"))["no_changes"] is True
        plan = data(push("--private", "--dry-run", "--json", "--delete"))
        assert (plan["no_changes"], plan["deleted_files"]) == (False, ["old.bin"])

    def test_an_empty_plan_says_so(self, push: Push, server: LoopbackHub) -> None:
        repo(server, SENT)
        assert push("--private", "--dry-run").out == (
            f"{NAME} already holds these files; a push would change nothing\n"
        )

    def test_what_would_be_made_is_told(self, push: Push, server: LoopbackHub) -> None:
        assert push("--private", "--dry-run", "--create").out.endswith(
            f"A push to {NAME} would add 6 files and make the repo; nothing was sent\n"
        )
        repo(server, {"README.md": MODEL["README.md"]})
        assert push("--private", "--dry-run", "--create", "--branch", "next").out.endswith(
            f"A push to {NAME} would add 5 files and make the branch 'next'; nothing was sent\n"
        )
        assert sent(server) == []

    def test_a_branch_that_would_be_made_is_a_change(self, push: Push, server: LoopbackHub) -> None:
        repo(server, SENT)
        run = push("--private", "--dry-run", "--create", "--branch", "next")
        assert "make the branch 'next'" in run.out
        assert "change nothing" not in run.out


class TestPushing:
    def test_the_repo_then_holds_the_folder(self, push: Push, server: LoopbackHub) -> None:
        repo(server, {"config.json": b"{}"})
        run = push("--private")
        head = server.head(NAME)
        assert (run.code, server.files(NAME)) == (0, {**SENT, ".gitattributes": b"of the Hub"})
        assert run.out == (
            f"{NAME}: 5 files added, 1 file changed in commit {head[:12]} ({server.endpoint}/{NAME}/commit/{head})\n"
        )
        assert run.err.endswith("Uploading 6 files, 485 B\n")

    def test_its_document_tells_of_the_commit(self, push: Push, server: LoopbackHub) -> None:
        repo(server, {"config.json": b"{}", "old.bin": b"old"})
        made = data(push("--private", "--delete", "--json"))
        head = server.head(NAME)
        assert made == {
            "repo_id": NAME,
            "branch": "main",
            "repo_url": f"{server.endpoint}/{NAME}",
            "commit_sha": head,
            "commit_url": f"{server.endpoint}/{NAME}/commit/{head}",
            "uploaded_files_count": 6,
            "local_files_count": 6,
            "no_changes": False,
            "created_repo": False,
            "change_summary": {"added": 5, "modified": 1, "deleted": 1},
            "message": f"{NAME}: 5 files added, 1 file changed, 1 file deleted in commit {head[:12]}"
            f" ({server.endpoint}/{NAME}/commit/{head})",
            "experimental": False,
            "disclaimer": "",
            "workspace_health": {"healthy": True, "reason": None},
        }

    def test_what_check_and_dry_run_say_is_what_is_uploaded(self, push: Push, server: LoopbackHub) -> None:
        repo(server)
        checked = data(push("--check-only", "--json"))
        planned = data(push("--private", "--dry-run", "--json"))["added_files"]
        made = data(push("--private", "--json"))
        assert checked["local_files"] == planned
        assert checked["local_files_count"] == len(planned) == made["uploaded_files_count"]
        assert set(planned) == set(server.files(NAME)) - {".gitattributes"} == set(SENT)

    def test_nothing_is_committed_when_nothing_changed(self, push: Push, server: LoopbackHub) -> None:
        before = repo(server, SENT)
        run = push("--private")
        assert run.out == f"{NAME}: nothing to change, it already holds these files\n"
        made = data(push("--private", "--json"))
        assert (made["no_changes"], made["commit_sha"], made["uploaded_files_count"]) == (True, None, 0)
        assert made["change_summary"] == {"added": 0, "modified": 0, "deleted": 0}
        assert (server.head(NAME), sent(server)) == (before, [])

    def test_a_second_push_changes_nothing(self, push: Push, server: LoopbackHub) -> None:
        push("--private", "--create")
        head = server.head(NAME)
        assert data(push("--private", "--json"))["no_changes"] is True
        assert server.head(NAME) == head

    def test_what_is_not_in_the_folder_stays_unless_its_deletion_is_asked_for(
        self, push: Push, server: LoopbackHub
    ) -> None:
        repo(server, {"old.bin": b"old"})
        push("--private")
        assert "old.bin" in server.files(NAME)
        push("--private", "--delete")
        assert server.files(NAME) == {**SENT, ".gitattributes": b"of the Hub"}

    def test_the_message_of_the_commit_can_be_chosen(self, push: Push, server: LoopbackHub) -> None:
        repo(server)
        push("--private", "--commit", "Better weights")
        assert server.model(NAME).head.title == "Better weights"

    @pytest.mark.parametrize("options", [(), ("--commit", "")])
    def test_without_one_the_message_says_what_was_done(
        self, push: Push, server: LoopbackHub, options: tuple[str, ...]
    ) -> None:
        repo(server)
        push("--private", *options)
        assert server.model(NAME).head.title == "Upload model with mlxk2"

    def test_a_branch_is_made_and_committed_to(self, push: Push, server: LoopbackHub) -> None:
        before = repo(server)
        assert push("--private", "--branch", "next").code == 2
        made = data(push("--private", "--branch", "next", "--create", "--json"))
        assert (made["branch"], made["created_repo"], made["commit_sha"]) == ("next", False, server.head(NAME, "next"))
        assert server.head(NAME) == before
        assert set(server.files(NAME, "next")) == {*SENT, ".gitattributes"}

    def test_a_branch_that_is_made_and_holds_the_files_already_is_told(self, push: Push, server: LoopbackHub) -> None:
        repo(server, SENT)
        run = push("--private", "--branch", "next", "--create")
        assert server.head(NAME, "next") == server.head(NAME)
        assert "branch made" in run.out

    def test_a_repo_that_is_not_there_is_not_made_without_being_asked(self, push: Push, server: LoopbackHub) -> None:
        run = push("--private", "--json")
        assert (run.code, error(run)["type"]) == (2, "model_not_found")
        assert "make it with --create" in error(run)["message"]
        assert sent(server) == []

    def test_with_verbose_every_file_is_named(self, push: Push, server: LoopbackHub) -> None:
        repo(server, {**SENT, "config.json": b"{}", "old.bin": b"old"})
        assert "  ~ config.json\n  - old.bin\nUploading 1 file" in push("--private", "--delete", "--verbose").err

    def test_why_nothing_happens_for_a_while_is_told_without_being_asked_for(
        self, push: Push, server: LoopbackHub
    ) -> None:
        repo(server)
        server.break_("/commit/main", faults.Status(503, headers={"Retry-After": "60"}))
        assert "The Hub has trouble (HTTP 503); trying again in 60 s\n" in push("--private").err

    def test_with_verbose_the_document_has_what_huggingface_hub_said(self, push: Push, server: LoopbackHub) -> None:
        repo(server)
        server.break_("/preupload/", faults.Headers({"X-HF-Warning": "push; You will have to move soon"}))
        run = push("--private", "--verbose", "--json")
        assert data(run)["hf_logs"] == ["You will have to move soon"]
        assert "You will have to move soon" in run.err
        assert "hf_logs" not in data(push("--private", "--json"))

    def test_the_file_that_was_checked_is_the_one_that_is_uploaded(
        self, push: Push, server: LoopbackHub, tmp_path: Path
    ) -> None:
        filled(tmp_path, {"a/model/notes.txt": b"the right one", "b/model/notes.txt": b"a wrong one", "a/sub/x": b""})
        (tmp_path / "b" / "link").symlink_to(tmp_path / "a" / "sub")
        repo(server)
        push("--private", folder=tmp_path / "b" / "link" / ".." / "model")
        assert server.files(NAME)["notes.txt"] == b"the right one"

    def test_a_link_to_a_file_of_the_folder_is_uploaded_as_what_it_leads_to(
        self, push: Push, server: LoopbackHub, folder: Path
    ) -> None:
        filled(folder, {"sub/weights": MODEL["model.safetensors"] + b"\0"})
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").symlink_to("sub/weights")
        repo(server)
        push("--private")
        assert server.files(NAME)["model.safetensors"] == MODEL["model.safetensors"] + b"\0"

    def test_a_link_to_a_file_elsewhere_is_not_uploaded(
        self, push: Push, server: LoopbackHub, folder: Path, tmp_path: Path
    ) -> None:
        filled(tmp_path, {"key": b"of somebody else"})
        (folder / "notes.txt").symlink_to(tmp_path / "key")
        (folder / "hop.txt").symlink_to(".env")
        repo(server)
        run = push("--private")
        assert server.files(NAME) == {**SENT, ".gitattributes": b"of the Hub"}
        assert "Links to files outside the folder, left out: notes.txt\n" in run.err
        assert "Secrets stay at home: .env, hop.txt\n" in run.err

    def test_a_snapshot_in_the_cache_can_be_pushed(self, push: Push, server: LoopbackHub, tmp_path: Path) -> None:
        weights = StoredFile(MODEL["model.safetensors"], lfs=True, placement=Placement.SHARED)
        model = with_files(healthy_model(NAME), {"model.safetensors": weights})
        (snapshot,) = (write_cache(tmp_path / "hub", [model]) / model.folder / "snapshots").iterdir()
        repo(server)
        run = push("--private", folder=snapshot)
        assert server.files(NAME) == {**MODEL, ".gitattributes": b"of the Hub"}
        assert run.err == "Uploading 5 files, 481 B\n"


class TestRefusals:
    @pytest.mark.parametrize("options", [("--check-only",), ("--dry-run",), ()])
    def test_a_file_that_looks_like_a_secret_stops_everything(
        self, push: Push, server: LoopbackHub, folder: Path, options: tuple[str, ...]
    ) -> None:
        filled(folder, {"sub/train.py": f"login({TOKEN!r})".encode()})
        run = push("--private", "--create", "--json", *options)
        assert (run.code, error(run)["type"]) == (1, "ValidationError")
        assert error(run)["message"] == (
            "Nothing was sent: sub/train.py (a Hugging Face token) looks like a secret. Take it out, or keep the file"
            " at home with a line in .hfignore; revoke what was ever shared"
        )
        assert server.requests == []

    def test_a_folder_that_is_none_is_refused(self, push: Push, server: LoopbackHub, tmp_path: Path) -> None:
        run = push("--private", "--json", folder=tmp_path / "nothing")
        assert (run.code, error(run)["type"]) == (1, "ValidationError")
        assert server.requests == []

    @pytest.mark.parametrize("name", ["model", "org/a--b", "../x", "a/b/c", "org/m@v1"])
    def test_odd_names_are_refused(self, push: Push, server: LoopbackHub, name: str) -> None:
        assert error(push("--private", "--json", name=name))["type"] == "ValidationError"
        assert server.requests == []

    @pytest.mark.parametrize("line", ["!.cache/", "!*", "!**"])
    def test_what_huggingface_hub_would_refuse_is_on_no_list(
        self, push: Push, server: LoopbackHub, folder: Path, line: str
    ) -> None:
        filled(folder, {".cache/notes.txt": b"text", ".hfignore": f"{line}\n.env\n".encode()})
        repo(server)
        planned = data(push("--private", "--dry-run", "--json"))["added_files"]
        assert data(push("--private", "--json"))["uploaded_files_count"] == len(planned)

    def test_a_commit_that_conflicts_is_told(self, push: Push, server: LoopbackHub) -> None:
        repo(server, {"config.json": b"{}"})
        server.break_("/commit/main", faults.Status(412))
        run = push("--private", "--json")
        assert (run.code, error(run)["type"]) == (1, "OperationError")
        assert error(run)["message"] == (
            f"'{NAME}' was changed on the Hub meanwhile; nothing was committed: try --dry-run and push again"
        )
        assert server.files(NAME) == {".gitattributes": b"of the Hub", "config.json": b"{}"}

    def test_without_a_token_the_next_step_is_to_log_in(
        self, push: Push, server: LoopbackHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        run = push("--private", "--create")
        assert (run.code, run.out) == (2, "")
        assert "log in with: hf auth login" in run.err
        assert not any(request.status == 200 for request in server.requests)


class TestLostAnswers:
    @pytest.mark.parametrize("delete", [(), ("--delete",)])
    def test_a_commit_whose_answer_was_lost_is_recognised_as_done(
        self, push: Push, server: LoopbackHub, delete: tuple[str, ...]
    ) -> None:
        before = repo(server, {"config.json": b"{}", "old.bin": b"old"})
        server.break_("/commit/main", faults.Cut(at=0))
        made = data(push("--private", "--json", *delete))
        head = server.model(NAME).head
        assert (made["commit_sha"], head.parent) == (head.oid, before)
        assert made["commit_url"] == f"{server.endpoint}/{NAME}/commit/{head.oid}"
        assert made["change_summary"] == {"added": 5, "modified": 1, "deleted": len(delete)}

    def test_a_commit_that_only_deletes_is_recognised_too(self, push: Push, server: LoopbackHub) -> None:
        before = repo(server, {**SENT, "old.bin": b"old"})
        server.break_("/commit/main", faults.Cut(at=0))
        assert data(push("--private", "--delete", "--json"))["commit_sha"] == server.head(NAME) != before

    def test_a_repo_whose_answer_was_lost_is_used(self, push: Push, server: LoopbackHub) -> None:
        server.break_("/api/repos/create", faults.Cut(at=0))
        assert push("--private", "--create").code == 0
        assert set(server.files(NAME)) == {*SENT, ".gitattributes"}


class TestWords:
    """What needs no server."""

    def test_offline_a_folder_can_be_checked_and_nothing_else(self, cli: CommandLine, folder: Path) -> None:
        program = memory_program(MemoryCache(), hub=MemoryHub(is_offline=True))
        assert cli("push", str(folder), NAME, "--private", "--check-only", services=program).code == 0
        for option in ("--dry-run", "--create"):
            run = cli("push", str(folder), NAME, "--private", option, services=program)
            assert (run.code, "Offline" in run.err) == (2, True)

    @pytest.mark.parametrize("options", [("--check-only", "--json"), ("--dry-run", "--json"), ("--dry-run",)])
    def test_a_token_in_the_address_of_the_hub_is_not_printed(
        self, cli: CommandLine, folder: Path, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
    ) -> None:
        monkeypatch.setenv("HF_ENDPOINT", f"http://ann:{TOKEN}@127.0.0.1:9")
        run = cli("push", str(folder), NAME, "--private", *options)
        assert TOKEN not in run.out + run.err

    def test_control_characters_in_names_do_not_reach_the_terminal(self, cli: CommandLine, tmp_path: Path) -> None:
        names = ("a\x1b[31m.txt", "b\x1b[31m.pem", "c\x1b[31m.pyc", "d\x1b[31m/pyvenv.cfg")
        folder = filled(tmp_path / "model", dict.fromkeys(names, b""))
        filled(tmp_path, {"key": b""})
        (folder / "e\x1b[31m.txt").symlink_to(tmp_path / "key")
        (folder / "f\x1b[31m.txt").symlink_to(tmp_path)
        program = memory_program(MemoryCache(), hub=MemoryHub({NAME: MemoryRepo(private=True)}))
        for option in ("--check-only", "--dry-run", "--verbose"):
            run = cli("push", str(folder), NAME, "--private", option, "--verbose", services=program)
            assert "\x1b" not in run.out + run.err

    def test_one_file_or_folder_that_stays_at_home_is_told_as_one(self, cli: CommandLine, tmp_path: Path) -> None:
        folder = filled(tmp_path, {"a.txt": b"", "a.pyc": b""})
        program = memory_program(MemoryCache())
        run = cli("push", str(folder), NAME, "--check-only", services=program)
        assert run.err == "1 file stays at home (caches, leftovers, .hfignore); see --verbose\n"
        (folder / "a.pyc").unlink()
        filled(folder, {".git/config": b""})
        run = cli("push", str(folder), NAME, "--check-only", services=program)
        assert run.err == "1 folder stays at home (caches, leftovers, .hfignore); see --verbose\n"

    def test_a_line_end_in_a_name_does_not_make_a_line(self, cli: CommandLine, tmp_path: Path) -> None:
        folder = filled(tmp_path, {"a.txt": b"", "b\nmlxk2: all is well.pem": b""})
        run = cli("push", str(folder), NAME, "--private", "--check-only", services=memory_program(MemoryCache()))
        assert "\nmlxk2: all is well" not in run.err
