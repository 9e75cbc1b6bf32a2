"""The loopback Hub: the unmodified huggingface_hub can work with it, and every fault does what it says."""

import hashlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from huggingface_hub import CommitOperationDelete, HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from mlxk2.testing import safetensors
from tests.loopback_hub import LoopbackHub, faults

PROJECT = Path(__file__).parents[2]
WEIGHTS = bytes(range(256)) * 4000
MODEL = "org/model"
ANN, BOB = "hf_ann", "hf_bob"
"""Tokens of two users."""
WEIGHTS_PATH = f"/{MODEL}/resolve/main/model.safetensors"
CONFIG_PATH = f"/{MODEL}/resolve/main/config.json"
OLD_LFS_UPLOAD = pytest.mark.filterwarnings("ignore:Use 'content=")  # huggingface_hub 2.4 uploads in an outdated way


@dataclass(frozen=True)
class Reply:
    status: int
    headers: http.client.HTTPMessage
    body: bytes
    is_complete: bool


def ask(
    url: str,
    method: str = "GET",
    *,
    token: str | None = None,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> Reply:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    try:
        authorization = {"Authorization": f"Bearer {token}"} if token else {}
        connection.request(method, f"{parts.path}?{parts.query}", body, {**authorization, **(headers or {})})
        response = connection.getresponse()
        try:
            data, is_complete = response.read(), True
        except http.client.IncompleteRead as error:
            data, is_complete = error.partial, False
        return Reply(response.status, response.headers, data, is_complete)
    finally:
        connection.close()


def content_url(hub: LoopbackHub, path: str = WEIGHTS_PATH) -> str:
    return ask(hub.endpoint + path).headers["Location"]


@pytest.fixture(autouse=True)
def _without_xet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # Xet has tests of its own, in processes of their own


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        hub.add_model(MODEL, {"config.json": b"{}", "model.safetensors": WEIGHTS, "sub/notes.txt": b"hello"})
        hub.add_token(ANN, user="ann", write=True)
        yield hub


@pytest.fixture
def api(hub: LoopbackHub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=False)


@pytest.fixture
def writer(hub: LoopbackHub) -> HfApi:
    return HfApi(endpoint=hub.endpoint, token=ANN)


class TestDescriptions:
    def test_a_model_is_described_with_its_files(self, hub: LoopbackHub, api: HfApi) -> None:
        info = api.model_info(MODEL, files_metadata=True)
        assert (info.id, info.sha, info.private, info.gated) == (MODEL, hub.head(MODEL), False, False)
        assert info.siblings is not None
        sizes = {sibling.rfilename: sibling.size for sibling in info.siblings}
        assert sizes == {"config.json": 2, "model.safetensors": len(WEIGHTS), "sub/notes.txt": 5}
        weights = next(sibling for sibling in info.siblings if sibling.lfs)
        assert weights.lfs is not None
        assert weights.lfs.sha256 == hashlib.sha256(WEIGHTS).hexdigest()

    def test_parameters_are_counted_in_the_headers_of_safetensors_files(self, hub: LoopbackHub, api: HfApi) -> None:
        hub.add_model("org/counted", {"model.safetensors": safetensors(tensors={"a": 2, "b": 4})})
        info = api.model_info("org/counted", expand=["safetensors"])
        assert info.safetensors is not None
        assert (info.safetensors.parameters, info.safetensors.total) == ({"F32": 6}, 6)

    def test_only_expanded_properties_are_described(self, hub: LoopbackHub, api: HfApi) -> None:
        hub.add_model("org/liked", {}, likes=7, downloads=9)
        info = api.model_info("org/liked", expand=["likes"])
        assert (info.likes, info.downloads) == (7, None)

    def test_a_tree_lists_files_and_folders(self, api: HfApi) -> None:
        assert [item.path for item in api.list_repo_tree(MODEL)] == ["config.json", "model.safetensors", "sub"]
        assert [item.path for item in api.list_repo_tree(MODEL, "sub")] == ["sub/notes.txt"]
        everything = [item.path for item in api.list_repo_tree(MODEL, recursive=True, expand=True)]
        assert everything == ["config.json", "model.safetensors", "sub", "sub/notes.txt"]

    def test_the_last_change_of_a_file_is_known(self, hub: LoopbackHub, api: HfApi) -> None:
        first = hub.head(MODEL)
        second = hub.change(MODEL, {"config.json": b"[]"})
        files = api.get_paths_info(MODEL, ["config.json", "sub/notes.txt"], expand=True)
        assert [file.last_commit.oid for file in files if file.last_commit] == [second, first]

    def test_paths_that_do_not_exist_are_left_out(self, api: HfApi) -> None:
        assert [item.path for item in api.get_paths_info(MODEL, ["sub", "absent", "config.json"])] == [
            "sub",
            "config.json",
        ]

    def test_branches_and_tags_are_listed(self, hub: LoopbackHub, api: HfApi) -> None:
        first = hub.head(MODEL)
        hub.tag(MODEL, "v1", first)
        hub.branch(MODEL, "dev/next")
        second = hub.change(MODEL, {"config.json": None}, branch="dev/next")
        refs = api.list_repo_refs(MODEL, include_pull_requests=True)
        assert {branch.name: branch.target_commit for branch in refs.branches} == {"main": first, "dev/next": second}
        assert {tag.ref: tag.target_commit for tag in refs.tags} == {"refs/tags/v1": first}
        assert api.model_info(MODEL, revision="dev/next").sha == second
        assert api.model_info(MODEL, revision="v1").sha == first
        assert api.model_info(MODEL, revision=first).sha == first

    def test_a_model_without_a_namespace_is_found(self, hub: LoopbackHub, api: HfApi, tmp_path: Path) -> None:
        hub.add_model("gpt2", {"config.json": b"{}"})
        assert api.model_info("gpt2").id == "gpt2"
        folder = snapshot_download("gpt2", cache_dir=tmp_path, endpoint=hub.endpoint, token=False)
        assert Path(folder, "config.json").read_bytes() == b"{}"


class TestSearch:
    @pytest.fixture(autouse=True)
    def _models(self, hub: LoopbackHub) -> None:
        hub.add_model("mlx/Llama-4bit", {}, tags=("mlx", "4-bit"), downloads=5, pipeline_tag="text-generation")
        hub.add_model("mlx/Llama-8bit", {}, tags=("mlx",), downloads=9, gated="auto")
        hub.add_model("org/secret", {}, tags=("mlx",), private=True)

    def test_words_tags_and_authors_select(self, api: HfApi) -> None:
        assert {model.id for model in api.list_models(search="llama 4BIT")} == {"mlx/Llama-4bit"}
        assert {model.id for model in api.list_models(filter="mlx")} == {"mlx/Llama-4bit", "mlx/Llama-8bit"}
        assert {model.id for model in api.list_models(filter=["mlx", "4-bit"])} == {"mlx/Llama-4bit"}
        assert {model.id for model in api.list_models(author="org")} == {MODEL}
        assert {model.id for model in api.list_models(gated=True)} == {"mlx/Llama-8bit"}
        assert {model.id for model in api.list_models(pipeline_tag="text-generation")} == {"mlx/Llama-4bit"}

    def test_a_private_model_is_found_by_its_owners_only(self, api: HfApi, writer: HfApi) -> None:
        assert list(api.list_models(search="secret")) == []
        assert [model.private for model in writer.list_models(search="secret")] == [True]

    def test_results_are_sorted_and_limited(self, api: HfApi) -> None:
        assert [model.id for model in api.list_models(sort="downloads", limit=1)] == ["mlx/Llama-8bit"]

    def test_expanded_properties_come_with_the_list(self, api: HfApi) -> None:
        found = api.list_models(author="mlx", sort="downloads", expand=["downloads", "gated", "lastModified"])
        assert [(model.downloads, model.gated, model.tags) for model in found] == [(9, "auto", None), (5, False, None)]

    def test_long_lists_come_in_pages(self) -> None:
        with LoopbackHub(page_size=2) as hub:
            for number in range(5):
                hub.add_model(f"org/model-{number}", {f"{name}.txt": b"" for name in range(5)})
            api = HfApi(endpoint=hub.endpoint, token=False)
            assert len(list(api.list_models(search="model"))) == 5
            assert len(list(api.list_repo_tree("org/model-0"))) == 5
            assert len(hub.requests) == 6


class TestAccess:
    def test_a_token_says_who_you_are(self, writer: HfApi) -> None:
        user = writer.whoami()
        assert (user["name"], user["auth"]["accessToken"]["role"]) == ("ann", "write")

    def test_a_wrong_token_is_refused_without_a_code(self, hub: LoopbackHub) -> None:
        reply = ask(f"{hub.endpoint}/api/models/{MODEL}", token=BOB)
        assert (reply.status, reply.headers.get("X-Error-Code")) == (401, None)
        assert reply.headers.get("X-Error-Message") == "Invalid credentials in Authorization header"

    def test_a_private_model_does_not_exist_for_strangers(self, hub: LoopbackHub, api: HfApi, writer: HfApi) -> None:
        hub.add_model("org/private", {"config.json": b"{}"}, private=True)
        hub.add_token(BOB, user="bob", organizations=())
        for token, status in ((None, 401), (BOB, 404)):
            reply = ask(f"{hub.endpoint}/api/models/org/private", token=token)
            assert (reply.status, reply.headers.get("X-Error-Code")) == (status, "RepoNotFound")
        with pytest.raises(RepositoryNotFoundError):
            api.model_info("org/private")
        assert writer.model_info("org/private").private

    def test_a_gated_model_is_described_to_all_and_read_by_the_granted(self, hub: LoopbackHub, api: HfApi) -> None:
        hub.add_model("org/gated", {"config.json": b"{}"}, gated=True)
        hub.add_token(BOB, user="bob", gated_access=("org/gated",))
        assert api.model_info("org/gated").gated == "manual"
        file = f"{hub.endpoint}/org/gated/resolve/main/config.json"
        for token, status in ((None, 401), (ANN, 403)):
            reply = ask(file, token=token)
            assert (reply.status, reply.headers.get("X-Error-Code")) == (status, "GatedRepo")
        assert ask(file, token=BOB).body == b"{}"
        with pytest.raises(GatedRepoError):
            api.auth_check("org/gated")
        api.auth_check("org/gated", token=BOB)

    def test_what_is_missing_has_its_own_error(self, hub: LoopbackHub, api: HfApi) -> None:
        with pytest.raises(RepositoryNotFoundError):
            api.model_info("org/absent")
        with pytest.raises(RevisionNotFoundError):
            api.model_info(MODEL, revision="absent")
        with pytest.raises(RemoteEntryNotFoundError):
            api.hf_hub_download(MODEL, "absent.txt")
        with pytest.raises(RemoteEntryNotFoundError):
            list(api.list_repo_tree(MODEL, "absent"))
        assert ask(f"{hub.endpoint}/api/agent-harnesses").status == 404

    def test_a_token_for_reading_cannot_write(self, hub: LoopbackHub) -> None:
        hub.add_token(BOB, user="bob")
        reader = HfApi(endpoint=hub.endpoint, token=BOB)
        for change in (lambda: reader.create_repo("bob/new"), lambda: reader.create_branch(MODEL, branch="new")):
            with pytest.raises(HfHubHTTPError) as error:
                change()
            assert error.value.response.status_code == 403


class TestContent:
    def test_a_snapshot_is_downloaded_whole(self, hub: LoopbackHub, tmp_path: Path) -> None:
        folder = snapshot_download(MODEL, cache_dir=tmp_path, endpoint=hub.endpoint, token=ANN)
        assert {path: Path(folder, path).read_bytes() for path in hub.files(MODEL)} == hub.files(MODEL)
        assert hub.bytes_sent() == 2 + len(WEIGHTS) + 5
        assert hub.bytes_sent("model.safetensors") == len(WEIGHTS)
        assert not any(request.has_authorization for request in hub.requests if request.port == "cdn")

    def test_a_small_file_comes_from_the_hub_itself(self, hub: LoopbackHub) -> None:
        reply = ask(hub.endpoint + CONFIG_PATH)
        assert (reply.status, reply.body) == (200, b"{}")
        assert reply.headers.get("X-Repo-Commit") == hub.head(MODEL)
        git_name = hashlib.sha1(b"blob 2\0{}", usedforsecurity=False).hexdigest()
        assert reply.headers.get("ETag") == f'"{git_name}"'

    def test_a_large_file_comes_from_another_origin(self, hub: LoopbackHub) -> None:
        reply = ask(hub.endpoint + WEIGHTS_PATH, "HEAD")
        assert (reply.status, reply.headers.get("X-Repo-Commit")) == (302, hub.head(MODEL))
        assert reply.headers.get("X-Linked-Etag") == f'"{hashlib.sha256(WEIGHTS).hexdigest()}"'
        assert reply.headers.get("X-Linked-Size") == str(len(WEIGHTS))
        location = reply.headers["Location"]
        assert location.startswith(hub.cdn)
        assert hub.cdn != hub.endpoint
        assert ask(location).body == WEIGHTS

    def test_a_token_is_refused_where_the_url_is_the_permission(self, hub: LoopbackHub) -> None:
        assert ask(content_url(hub), token=ANN).status == 400

    def test_the_size_decides_as_well_as_the_name(self, hub: LoopbackHub, tmp_path: Path) -> None:
        large = tmp_path / "large.txt"
        with large.open("wb") as file:
            file.truncate(10_000_001)
        hub.add_model("org/sizes", {"large.txt": large, "own.json": b"", "other.gguf": b""}, lfs=("own.json",))
        hub.add_model("org/rules", {"large.txt": large, "own.json": b"", "other.gguf": b""})
        for name, expected in (("org/sizes", {"own.json"}), ("org/rules", {"large.txt", "other.gguf"})):
            assert {path for path, file in hub.model(name).head.files.items() if file.is_lfs} == expected

    @pytest.mark.parametrize(
        ("wanted", "status", "start", "end"),
        [
            ("bytes=0-0", 206, 0, 1),
            ("bytes=10-19", 206, 10, 20),
            ("bytes=1023990-", 206, 1_023_990, 1_024_000),
            ("bytes=1023990-9999999", 206, 1_023_990, 1_024_000),
            ("bytes=-7", 206, 1_023_993, 1_024_000),
            ("bytes=1024000-", 416, 0, 0),
            ("bytes=0-1,5-6", 200, 0, 1_024_000),
            ("lines=1-2", 200, 0, 1_024_000),
        ],
    )
    def test_ranges_are_honoured(self, hub: LoopbackHub, wanted: str, status: int, start: int, end: int) -> None:
        reply = ask(content_url(hub), headers={"Range": wanted})
        assert (reply.status, reply.body) == (status, WEIGHTS[start:end])
        expected = {206: f"bytes {start}-{end - 1}/1024000", 416: "bytes */1024000", 200: None}
        assert reply.headers.get("Content-Range") == expected[status]
        assert hub.requests[-1].range == wanted

    def test_a_range_of_another_version_gets_the_whole_file(self, hub: LoopbackHub) -> None:
        url = content_url(hub)
        etag = ask(url, "HEAD").headers["ETag"]
        assert ask(url, headers={"Range": "bytes=5-", "If-Range": etag}).status == 206
        assert ask(url, headers={"Range": "bytes=5-", "If-Range": '"other"'}).status == 200

    def test_a_second_download_costs_one_request(self, hub: LoopbackHub, tmp_path: Path) -> None:
        snapshot_download(MODEL, cache_dir=tmp_path, endpoint=hub.endpoint, token=False)
        hub.forget_requests()
        snapshot_download(MODEL, cache_dir=tmp_path, endpoint=hub.endpoint, token=False)
        assert len(hub.requests) == 1


class TestWriting:
    def test_a_repo_is_created_once(self, hub: LoopbackHub, writer: HfApi) -> None:
        url = writer.create_repo("ann/new", private=True)
        assert (str(url), url.repo_id, hub.model("ann/new").private) == (f"{hub.endpoint}/ann/new", "ann/new", True)
        assert writer.create_repo("ann/new", private=False, exist_ok=True).repo_id == "ann/new"
        assert hub.model("ann/new").private
        with pytest.raises(HfHubHTTPError) as error:
            writer.create_repo("ann/new")
        assert error.value.response.status_code == 409
        writer.delete_repo("ann/new")
        assert not writer.repo_exists("ann/new")

    def test_a_branch_is_created_once(self, hub: LoopbackHub, writer: HfApi) -> None:
        first = hub.head(MODEL)
        hub.change(MODEL, {"config.json": b"[]"})
        writer.create_branch(MODEL, branch="old/state", revision=first)
        writer.create_branch(MODEL, branch="old/state", exist_ok=True)
        assert hub.head(MODEL, "old/state") == first
        with pytest.raises(HfHubHTTPError):
            writer.create_branch(MODEL, branch="old/state")

    @OLD_LFS_UPLOAD
    def test_a_folder_is_uploaded(self, hub: LoopbackHub, writer: HfApi, tmp_path: Path) -> None:
        files = {
            "README.md": b"---\nlicense: mit\n---\n",
            "model.gguf": WEIGHTS[:-1],
            "sub/a.json": b"{}",
            "empty.bin": b"",
        }
        for path, content in files.items():
            (tmp_path / path).parent.mkdir(exist_ok=True)
            (tmp_path / path).write_bytes(content)
        commit = writer.upload_folder(repo_id=MODEL, folder_path=tmp_path, delete_patterns="sub/*")
        assert hub.files(MODEL) == {"config.json": b"{}", "model.safetensors": WEIGHTS, **files}
        assert commit.oid == hub.head(MODEL)
        assert max(request.bytes_received for request in hub.requests) == len(WEIGHTS) - 1
        assert writer.upload_folder(repo_id=MODEL, folder_path=tmp_path).oid == commit.oid

    @OLD_LFS_UPLOAD
    def test_an_object_that_is_there_is_not_sent_again(self, hub: LoopbackHub, writer: HfApi) -> None:
        writer.upload_file(path_or_fileobj=WEIGHTS, path_in_repo="copy.bin", repo_id=MODEL)
        assert hub.files(MODEL)["copy.bin"] == WEIGHTS
        assert not any(request.method == "PUT" for request in hub.requests)

    def test_the_hub_says_beforehand_how_it_takes_a_file(self, hub: LoopbackHub) -> None:
        files = [{"path": path, "size": 1, "sample": ""} for path in ("a.gguf", "config.json", "x/y.pyc", "out/z")]
        wanted = {"files": files, "gitIgnore": "# comment\n*.pyc\n/out/\n"}
        url = f"{hub.endpoint}/api/models/{MODEL}/preupload/main"
        answers = json.loads(ask(url, "POST", token=ANN, body=json.dumps(wanted).encode()).body)["files"]
        assert [(each["uploadMode"], each["shouldIgnore"]) for each in answers] == [
            ("lfs", False),
            ("regular", False),
            ("regular", True),
            ("regular", True),
        ]
        assert [each.get("oid") for each in answers] == [
            None,
            hub.model(MODEL).head.files["config.json"].oid,
            None,
            None,
        ]

    def test_files_and_folders_are_deleted(self, hub: LoopbackHub, writer: HfApi) -> None:
        operations = [CommitOperationDelete("config.json"), CommitOperationDelete("sub/")]
        writer.create_commit(MODEL, operations, commit_message="less")
        assert list(hub.files(MODEL)) == ["model.safetensors"]

    def test_an_outdated_parent_is_refused(self, hub: LoopbackHub, writer: HfApi) -> None:
        first = hub.head(MODEL)
        second = hub.change(MODEL, {"config.json": b"[]"})
        delete = [CommitOperationDelete("config.json")]
        with pytest.raises(HfHubHTTPError) as error:
            writer.create_commit(MODEL, delete, commit_message="late", parent_commit=first)
        assert error.value.response.status_code == 412
        writer.create_commit(MODEL, delete, commit_message="in time", parent_commit=second)

    def test_a_commit_without_changes_is_a_commit(self, hub: LoopbackHub) -> None:
        before = hub.head(MODEL)
        body = b'{"key":"header","value":{"summary":"nothing"}}\n'
        reply = ask(f"{hub.endpoint}/api/models/{MODEL}/commit/main", "POST", token=ANN, body=body)
        assert json.loads(reply.body)["commitOid"] == hub.head(MODEL) != before

    def test_content_that_was_damaged_on_its_way_is_refused(self, hub: LoopbackHub) -> None:
        sha256 = "a" * 64
        assert ask(f"{hub.cdn}/upload/{MODEL}/{sha256}", "PUT", body=b"damaged").status == 400
        verify = f"{hub.endpoint}/{MODEL}.git/info/lfs/objects/verify"
        assert ask(verify, "POST", token=ANN, body=json.dumps({"oid": sha256, "size": 7}).encode()).status == 404


class TestFaults:
    def test_a_cut_connection_ends_after_that_many_bytes(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.Cut(at=300_000), method="GET")
        reply = ask(content_url(hub))
        assert (reply.status, reply.headers.get("Content-Length")) == (200, str(len(WEIGHTS)))
        assert (reply.body, reply.is_complete) == (WEIGHTS[:300_000], False)
        assert hub.requests[-1].bytes_sent == 300_000
        assert ask(content_url(hub)).is_complete

    def test_a_reset_connection_ends_with_an_error(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.Cut(at=300_000, reset=True))
        with pytest.raises(ConnectionResetError):
            ask(content_url(hub))

    def test_cuts_recur_until_they_are_healed(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.CutEvery(400_000))
        url = content_url(hub)
        pieces = [ask(url, headers={"Range": f"bytes={start}-"}).body for start in (0, 400_000, 800_000)]
        assert b"".join(pieces) == WEIGHTS
        hub.heal()
        hub.break_("model.safetensors", faults.CutEvery(400_000))
        hub.heal()
        assert ask(url).is_complete

    def test_a_stall_pauses_the_body(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.Stall(after=1000, seconds=0.2))
        start = time.monotonic()
        assert ask(content_url(hub)).body == WEIGHTS
        assert time.monotonic() - start >= 0.2

    def test_a_drip_keeps_to_its_speed(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.Drip(bytes_per_second=5_000_000))
        start = time.monotonic()
        assert ask(content_url(hub)).body == WEIGHTS
        assert time.monotonic() - start >= 0.2

    @pytest.mark.parametrize("wanted", ["bytes=0-", "bytes=5000-", "bytes=4000-6000", "bytes=6000-"])
    def test_a_flipped_byte_is_the_same_one_in_every_range(self, hub: LoopbackHub, wanted: str) -> None:
        hub.break_("model.safetensors", faults.Flip(offset=5000))
        spoilt = bytearray(WEIGHTS)
        spoilt[5000] ^= 0xFF
        first, _, last = wanted.removeprefix("bytes=").partition("-")
        reply = ask(content_url(hub), headers={"Range": wanted})
        assert reply.body == spoilt[int(first) : int(last) + 1 if last else None]

    def test_a_short_file_agrees_with_its_header(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.Short(missing=10))
        reply = ask(content_url(hub))
        assert (reply.body, reply.is_complete) == (WEIGHTS[:-10], True)

    def test_a_short_file_can_be_announced_in_full_length(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.Short(missing=10, announce_full_length=True))
        reply = ask(content_url(hub))
        assert (reply.body, reply.is_complete) == (WEIGHTS[:-10], False)

    @pytest.mark.parametrize("code", [401, 404, 416, 429, 500, 502, 503, 504])
    def test_a_status_replaces_the_answer(self, hub: LoopbackHub, code: int) -> None:
        hub.break_("config.json", faults.Status(code, headers={"Retry-After": "1"}, body=b"no"), method="GET")
        assert ask(hub.endpoint + CONFIG_PATH, "HEAD").status == 200
        reply = ask(hub.endpoint + CONFIG_PATH)
        assert (reply.status, reply.headers.get("Retry-After"), reply.body) == (code, "1", b"no")
        assert ask(hub.endpoint + CONFIG_PATH).status == 200

    def test_a_status_can_carry_the_code_of_the_hub(self, hub: LoopbackHub, api: HfApi) -> None:
        fault = faults.Status(403, error_code="GatedRepo", message="Not for you")
        hub.break_(f"/api/models/{MODEL}", fault)
        with pytest.raises(GatedRepoError, match="Not for you"):
            api.model_info(MODEL)

    def test_faults_of_the_body_hit_descriptions_too(self, hub: LoopbackHub) -> None:
        hub.break_(f"/api/models/{MODEL}", faults.Cut(at=20))
        assert len(ask(f"{hub.endpoint}/api/models/{MODEL}").body) == 20

    @pytest.mark.parametrize("absolute", [False, True])
    def test_a_redirect_is_one_more_hop_to_the_same_path(self, hub: LoopbackHub, absolute: bool) -> None:
        hub.break_(CONFIG_PATH, faults.Redirect(absolute=absolute), times=None)
        reply = ask(hub.endpoint + CONFIG_PATH)
        location = reply.headers["Location"]
        assert (reply.status, location.startswith(hub.endpoint)) == (307, absolute)
        assert ask(location if absolute else hub.endpoint + location).body == b"{}"

    def test_a_download_follows_redirects(self, hub: LoopbackHub, tmp_path: Path) -> None:
        hub.break_("/resolve/", faults.Redirect(), times=None)
        folder = snapshot_download(MODEL, cache_dir=tmp_path, endpoint=hub.endpoint, token=False)
        assert Path(folder, "model.safetensors").read_bytes() == WEIGHTS

    def test_an_ignored_range_brings_the_whole_file(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.IgnoreRange())
        reply = ask(content_url(hub), headers={"Range": "bytes=1000-"})
        assert (reply.status, reply.body, reply.headers.get("Content-Range")) == (200, WEIGHTS, None)

    def test_a_dropped_connection_has_no_answer(self, hub: LoopbackHub) -> None:
        hub.break_("config.json", faults.DropConnect())
        with pytest.raises(http.client.RemoteDisconnected):
            ask(hub.endpoint + CONFIG_PATH)
        assert (hub.requests[-1].status, hub.requests[-1].bytes_sent) == (None, 0)

    def test_headers_are_changed_and_taken_away(self, hub: LoopbackHub) -> None:
        hub.break_(WEIGHTS_PATH, faults.Headers({"X-Linked-Size": "5", "X-Linked-Etag": None}))
        reply = ask(hub.endpoint + WEIGHTS_PATH, "HEAD")
        assert (reply.headers.get("X-Linked-Size"), reply.headers.get("X-Linked-Etag")) == ("5", None)

    def test_a_fault_waits_for_its_turn_and_ends(self, hub: LoopbackHub) -> None:
        hub.break_("config.json", faults.Status(500), skip=1, times=2)
        assert [ask(hub.endpoint + CONFIG_PATH).status for _ in range(4)] == [200, 500, 500, 200]

    def test_a_fault_can_be_bound_to_a_port(self, hub: LoopbackHub) -> None:
        hub.break_("model.safetensors", faults.Status(500), port="cdn")
        url = content_url(hub)
        assert ask(url).status == 500


class TestLog:
    def test_requests_are_kept_in_order(self, hub: LoopbackHub) -> None:
        ask(f"{hub.endpoint}{CONFIG_PATH}?a=b", headers={"Range": "bytes=1-"}, token=ANN)
        ask(content_url(hub), "HEAD")
        first, second, third = hub.requests
        assert (first.port, first.method, first.path, first.query) == ("api", "GET", CONFIG_PATH, "a=b")
        assert (first.range, first.status, first.bytes_sent, first.has_authorization) == ("bytes=1-", 206, 1, True)
        assert (second.status, third.port, third.method, third.bytes_sent) == (302, "cdn", "HEAD", 0)

    def test_requests_for_content_tell_which_part_they_want(self, hub: LoopbackHub) -> None:
        ask(f"{hub.endpoint}/api/models/{MODEL}", headers={"Range": "bytes=1-"})
        ask(hub.endpoint + WEIGHTS_PATH, "HEAD")
        for wanted in ("bytes=10-19", "bytes=-7", "bytes=1024000-", None):
            ask(hub.endpoint + WEIGHTS_PATH, headers={"Range": wanted} if wanted else {})
        parts = [request.part(1_024_000) for request in hub.requests if request.is_for_content]
        assert [(part.start, part.count) for part in parts] == [(10, 10), (1_023_993, 7), (0, 0), (0, 1_024_000)]

    def test_bytes_are_counted_when_the_client_leaves(self, hub: LoopbackHub, tmp_path: Path) -> None:
        size = 200_000_000
        with (tmp_path / "model.safetensors").open("wb") as file:
            file.truncate(size)
        hub.add_model("org/huge", {"model.safetensors": tmp_path / "model.safetensors"})
        parts = urlsplit(content_url(hub, "/org/huge/resolve/main/model.safetensors"))
        host, _, port = parts.netloc.partition(":")
        with socket.create_connection((host, int(port))) as client:
            client.sendall(f"GET {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\n\r\n".encode())
            received = len(client.recv(1000).partition(b"\r\n\r\n")[2])
            while received < 5_000_000:
                received += len(client.recv(100_000))
        assert received <= hub.requests[-1].bytes_sent < size

    def test_an_upload_that_breaks_off_is_counted_and_harms_nobody(self, hub: LoopbackHub) -> None:
        parts = urlsplit(hub.cdn)
        with socket.create_connection((parts.hostname or "", parts.port or 0)) as client:
            client.sendall(
                b"PUT /upload/org/model/abc HTTP/1.1\r\nHost: hub\r\nContent-Length: 1000\r\n\r\n" + bytes(600)
            )
            while not hub.requests or hub.requests[-1].bytes_received < 600:
                time.sleep(0.001)
        assert ask(hub.endpoint + CONFIG_PATH).status == 200
        assert hub.requests[0].status is None

    def test_a_connection_is_used_again(self, hub: LoopbackHub) -> None:
        parts = urlsplit(content_url(hub))
        connection = http.client.HTTPConnection(parts.netloc)
        connection.connect()
        client = connection.sock
        for _ in range(3):
            connection.request("GET", parts.path)
            assert connection.getresponse().read() == WEIGHTS
            assert connection.sock is client
        connection.close()

    def test_the_log_outlives_the_server(self) -> None:
        with LoopbackHub() as hub:
            ask(f"{hub.endpoint}/api/models")
        assert [request.path for request in hub.requests] == ["/api/models"]

    def test_a_hub_starts_and_stops_at_once(self) -> None:
        start = time.monotonic()
        for _ in range(5):
            with LoopbackHub() as hub:
                hub.add_model(MODEL, {"config.json": b"{}"})
                hub.break_("config.json", faults.Stall(after=0, seconds=60))
                with socket.create_connection(("127.0.0.1", urlsplit(hub.endpoint).port or 0)) as client:
                    client.sendall(f"GET {CONFIG_PATH} HTTP/1.1\r\nHost: hub\r\n\r\n".encode())
                    client.recv(1)
        assert time.monotonic() - start < 1


class TestXet:
    """huggingface_hub and hf_xet in a process of their own, for they read their environment when they are imported."""

    @staticmethod
    def run(code: str, home: Path, **values: str) -> str:
        lines = (f"{name} = {value!r}\n" for name, value in values.items())
        environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_OFFLINE": "0"}
        del environment["HF_HUB_CACHE"]
        result = subprocess.run(
            [sys.executable, "-c", "".join(lines) + code], env=environment, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0, result.stderr
        return result.stdout.strip()

    @pytest.fixture
    def content(self) -> bytes:
        return os.urandom(1_000_000) + b"abc" * 200_000

    def test_a_snapshot_comes_from_the_store(self, hub: LoopbackHub, tmp_path: Path, content: bytes) -> None:
        hub.add_model("org/xet", {"config.json": b"{}", "model.safetensors": content}, xet=True)
        assert hub.requests == []
        code = (
            "import huggingface_hub\n"
            "print(huggingface_hub.snapshot_download('org/xet', endpoint=endpoint, token=token))\n"
        )
        folder = self.run(code, tmp_path, endpoint=hub.endpoint, token=ANN)
        assert Path(folder, "model.safetensors").read_bytes() == content
        assert 1_000_000 < hub.bytes_sent("/xorbs/") < len(content)
        assert not any(request.has_authorization for request in hub.requests if request.port == "cdn")
        assert hub.bytes_sent("model.safetensors") == 0

    def test_a_part_of_a_file_costs_a_part_of_its_bytes(self, hub: LoopbackHub, tmp_path: Path, content: bytes) -> None:
        hub.add_model("org/xet", {"model.safetensors": content}, xet=True)
        code = (
            "import hashlib, hf_xet, json, urllib.request\n"
            "access = json.load(urllib.request.urlopen(f'{endpoint}/api/models/org/xet/xet-read-token/main'))\n"
            "group = hf_xet.XetSession().new_download_stream_group(\n"
            "    endpoint=access['casUrl'], token=access['accessToken'], token_expiry_unix_secs=access['exp'])\n"
            "stream = group.download_stream(hf_xet.XetFileInfo(name, int(size)), 700_000, 900_000)\n"
            "print(hashlib.sha256(b''.join(stream)).hexdigest())\n"
        )
        name = ask(f"{hub.endpoint}/org/xet/resolve/main/model.safetensors", "HEAD").headers["X-Xet-Hash"]
        printed = self.run(code, tmp_path, endpoint=hub.endpoint, name=name, size=str(len(content)))
        assert printed == hashlib.sha256(content[700_000:900_000]).hexdigest()
        assert 200_000 < hub.bytes_sent("/xorbs/") < 500_000

    def test_a_folder_is_uploaded_through_the_store(self, hub: LoopbackHub, tmp_path: Path, content: bytes) -> None:
        folder = tmp_path / "folder"
        folder.mkdir()
        (folder / "config.json").write_bytes(b"[]")
        (folder / "new.safetensors").write_bytes(content)
        code = (
            "import huggingface_hub\n"
            "api = huggingface_hub.HfApi(endpoint=endpoint, token=token)\n"
            "print(api.upload_folder(repo_id='org/model', folder_path=folder).oid)\n"
        )
        commit = self.run(code, tmp_path / "home", endpoint=hub.endpoint, token=ANN, folder=str(folder))
        assert commit == hub.head(MODEL)
        assert hub.files(MODEL) | {"config.json": b"[]", "new.safetensors": content} == hub.files(MODEL)
        assert hub.model(MODEL).head.files["new.safetensors"].xet_hash is not None
        assert not any(request.method == "PUT" for request in hub.requests)

    def test_the_token_of_the_hub_is_refused_by_the_store(self, hub: LoopbackHub) -> None:
        reply = ask(f"{hub.endpoint}/api/models/{MODEL}/xet-write-token/main", token=ANN)
        store = json.loads(reply.body)["casUrl"]
        assert reply.headers.get("X-Xet-Cas-Url") == store
        assert ask(f"{store}/v1/shards", "POST", token=ANN).status == 401
        assert ask(f"{store}/v1/reconstructions/{'0' * 64}", token=json.loads(reply.body)["accessToken"]).status == 404


def test_a_folder_is_served_by_a_process_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "config.json").write_bytes(b"{}")
    command = [sys.executable, "-m", "tests.loopback_hub", "--model", MODEL, "--dir", str(tmp_path)]
    with subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = process.stdout.readline().strip()
        assert ask(f"{endpoint}/{MODEL}/resolve/main/sub/config.json").body == b"{}"
        process.send_signal(signal.SIGTERM)
        assert process.wait(5) == 0
