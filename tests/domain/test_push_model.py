"""Pushing a folder, decided on Hubs in memory and on folders of the test."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MemoryHub, MemoryRepo
from mlxk2.adapters.workspace import FolderWorkspace
from mlxk2.domain.ignore import Reason
from mlxk2.domain.usecases.push_model import FolderCheck, PushModel, PushOptions, PushPlan
from mlxk2.ports.errors import Conflict, NetworkProblem, NotOnHub, OperationError, ValidationError
from mlxk2.testing import MemoryCache, Placement, StoredFile, healthy_model, safetensors, with_files, write_cache

NAME = "org/model"
MODEL = {path: file.content for path, file in next(iter(healthy_model(NAME).revisions.values())).files.items()}
TOKEN = b"hf_q7Zk2mXv9LdTn4RsWcB8yHfJ3pGaE6uKoV"
PRIVATE, PUBLIC = PushOptions(private=True), PushOptions(private=False)
WEIGHTS = safetensors()
OTHER_WEIGHTS = WEIGHTS[:-1] + b"\1"
OFFLINE = MemoryHub(is_offline=True)


def unheard(text: str) -> None:
    """For whoever does not want to be told."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A healthy model."""
    return filled(tmp_path / "model", MODEL)


def filled(folder: Path, files: Mapping[str, bytes]) -> Path:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    return folder


def push_to(hub: MemoryHub) -> PushModel:
    return PushModel(FolderWorkspace(), hub, MemoryCache())


def checked(folder: Path, name: str = NAME) -> FolderCheck:
    return push_to(OFFLINE).check(str(folder), name)


def hub_with(files: Mapping[str, bytes], *, private: bool = True) -> MemoryHub:
    return MemoryHub({NAME: MemoryRepo({"main": dict(files)}, private=private)})


def planned(hub: MemoryHub, folder: Path, options: PushOptions = PRIVATE) -> PushPlan:
    push = push_to(hub)
    return push.plan(push.check(str(folder), NAME), options, unheard)


def paths(plan: PushPlan) -> tuple[list[str], list[str], list[str]]:
    """What would be added, modified and deleted."""
    return [file.path for file in plan.added], [file.path for file in plan.modified], list(plan.deleted)


class TestCheck:
    def test_a_folder_is_checked_without_any_network(self, folder: Path) -> None:
        check = checked(folder)
        assert check.name == NAME
        assert [file.path for file in check.files] == sorted(MODEL)
        assert (check.at_home, check.odd, check.outside, check.health.reason) == ({}, (), (), None)

    def test_the_health_of_the_folder_as_a_model_is_told(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(WEIGHTS[:-1])
        assert "model.safetensors" in (checked(folder).health.reason or "")

    def test_health_looks_at_what_goes_along(self, folder: Path) -> None:
        filled(folder, {".hfignore": b"*.safetensors\n"})
        assert checked(folder).health.reason == "no weights"

    def test_a_folder_of_nothing_but_links_out_of_it_is_refused_with_the_reason(self, folder: Path) -> None:
        only = folder.parent / "only-links"
        only.mkdir()
        (only / "config.json").symlink_to(folder / "config.json")
        with pytest.raises(ValidationError, match=r"links out of it \(config\.json\)"):
            checked(only)

    def test_a_folder_of_secrets_is_named_and_not_entered(self, folder: Path) -> None:
        filled(folder, {".ssh/id_rsa": b"", "sub/.aws/config": b"", "secrets/pin.txt": TOKEN, "venv/x.py": b""})
        assert checked(folder).secrets_at_home == (".ssh/", "secrets/", "sub/.aws/")

    @pytest.mark.parametrize("name", ["model", "demo", ""])
    def test_the_name_says_whose_repo_it_is(self, folder: Path, name: str) -> None:
        with pytest.raises(ValidationError, match="whose repo it is: write org/model"):
            checked(folder, name)

    @pytest.mark.parametrize("name", ["org/a--b", "../x", "a/b/c", "org/", "/m", "org/m@main", "org/.m"])
    def test_odd_names_are_refused(self, folder: Path, name: str) -> None:
        with pytest.raises(ValidationError):
            checked(folder, name)

    def test_a_folder_that_does_not_exist_is_refused(self, folder: Path) -> None:
        with pytest.raises(ValidationError, match="does not exist; name the folder that holds the model's files"):
            checked(folder / "nothing")

    def test_a_file_is_refused(self, folder: Path) -> None:
        with pytest.raises(ValidationError, match="is not a folder; name the folder that holds the model's files"):
            checked(folder / "config.json")

    @pytest.mark.parametrize("files", [{}, {".env": b"A=1"}, {".hfignore": b"*", "config.json": b"{}"}])
    def test_a_folder_without_anything_to_upload_is_refused(self, tmp_path: Path, files: dict[str, bytes]) -> None:
        with pytest.raises(ValidationError, match="has no files to upload"):
            checked(filled(tmp_path, files))

    def test_what_stays_at_home_is_told_with_its_reason(self, folder: Path) -> None:
        filled(folder, {".env": b"A=1", "a.pyc": b"", "train.log": b"", "sub/.DS_Store": b"", ".hfignore": b"*.log\n"})
        check = checked(folder)
        assert check.at_home == {
            ".env": Reason.SECRET,
            ".hfignore": Reason.JUNK,
            "a.pyc": Reason.JUNK,
            "sub/.DS_Store": Reason.JUNK,
            "train.log": Reason.ASKED,
        }
        assert check.secrets_at_home == (".env",)
        assert [file.path for file in check.files] == sorted(MODEL)

    def test_the_folders_of_tools_are_named_and_not_even_entered(self, folder: Path) -> None:
        filled(
            folder,
            {
                ".git/config": TOKEN,
                "sub/.venv/lib/a.py": TOKEN,
                "my-env/pyvenv.cfg": b"home = /usr/bin",
                "my-env/lib/a.py": TOKEN,
                ".cache/huggingface/x": TOKEN,
                "node_modules/a/b.js": TOKEN,
                "runs/loss.txt": TOKEN,
                ".hfignore": b"runs/\n",
            },
        )
        check = checked(folder)
        assert [file.path for file in check.files] == sorted(MODEL)
        assert check.at_home == {
            ".cache/": Reason.JUNK,
            ".git/": Reason.VERSION_CONTROL,
            ".hfignore": Reason.JUNK,
            "my-env/": Reason.JUNK,
            "node_modules/": Reason.JUNK,
            "runs/": Reason.ASKED,
            "sub/.venv/": Reason.JUNK,
        }

    def test_links_within_the_folder_go_along_and_links_to_folders_are_reported(
        self, folder: Path, tmp_path: Path
    ) -> None:
        filled(folder, {"sub/payload": b"payload"})
        (folder / "linked.bin").symlink_to("sub/payload")
        (folder / "linked").symlink_to(tmp_path)
        (folder / "linked-too").symlink_to("sub")
        check = checked(folder)
        assert (check.odd, check.outside, check.at_home) == (("linked", "linked-too"), (), {})
        assert ("linked.bin", 7) in [(file.path, file.size) for file in check.files]

    def test_links_to_files_outside_the_folder_are_left_out_and_named(self, folder: Path, tmp_path: Path) -> None:
        filled(tmp_path, {"key": b"-----BEGIN PRIVATE KEY-----\n"})
        filled(folder, {"sub/a.txt": b""})
        for path in ("notes.txt", "sub/notes.txt"):
            (folder / path).symlink_to(tmp_path / "key")
        check = checked(folder)
        assert (check.outside, check.odd, check.at_home) == (("notes.txt", "sub/notes.txt"), (), {})
        assert [file.path for file in check.files] == sorted([*MODEL, "sub/a.txt"])

    def test_weights_that_are_left_out_are_missing(self, folder: Path, tmp_path: Path) -> None:
        (folder / "model.safetensors").rename(tmp_path / "weights")
        (folder / "model.safetensors").symlink_to(tmp_path / "weights")
        check = checked(folder)
        assert (check.outside, check.health.reason) == (("model.safetensors",), "no weights")

    def test_a_snapshot_in_the_cache_is_a_folder_like_any_other(self, tmp_path: Path) -> None:
        weights = StoredFile(MODEL["model.safetensors"], lfs=True, placement=Placement.SHARED)
        model = with_files(healthy_model("mlx-community/tiny"), {"model.safetensors": weights})
        root = write_cache(tmp_path / "hub", [model])
        (snapshot,) = (root / model.folder / "snapshots").iterdir()
        check = checked(snapshot)
        assert [file.path for file in check.files] == sorted(MODEL)
        assert (check.at_home, check.odd, check.outside, check.health.reason) == ({}, (), (), None)
        hub = hub_with({})
        push_to(hub).execute(planned(hub, snapshot), unheard)
        assert hub.repos[NAME].branches["main"] == MODEL

    @pytest.mark.parametrize(
        ("target", "reason"),
        [
            (".env", Reason.SECRET),
            ("sub/server.key", Reason.SECRET),
            (".ssh/config", Reason.SECRET),
            (".git/config", Reason.VERSION_CONTROL),
            ("__pycache__/a.txt", Reason.JUNK),
            ("train.log", Reason.ASKED),
            ("runs/a.txt", Reason.ASKED),
        ],
    )
    def test_a_link_is_judged_by_what_it_leads_to_too(self, folder: Path, target: str, reason: Reason) -> None:
        filled(folder, {target: b"A=1", ".hfignore": b"*.log\nruns/\n"})
        (folder / "notes.txt").symlink_to(target)
        (folder / "hop.txt").symlink_to("notes.txt")
        check = checked(folder)
        assert (check.at_home["notes.txt"], check.at_home["hop.txt"]) == (reason, reason)
        assert [file.path for file in check.files] == sorted(MODEL)

    def test_a_link_is_judged_by_its_own_name_all_the_same(self, folder: Path) -> None:
        (folder / "config.pem").symlink_to("config.json")
        assert checked(folder).secrets_at_home == ("config.pem",)

    def test_what_hfignore_takes_back_a_link_may_lead_to(self, folder: Path) -> None:
        filled(folder, {".env.example": b"A=1", ".hfignore": b"!.env.example\n"})
        (folder / "notes.txt").symlink_to(".env.example")
        assert {"notes.txt", ".env.example"} <= {file.path for file in checked(folder).files}

    def test_a_name_that_is_not_utf8_is_refused(self, folder: Path) -> None:
        filled(folder, {"odd\udcff.txt": b"text"})
        with pytest.raises(ValidationError, match=r"'odd\\udcff\.txt' is not valid UTF-8"):
            checked(folder)


class TestSecrets:
    def test_a_file_whose_content_looks_like_a_token_stops_the_push_and_is_named(self, folder: Path) -> None:
        filled(folder, {"sub/train.py": b"login('" + TOKEN + b"')\n"})
        with pytest.raises(ValidationError) as caught:
            checked(folder)
        assert caught.value.message == (
            "Nothing was sent: sub/train.py (a Hugging Face token) looks like a secret. Take it out, or keep the file"
            " at home with a line in .hfignore; revoke what was ever shared"
        )

    def test_all_such_files_are_named_and_no_secret_is_quoted(self, folder: Path) -> None:
        filled(folder, {"b.txt": TOKEN, "a.txt": b"-----BEGIN OPENSSH PRIVATE KEY-----\n"})
        with pytest.raises(ValidationError) as caught:
            checked(folder)
        assert caught.value.message == (
            "Nothing was sent: a.txt (a private key), b.txt (a Hugging Face token) look like secrets. Take them out, or"
            " keep the file at home with a line in .hfignore; revoke what was ever shared"
        )

    def test_a_secret_key_of_aws_is_found(self, folder: Path) -> None:
        filled(folder, {"notes.txt": b"aws_secret_access_key = q7Zk2mXv9LdTn4RsWcB8yHfJ3pGaE6uKoVbN/+1x\n"})
        with pytest.raises(ValidationError, match=r"notes\.txt \(an AWS secret key\)"):
            checked(folder)

    @pytest.mark.parametrize("before", [1, len(TOKEN) // 2, len(TOKEN) - 1])
    def test_a_token_across_the_border_of_two_pieces_is_found(self, folder: Path, before: int) -> None:
        filled(folder, {"notes.txt": b" " * (256 * 1024 - before) + TOKEN + b"\n"})
        with pytest.raises(ValidationError, match=r"notes\.txt"):
            checked(folder)

    @pytest.mark.parametrize("content", [b"export HF_TOKEN=hf_xxxx\n", b"hf_" + b"x" * 34, b"\0\1\2" + TOKEN])
    def test_placeholders_and_binary_files_stop_nothing(self, folder: Path, content: bytes) -> None:
        filled(folder, {"notes.txt": content})
        assert "notes.txt" in [file.path for file in checked(folder).files]

    def test_a_file_that_stays_at_home_may_hold_what_it_likes(self, folder: Path) -> None:
        filled(folder, {"train.py": TOKEN, ".env": TOKEN, ".hfignore": b"train.py\n"})
        assert checked(folder).secrets_at_home == (".env",)

    def test_a_secret_that_hfignore_takes_back_is_still_searched(self, folder: Path) -> None:
        filled(folder, {".env.example": b"HF_TOKEN=hf_xxxx\n", ".env": TOKEN, ".hfignore": b"!.env*\n"})
        with pytest.raises(ValidationError, match=r"Nothing was sent: \.env \(a Hugging Face token\) looks"):
            checked(folder)

    def test_a_link_to_a_secret_is_searched_too(self, folder: Path) -> None:
        filled(folder, {"sub/words": b"-----BEGIN PRIVATE KEY-----\n"})
        (folder / "notes.txt").symlink_to("sub/words")
        with pytest.raises(ValidationError, match=r"notes\.txt \(a private key\), sub/words \(a private key\)"):
            checked(folder)

    def test_a_snapshot_in_the_cache_is_searched_too(self, tmp_path: Path) -> None:
        model = healthy_model("mlx-community/tiny", files={"notes.txt": TOKEN})
        root = write_cache(tmp_path / "hub", [model])
        (snapshot,) = (root / model.folder / "snapshots").iterdir()
        with pytest.raises(ValidationError, match=r"notes\.txt \(a Hugging Face token\)"):
            checked(snapshot)


class TestPlan:
    def test_files_that_the_repo_does_not_have_are_added(self, folder: Path) -> None:
        plan = planned(hub_with({"config.json": MODEL["config.json"]}), folder)
        assert paths(plan) == (sorted(MODEL.keys() - {"config.json"}), [], [])

    @pytest.mark.parametrize("path", ["notes.txt", "extra.safetensors"])
    @pytest.mark.parametrize(
        ("here", "there", "modified"),
        [(WEIGHTS, WEIGHTS, False), (WEIGHTS, OTHER_WEIGHTS, True), (WEIGHTS, WEIGHTS + b"\0", True)],
    )
    def test_a_file_is_modified_when_its_content_is(
        self, folder: Path, path: str, here: bytes, there: bytes, modified: bool
    ) -> None:
        plan = planned(hub_with({**MODEL, path: there}), filled(folder, {path: here}))
        assert paths(plan) == ([], [path] if modified else [], [])
        assert plan.is_empty is not modified

    def test_uploads_are_what_is_added_and_modified_in_order(self, folder: Path) -> None:
        plan = planned(hub_with({**MODEL, "b.txt": b"old"}), filled(folder, {"c.txt": b"", "b.txt": b"", "a.txt": b""}))
        assert [file.path for file in plan.uploads] == ["a.txt", "b.txt", "c.txt"]

    def test_files_are_deleted_only_when_that_is_asked_for(self, folder: Path) -> None:
        hub = hub_with({**MODEL, "old.bin": b"old", "sub/old.txt": b"old"})
        assert planned(hub, folder).is_empty
        assert paths(planned(hub, folder, PushOptions(private=True, delete=True))) == (
            [],
            [],
            ["old.bin", "sub/old.txt"],
        )

    def test_gitattributes_are_of_the_hub_and_never_deleted(self, folder: Path) -> None:
        hub = hub_with({**MODEL, ".gitattributes": b"*.bin filter=lfs\n"})
        assert planned(hub, folder, PushOptions(private=True, delete=True)).is_empty

    def test_gitattributes_of_the_folder_are_a_file_like_any_other(self, folder: Path) -> None:
        hub = hub_with({**MODEL, ".gitattributes": b"old"})
        assert paths(planned(hub, filled(folder, {".gitattributes": b"new"})))[1] == [".gitattributes"]

    def test_what_stays_at_home_is_neither_sent_nor_deleted(self, folder: Path, tmp_path: Path) -> None:
        there = ["train.log", ".env", "runs/loss.txt", "notes.txt", "linked/a.txt", "linked"]
        hub = hub_with({**MODEL, **dict.fromkeys(there, b"old"), "eval.log": b"old", "runs.txt": b"old"})
        filled(folder, {"train.log": b"new", ".env": b"new", "runs/a.txt": b"", ".hfignore": b"*.log\nruns/\n"})
        filled(tmp_path, {"key": b"of somebody else"})
        (folder / "notes.txt").symlink_to(tmp_path / "key")
        (folder / "linked").symlink_to(tmp_path)
        assert planned(hub, folder).is_empty
        assert paths(planned(hub, folder, PushOptions(private=True, delete=True)))[2] == ["eval.log", "runs.txt"]

    def test_a_plan_changes_nothing_on_the_hub(self, folder: Path) -> None:
        hub = hub_with({"old.txt": b"old"})
        planned(hub, folder, PushOptions(private=True, delete=True, create=True))
        planned(hub, folder, PushOptions(private=True, branch="next", create=True))
        assert hub.repos == {NAME: MemoryRepo({"main": {"old.txt": b"old"}}, private=True)}

    def test_the_files_of_the_plan_are_those_of_the_check(self, folder: Path) -> None:
        filled(folder, {".env": b"A=1", "train.log": b"", ".hfignore": b"*.log\n"})
        assert planned(hub_with({}), folder).uploads == checked(folder).files

    @pytest.mark.parametrize("branch", ["", "..", "a b", "a..b", "/main", "main.lock"])
    def test_odd_branches_are_refused_before_the_hub_is_asked(self, folder: Path, branch: str) -> None:
        with pytest.raises(ValidationError):
            planned(OFFLINE, folder, PushOptions(private=True, branch=branch))

    def test_without_network_there_is_no_plan(self, folder: Path) -> None:
        with pytest.raises(NetworkProblem):
            planned(OFFLINE, folder)


class TestPrivacy:
    @pytest.mark.parametrize("options", [PRIVATE, PushOptions(private=True, create=True, delete=True)])
    def test_a_public_repo_is_refused_when_private_was_asked_for(self, folder: Path, options: PushOptions) -> None:
        hub = hub_with({}, private=False)
        with pytest.raises(OperationError) as caught:
            planned(hub, folder, options)
        assert caught.value.message == (
            f"'{NAME}' is a public repo, and --private was asked for; nothing was sent. Make it private at"
            f" memory://hub/{NAME}/settings, or push with --public if everybody may read it"
        )

    def test_a_branch_is_not_made_in_a_public_repo_either(self, folder: Path) -> None:
        hub = hub_with({}, private=False)
        with pytest.raises(OperationError, match="nothing was sent"):
            planned(hub, folder, PushOptions(private=True, branch="next", create=True))
        assert list(hub.repos[NAME].branches) == ["main"]

    def test_a_public_repo_is_for_those_who_say_so(self, folder: Path) -> None:
        assert len(planned(hub_with({}, private=False), folder, PUBLIC).added) == len(MODEL)

    def test_a_private_repo_takes_both(self, folder: Path) -> None:
        for options in (PRIVATE, PUBLIC):
            assert len(planned(hub_with({}), folder, options).added) == len(MODEL)

    def test_a_repo_that_somebody_else_made_public_meanwhile_is_refused(self, folder: Path) -> None:
        hub = MemoryHub()
        plan = planned(hub, folder, PushOptions(private=True, create=True))
        hub.repos[NAME] = MemoryRepo(private=False)
        with pytest.raises(OperationError, match="nothing was sent"):
            push_to(hub).execute(plan, unheard)
        assert hub.repos[NAME].branches == {"main": {}}


class TestMissing:
    def test_a_missing_repo_is_made_only_when_that_is_asked_for(self, folder: Path) -> None:
        with pytest.raises(NotOnHub) as caught:
            planned(MemoryHub(), folder)
        assert caught.value.message == (
            f"The Hub has no repo '{NAME}' that you can see; make it with --create, or check the spelling and your"
            " login (hf auth login)"
        )
        plan = planned(MemoryHub(), folder, PushOptions(private=True, create=True))
        assert (plan.missing, plan.repo, len(plan.added)) == ("repo", None, len(MODEL))

    def test_a_missing_branch_is_made_only_when_that_is_asked_for(self, folder: Path) -> None:
        hub = hub_with({"config.json": b"{}", "README.md": MODEL["README.md"]})
        with pytest.raises(NotOnHub, match=NAME) as caught:
            planned(hub, folder, PushOptions(private=True, branch="next"))
        assert caught.value.message.startswith(f"The Hub has no branch 'next' in '{NAME}' that you can see; make it")
        plan = planned(hub, folder, PushOptions(private=True, branch="next", create=True))
        assert plan.missing == "branch"
        assert paths(plan)[0] == sorted(MODEL.keys() - {"config.json", "README.md"})
        assert paths(plan)[1] == ["config.json"]

    @pytest.mark.parametrize("private", [True, False])
    def test_a_repo_is_made_as_private_as_was_said(self, folder: Path, private: bool) -> None:
        hub = MemoryHub()
        plan = planned(hub, folder, PushOptions(private=private, create=True))
        result = push_to(hub).execute(plan, unheard)
        assert result.created_repo
        assert hub.repos == {NAME: MemoryRepo({"main": MODEL}, private=private)}

    def test_repo_and_branch_are_made_together(self, folder: Path) -> None:
        hub = MemoryHub()
        plan = planned(hub, folder, PushOptions(private=True, branch="next", create=True))
        assert push_to(hub).execute(plan, unheard).created_repo
        assert hub.repos[NAME].branches == {"main": {}, "next": MODEL}

    def test_a_branch_is_made_in_a_repo_that_is_there(self, folder: Path) -> None:
        hub = hub_with({"config.json": MODEL["config.json"], "old.txt": b"old"})
        plan = planned(hub, folder, PushOptions(private=True, branch="next", create=True, delete=True))
        result = push_to(hub).execute(plan, unheard)
        assert not result.created_repo
        assert paths(result.plan) == (sorted(MODEL.keys() - {"config.json"}), [], ["old.txt"])
        assert hub.repos[NAME].branches["next"] == MODEL
        assert "old.txt" in hub.repos[NAME].branches["main"]


class TestCommit:
    def test_one_commit_holds_the_changes_and_the_repo_then_holds_the_folder(self, folder: Path) -> None:
        hub = hub_with({"config.json": b"{}", "old.txt": b"old", ".gitattributes": b"of the Hub"})
        plan = planned(hub, folder, PushOptions(private=True, delete=True))
        result = push_to(hub).execute(plan, unheard)
        assert hub.repos[NAME].branches == {"main": {**MODEL, ".gitattributes": b"of the Hub"}}
        assert result.plan == plan
        assert result.committed is not None
        assert result.committed.commit == hub.repos[NAME].commit("main")
        assert planned(hub, folder, PushOptions(private=True, delete=True)).is_empty

    def test_nothing_is_committed_when_nothing_changed(self, folder: Path) -> None:
        hub = hub_with(MODEL)
        result = push_to(hub).execute(planned(hub, folder), unheard)
        assert (result.committed, result.created_repo) == (None, False)

    def test_nothing_is_uploaded_that_the_check_did_not_see(self, folder: Path) -> None:
        hub = hub_with({})
        plan = planned(hub, folder)
        filled(folder, {"late.txt": b"late", ".env": b"A=1"})
        push_to(hub).execute(plan, unheard)
        assert hub.repos[NAME].branches["main"] == MODEL

    def test_a_branch_that_somebody_else_changed_meanwhile_is_a_conflict(self, folder: Path) -> None:
        hub = hub_with({})
        plan = planned(hub, folder)
        hub.repos[NAME].branches["main"]["theirs.txt"] = b"theirs"
        with pytest.raises(Conflict):
            push_to(hub).execute(plan, unheard)
        assert hub.repos[NAME].branches["main"] == {"theirs.txt": b"theirs"}

    @pytest.mark.parametrize("delete", [False, True])
    def test_a_commit_whose_answer_was_lost_is_recognised_as_done(self, folder: Path, delete: bool) -> None:
        hub = hub_with({"old.txt": b"old"})
        plan = planned(hub, folder, PushOptions(private=True, delete=delete))
        first = push_to(hub).execute(plan, unheard)
        again = push_to(hub).execute(plan, unheard)
        assert again == first

    def test_an_answer_that_was_lost_before_somebody_else_changed_the_same_files_is_a_conflict(
        self, folder: Path
    ) -> None:
        hub = hub_with({})
        plan = planned(hub, folder)
        push_to(hub).execute(plan, unheard)
        hub.repos[NAME].branches["main"]["config.json"] = b"theirs"
        with pytest.raises(Conflict):
            push_to(hub).execute(plan, unheard)

    def test_the_page_of_a_repo_is_the_hubs(self) -> None:
        assert push_to(OFFLINE).page(NAME) == OFFLINE.page(NAME)
