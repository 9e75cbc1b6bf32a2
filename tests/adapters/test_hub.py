"""The Hub through huggingface_hub: what its refusals are called, what is tried again, how commits travel, Xet."""

import importlib
import json
import logging
import os
import random
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from hashlib import sha256
from pathlib import Path

import pytest
from huggingface_hub import close_session, constants, get_session
from huggingface_hub.errors import OfflineModeIsEnabled

from mlxk2.adapters.hub import HuggingFaceHub, Retries
from mlxk2.adapters.hub.failures import About, EndedEarly, translate
from mlxk2.ports.errors import (
    AccessProblem,
    Conflict,
    DownloadFailed,
    Gated,
    Mlxk2Error,
    NetworkProblem,
    NotOnHub,
    RateLimited,
    Unauthorised,
    ValidationError,
)
from mlxk2.ports.hub import Commit, Committed
from mlxk2.ports.workspace import LocalFile
from mlxk2.testing import safetensors
from tests.loopback_hub import LoopbackHub, faults

NAME = "org/model"
INFO = f"/api/models/{NAME}/revision/main"
COMMIT = f"/api/models/{NAME}/commit/main"
WRITER, READER = "hf_WriterOfEverything0123456789abcde", "hf_ReaderOfEverything0123456789abcde"
SIGNATURE = "for-this-file-only"
WEIGHTS = safetensors()


@pytest.fixture(autouse=True, scope="module")
def _one_session() -> Iterator[None]:
    """A new one for each test would read all certificates again."""
    yield
    close_session()


@pytest.fixture(autouse=True)
def _user(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody who may write, and uploads over HTTP; Xet has tests of its own, in processes of their own."""
    monkeypatch.setenv("HF_TOKEN", WRITER)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)


@pytest.fixture(autouse=True)
def naps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The pauses that huggingface_hub makes by itself; nobody waits for them."""
    naps: list[float] = []
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", naps.append)
    return naps


@pytest.fixture
def server() -> Iterator[LoopbackHub]:
    with LoopbackHub(page_size=3) as server:
        server.add_token(WRITER, user="ann", write=True)
        server.add_token(READER, user="bob")
        server.add_model(NAME, {"config.json": b"{}", ".gitattributes": b""}, private=True)
        yield server


class Heard(list[str]):
    """The notices that came."""


@pytest.fixture
def heard() -> Heard:
    return Heard()


@pytest.fixture
def pauses() -> list[float]:
    """Those that we make; nobody waits for them."""
    return []


@pytest.fixture
def hub(server: LoopbackHub, pauses: list[float]) -> HuggingFaceHub:
    return HuggingFaceHub(server.endpoint, retries=Retries(attempts=3, sleep=pauses.append))


def unheard(text: str) -> None:
    """For whoever does not want to be told."""


def of_this_test() -> LocalFile:
    """A file that is certainly there."""
    return LocalFile("test_hub.py", __file__, os.path.getsize(__file__))


class TestRefusals:
    @pytest.mark.parametrize(
        ("fault", "kind", "words"),
        [
            (
                faults.Status(401),
                Unauthorised,
                "your token; if HF_TOKEN is set, correct or unset it, else log in again with: hf auth login$",
            ),
            (faults.Status(403), Unauthorised, "Your account or token may not read 'org/model'; use a token that is"),
            (faults.Status(404), DownloadFailed, r"The Hub refused to let 'org/model' be read \(HTTP 404\)"),
            (faults.Status(400), DownloadFailed, r"The Hub refused to let 'org/model' be read \(HTTP 400\)"),
            (faults.Status(418), DownloadFailed, r"The Hub refused to let 'org/model' be read \(HTTP 418\)"),
            (faults.Status(412), Conflict, "'org/model' was changed on the Hub meanwhile; nothing was committed"),
            (faults.Status(416), DownloadFailed, "on the Hub is shorter than its listing says; pull again"),
            (
                faults.Status(404, error_code="RepoNotFound"),
                NotOnHub,
                r"The Hub has no model 'org/model' to show: check the spelling \(mlxk2 search finds names\)",
            ),
            (
                faults.Status(404, error_code="RevisionNotFound"),
                NotOnHub,
                "'org/model' has no revision 'main' on the Hub; see its branches, tags and commits at http",
            ),
            (faults.Status(404, error_code="EntryNotFound"), NotOnHub, "'org/model' has no file"),
            (
                faults.Status(403, error_code="GatedRepo"),
                Gated,
                "^'org/model' is gated: accept its terms at http[^ ]*/org/model, then run the same command again$",
            ),
        ],
    )
    def test_a_refusal_is_told_at_once_by_its_type_and_in_words(
        self, server: LoopbackHub, hub: HuggingFaceHub, fault: faults.Status, kind: type[Mlxk2Error], words: str
    ) -> None:
        server.break_(INFO, fault, times=None)
        with pytest.raises(kind, match=words) as caught:
            hub.model(NAME, "main", unheard)
        assert type(caught.value) is kind
        assert f"HTTP {fault.code}" in (caught.value.details or "")
        assert len(server.requests) == 1

    @pytest.mark.parametrize(
        ("code", "missing"), [("RepoNotFound", "repo"), ("RevisionNotFound", "revision"), ("EntryNotFound", "file")]
    )
    def test_what_is_missing_is_told_apart(
        self, server: LoopbackHub, hub: HuggingFaceHub, code: str, missing: str
    ) -> None:
        server.break_(INFO, faults.Status(404, error_code=code))
        with pytest.raises(NotOnHub) as caught:
            hub.model(NAME, "main", unheard)
        assert caught.value.missing == missing

    @pytest.mark.parametrize(
        ("code", "kind", "words"),
        [
            (408, DownloadFailed, r"\(HTTP 408\)"),
            (
                500,
                DownloadFailed,
                r"trouble \(HTTP 500\) and did not recover after several tries; run the same command again later$",
            ),
            (502, DownloadFailed, r"The Hub has trouble \(HTTP 502\)"),
            (503, DownloadFailed, r"The Hub has trouble \(HTTP 503\)"),
            (504, DownloadFailed, r"The Hub has trouble \(HTTP 504\)"),
            (
                429,
                RateLimited,
                r"The Hub limits how often you may ask \(HTTP 429\); run the same command again in some",
            ),
        ],
    )
    def test_what_may_pass_is_tried_again_before_it_is_told(
        self,
        server: LoopbackHub,
        hub: HuggingFaceHub,
        pauses: list[float],
        code: int,
        kind: type[Mlxk2Error],
        words: str,
    ) -> None:
        server.break_(INFO, faults.Status(code), times=None)
        with pytest.raises(kind, match=words):
            hub.model(NAME, "main", unheard)
        assert (len(server.requests), len(pauses)) == (3, 2)

    @pytest.mark.parametrize(
        "call",
        [
            lambda hub: hub.check_access(NAME, unheard),
            lambda hub: hub.create_repo("org/new", private=True, notice=unheard),
            lambda hub: hub.create_branch(NAME, "next", unheard),
            lambda hub: hub.commit(Commit(NAME, "main", "message", None, (), ("config.json",)), unheard),
        ],
    )
    def test_every_call_is_tried_again(
        self, server: LoopbackHub, hub: HuggingFaceHub, pauses: list[float], call: Callable[[HuggingFaceHub], object]
    ) -> None:
        server.break_("/api/", faults.Status(503), times=2)
        call(hub)
        assert len(pauses) == 2

    def test_a_search_is_tried_again_by_the_same_rules(
        self,
        server: LoopbackHub,
        hub: HuggingFaceHub,
        pauses: list[float],
        naps: list[float],
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        server.break_("/api/models", faults.Status(503), times=2)
        hub.search("model", author=None, tag=None, limit=1, notice=unheard)
        assert (len(pauses), naps) == (2, [])
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize(
        "call",
        [
            lambda hub: hub.model(NAME, "main", unheard),
            lambda hub: hub.create_branch(NAME, "next", unheard),
            lambda hub: hub.search("model", author=None, tag=None, limit=1, notice=unheard),
            lambda hub: hub.commit(Commit(NAME, "main", "message", None, (of_this_test(),), ()), unheard),
        ],
        ids=["model", "branch", "search", "commit"],
    )
    def test_a_server_that_asks_for_an_hour_is_not_waited_for(
        self,
        server: LoopbackHub,
        hub: HuggingFaceHub,
        naps: list[float],
        pauses: list[float],
        call: Callable[[HuggingFaceHub], object],
    ) -> None:
        server.break_("/api/", faults.Status(429, headers={"Retry-After": "3600"}), times=None)
        with pytest.raises(RateLimited) as caught:
            call(hub)
        assert (caught.value.retry_after, naps, pauses) == (3600.0, [], [])

    def test_nothing_that_the_server_says_is_passed_on(self, server: LoopbackHub, hub: HuggingFaceHub) -> None:
        server.break_(INFO, faults.Status(403, message=f"{WRITER} is not welcome", body=f"{WRITER}".encode()))
        with pytest.raises(Unauthorised) as caught:
            hub.model(NAME, "main", unheard)
        assert WRITER not in f"{caught.value.message} {caught.value.details}"

    def test_without_a_token_the_next_step_is_to_log_in(
        self, server: LoopbackHub, hub: HuggingFaceHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("HF_TOKEN")
        server.break_(INFO, faults.Status(401))
        with pytest.raises(Unauthorised, match="wants to know who you are; log in with: hf auth login"):
            hub.model(NAME, "main", unheard)
        with pytest.raises(NotOnHub, match="if it is private, log in with: hf auth login"):
            hub.model(NAME, "main", unheard)
        with pytest.raises(Unauthorised, match="log in with: hf auth login"):
            hub.create_repo("org/new", private=True, notice=unheard)

    def test_who_may_only_read_is_told_what_may_not_be_done(
        self, server: LoopbackHub, hub: HuggingFaceHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", READER)
        head = server.head(NAME)
        with pytest.raises(Unauthorised, match="may not create 'org/new'"):
            hub.create_repo("org/new", private=True, notice=unheard)
        with pytest.raises(Unauthorised, match="may not create 'org/model'"):
            hub.create_branch(NAME, "next", unheard)
        with pytest.raises(Unauthorised, match="may not write to 'org/model'"):
            hub.commit(Commit(NAME, "main", "message", head, (), ("config.json",)), unheard)
        assert server.head(NAME) == head

    def test_a_model_without_a_commit_is_not_made_up(self, server: LoopbackHub, hub: HuggingFaceHub) -> None:
        server.break_(INFO, faults.Status(200, body=b'{"id": "org/model", "siblings": []}'))
        with pytest.raises(DownloadFailed, match="does not say which commit 'main' of 'org/model' is"):
            hub.model(NAME, "main", unheard)


def of_the_http_library(name: str) -> Exception:
    """One of the exceptions of the library that huggingface_hub works with."""
    package = importlib.import_module(type(get_session()).__module__.partition(".")[0])
    error: Exception = getattr(package, name)("a message with https://host/path?Signature=secret in it")
    return error


ABOUT = About("https://hub.example", NAME, "main", "model.safetensors")


class TestNoAnswer:
    @pytest.mark.parametrize(
        ("name", "words"),
        [
            ("ConnectError", r"The Hub \(https://hub.example\) cannot be reached; check the network and HF_ENDPOINT"),
            ("ConnectTimeout", "does not answer; check the network"),
            ("ReadTimeout", "stopped answering; check the network"),
            ("ProxyError", "cannot be reached through your proxy; check the network"),
            ("ReadError", "broke off the connection; check the network"),
            ("WriteError", "broke off the connection; check the network"),
            ("RemoteProtocolError", "broke off the connection; check the network"),
            ("UnsupportedProtocol", "check HF_ENDPOINT"),
            ("TooManyRedirects", "check HF_ENDPOINT"),
        ],
    )
    def test_a_failure_of_the_network_is_told_by_what_happened(self, name: str, words: str) -> None:
        error = translate(of_the_http_library(name), ABOUT, has_token=True)
        assert type(error) is NetworkProblem
        assert_says(error, words)
        assert "Signature" not in f"{error.message} {error.details}"

    def test_only_of_a_file_it_is_said_that_the_next_try_goes_on(self) -> None:
        again = "check the network and HF_ENDPOINT, then run the same command again"
        for about, end in ((ABOUT, ", it goes on where it stopped"), (About("https://hub.example", NAME), "")):
            error = translate(of_the_http_library("ReadTimeout"), about, has_token=True)
            assert error.message == f"The Hub (https://hub.example) stopped answering; {again}{end}"

    @pytest.mark.parametrize("error", [ConnectionResetError(), TimeoutError(), BrokenPipeError()])
    def test_a_failure_of_the_socket_is_one_of_the_network(self, error: Exception) -> None:
        assert type(translate(error, ABOUT, has_token=True)) is NetworkProblem

    def test_a_failure_is_found_below_the_one_that_wraps_it(self) -> None:
        wrapped = RuntimeError("upload failed")
        wrapped.__cause__ = of_the_http_library("ReadTimeout")
        assert type(translate(wrapped, ABOUT, has_token=True)) is NetworkProblem

    def test_a_file_that_ends_too_early_is_a_failed_download(self) -> None:
        error = translate(EndedEarly(), ABOUT, has_token=True)
        assert type(error) is DownloadFailed
        assert_says(error, r"model\.safetensors on the Hub ends too early")

    def test_offline_mode_of_huggingface_hub_is_told_like_ours(self) -> None:
        error = translate(OfflineModeIsEnabled("Cannot reach https://hub"), ABOUT, has_token=True)
        assert type(error) is NetworkProblem
        assert_says(error, r"Offline mode is on \(HF_HUB_OFFLINE or TRANSFORMERS_OFFLINE\)")

    def test_an_error_of_ours_stays_as_it_is(self) -> None:
        ours = ValidationError("as it is")
        assert translate(ours, ABOUT, has_token=True) is ours

    def test_whatever_else_happens_is_told_by_its_kind_and_without_signatures(self) -> None:
        error = translate(KeyError("https://host/path?Signature=secret\nand more"), ABOUT, has_token=True)
        assert type(error) is DownloadFailed
        assert error.message == "'org/model' could not be read: (KeyError)"
        assert "secret" not in (error.details or "")

    def test_a_hub_where_nobody_is_is_searched_twice_only(self, pauses: list[float], naps: list[float]) -> None:
        hub = HuggingFaceHub("http://127.0.0.1:9", retries=Retries(sleep=pauses.append))
        with pytest.raises(NetworkProblem, match="cannot be reached"):
            hub.search("model", author=None, tag=None, limit=1, notice=unheard)
        assert (len(pauses), naps) == (1, [])

    def test_an_answer_that_never_comes_is_not_waited_for(
        self, server: LoopbackHub, hub: HuggingFaceHub, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("mlxk2.adapters.hub.hub._TIMEOUT", 0.05)
        server.break_("/api/", faults.Stall(after=0, seconds=5), times=None)
        with pytest.raises(NetworkProblem, match="stopped answering"):
            hub.model(NAME, "main", unheard)

    @pytest.mark.parametrize("name", ["/repos/create", "/branch/"])
    def test_what_was_made_although_the_answer_was_lost_is_found(
        self, server: LoopbackHub, hub: HuggingFaceHub, name: str
    ) -> None:
        server.break_(name, faults.Cut(at=0))
        hub.create_repo("org/new", private=True, notice=unheard)
        hub.create_branch("org/new", "next", unheard)
        assert set(server.model("org/new").refs) == {"refs/heads/main", "refs/heads/next"}


def assert_says(error: Mlxk2Error, words: str) -> None:
    with pytest.raises(Mlxk2Error) as caught:
        raise error
    caught.match(words)


class TestRetries:
    def test_pauses_double_up_to_the_longest_with_a_little_chance_in_them(self) -> None:
        retries = Retries(attempts=10, first_pause=1.0, longest_pause=10.0)
        for failures, shortest in ((1, 1.0), (2, 2.0), (3, 4.0), (4, 8.0), (5, 10.0), (9, 10.0)):
            pause = retries.pause_after(failures, ConnectionError())
            assert pause is not None
            assert shortest <= pause <= shortest * 1.25

    def test_after_the_last_attempt_there_is_no_pause(self) -> None:
        assert Retries(attempts=3).pause_after(3, ConnectionError()) is None

    @pytest.mark.parametrize("error", [KeyError(), ValidationError("no"), OfflineModeIsEnabled("off")])
    def test_what_does_not_pass_is_not_tried_again(self, error: Exception) -> None:
        assert Retries().pause_after(1, error) is None

    @pytest.mark.parametrize("name", ["InvalidURL", "LocalProtocolError", "TooManyRedirects", "UnsupportedProtocol"])
    def test_a_question_that_cannot_be_asked_is_not_repeated(self, name: str) -> None:
        assert Retries().pause_after(1, of_the_http_library(name)) is None

    def test_a_long_pause_is_told_with_its_reason(
        self, server: LoopbackHub, hub: HuggingFaceHub, pauses: list[float], heard: Heard
    ) -> None:
        server.break_(INFO, faults.Status(429, headers={"Retry-After": "30"}))
        server.break_(INFO, faults.Status(503, headers={"Retry-After": "7"}))
        hub.model(NAME, "main", heard.append)
        assert pauses == [30.0, 7.0]
        assert heard == [
            "The Hub asks to slow down (HTTP 429); trying again in 30 s",
            "The Hub has trouble (HTTP 503); trying again in 7 s",
        ]


class TestSearching:
    @pytest.mark.parametrize(
        ("parameters", "size"),
        [
            ({"F32": 10}, 40),
            ({"BF16": 10}, 20),
            ({"F16": 10}, 20),
            ({"F64": 10}, 80),
            ({"I8": 10}, 10),
            ({"U32": 10}, 40),
            ({"I64": 10}, 80),
            ({"F8_E4M3": 10}, 10),
            ({"F8_E5M2": 10}, 10),
            ({"F4": 10}, 5),
            ({"F6_E2M3": 8}, 6),
            ({"BOOL": 10}, 10),
            ({"C64": 10}, 80),
            ({"U32": 100, "BF16": 10, "F32": 1}, 424),
            ({"NEW": 10, "F32": 1}, None),
            ({}, None),
        ],
    )
    def test_the_size_is_counted_from_the_types_of_the_weights(
        self, server: LoopbackHub, hub: HuggingFaceHub, parameters: Mapping[str, int], size: int | None
    ) -> None:
        server.add_model("org/sized", {"config.json": b"{}"}, parameters=parameters)
        (hit,) = hub.search("sized", author=None, tag=None, limit=1, notice=unheard)
        assert hit.size == size

    def test_a_long_answer_is_read_page_by_page(self, server: LoopbackHub, hub: HuggingFaceHub) -> None:
        for number in range(10):
            server.add_model(f"org/many-{number}", {}, downloads=number)
        hits = hub.search("many", author=None, tag=None, limit=8, notice=unheard)
        assert [hit.downloads for hit in hits] == [9, 8, 7, 6, 5, 4, 3, 2]

    def test_likes_and_the_last_change_are_told(self, server: LoopbackHub, hub: HuggingFaceHub) -> None:
        server.add_model("org/liked", {}, likes=5, gated="auto")
        (hit,) = hub.search("liked", author=None, tag=None, limit=1, notice=unheard)
        date = server.model("org/liked").head.date.timestamp()
        assert (hit.likes, hit.gated) == (5, True)
        assert hit.modified == pytest.approx(date, abs=0.001)


Push = Callable[..., Committed]


class TestUploading:
    @pytest.fixture
    def push(self, server: LoopbackHub, hub: HuggingFaceHub, tmp_path: Path, heard: Heard) -> Push:
        """`push({"config.json": b"[]"}, deletions=("old.txt",))` on the branch's head."""

        def push(files: Mapping[str, bytes], deletions: tuple[str, ...] = ()) -> Committed:
            uploads = []
            for path, content in files.items():
                place = tmp_path / path
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(content)
                uploads.append(LocalFile(path, str(place), len(content)))
            head = server.head(NAME)
            return hub.commit(Commit(NAME, "main", "a message", head, tuple(uploads), deletions), heard.append)

        return push

    def test_small_files_are_in_the_commit_and_large_ones_go_to_the_storage_without_the_token(
        self, server: LoopbackHub, push: Push
    ) -> None:
        made = push({"notes.txt": b"text", "model.safetensors": WEIGHTS})
        assert made == Committed(server.head(NAME), f"{server.endpoint}/{NAME}/commit/{server.head(NAME)}")
        assert server.files(NAME) == {
            "config.json": b"{}",
            ".gitattributes": b"",
            "notes.txt": b"text",
            "model.safetensors": WEIGHTS,
        }
        assert server.model(NAME).head.title == "a message"
        assert [(request.path, request.has_authorization) for request in server.requests if request.port == "cdn"] == [
            (f"/upload/{NAME}/{server.model(NAME).head.files['model.safetensors'].blob.sha256}", False)
        ]

    def test_content_that_the_hub_has_already_is_not_sent_again(self, server: LoopbackHub, push: Push) -> None:
        push({"model.safetensors": WEIGHTS})
        server.forget_requests()
        push({"copy.safetensors": WEIGHTS})
        assert not any(request.method == "PUT" for request in server.requests)
        assert server.files(NAME)["copy.safetensors"] == WEIGHTS

    @pytest.mark.parametrize(
        "path", ["/preupload/", "/info/lfs/objects/batch", "/info/lfs/objects/verify", "/commit/main"]
    )
    @pytest.mark.parametrize("fault", [faults.Status(500), faults.DropConnect(), faults.Cut(at=0)])
    def test_a_step_that_fails_is_tried_again_and_the_commit_is_made_once(
        self, server: LoopbackHub, push: Push, path: str, fault: faults.Fault
    ) -> None:
        before = len(server.model(NAME).commits)
        server.break_(path, fault, method="POST")
        made = push({"notes.txt": b"text", "model.safetensors": WEIGHTS})
        assert len(server.model(NAME).commits) == before + 1
        assert made.commit == server.head(NAME)
        assert server.files(NAME)["model.safetensors"] == WEIGHTS

    def test_a_commit_on_a_head_of_the_past_is_told_as_a_conflict(
        self, server: LoopbackHub, hub: HuggingFaceHub
    ) -> None:
        parent = server.head(NAME)
        theirs = server.change(NAME, {"theirs.txt": b"theirs"})
        with pytest.raises(Conflict, match="was changed on the Hub meanwhile; nothing was committed: try --dry-run"):
            hub.commit(Commit(NAME, "main", "message", parent, (), ("config.json",)), unheard)
        assert server.head(NAME) == theirs

    def test_a_deletion_whose_answer_was_lost_ends_as_a_conflict(self, server: LoopbackHub, push: Push) -> None:
        server.break_(COMMIT, faults.Cut(at=0))
        with pytest.raises(Conflict):
            push({}, deletions=("config.json",))
        assert "config.json" not in server.files(NAME)

    def test_what_the_hub_does_not_take_is_told_in_its_words(self, server: LoopbackHub, push: Push) -> None:
        body = b'{"warnings": [], "errors": [{"message": "\\"license\\" must be one of [apache-2.0, mit]"}]}'
        server.break_("/api/validate-yaml", faults.Status(400, body=body))
        before = server.head(NAME)
        with pytest.raises(ValidationError) as caught:
            push({"README.md": b"---\nlicense: mine\n---\n"})
        assert caught.value.message == (
            "The Hub would not take these files, nothing was committed: Invalid metadata in README.md."
            ' - "license" must be one of [apache-2.0, mit]'
        )
        assert server.head(NAME) == before

    @pytest.mark.parametrize("path", ["README.md", ".gitignore"])
    def test_a_file_that_the_hub_wants_as_text_and_is_none_is_named(self, push: Push, path: str) -> None:
        with pytest.raises(ValidationError, match=re.escape(path)):
            push({"notes.txt": b"text", path: b"\xff\xfe"})

    def test_trouble_while_the_readme_is_checked_passes_too(self, server: LoopbackHub, push: Push) -> None:
        server.break_("/api/validate-yaml", faults.Status(503, body=b"<html>Service Unavailable</html>"))
        push({"README.md": b"# model\n"})
        assert server.files(NAME)["README.md"] == b"# model\n"

    @pytest.mark.parametrize("hosted", [False, True])
    def test_a_gitignore_file_has_no_say_in_what_goes_along(
        self, server: LoopbackHub, push: Push, hosted: bool
    ) -> None:
        ignoring = {".gitignore": b"*.log\n*.safetensors\n"}
        files = {"train.log": b"text", "model.safetensors": WEIGHTS}
        if hosted:
            server.change(NAME, ignoring)
        push(files if hosted else {**ignoring, **files})
        assert set(server.files(NAME)) >= set(files)

    def test_a_commit_that_would_hold_nothing_is_not_made(self, server: LoopbackHub, push: Push) -> None:
        server.change(NAME, {".gitignore": b"*.log\n"})
        before = len(server.model(NAME).commits)
        push({"train.log": b"text"})
        assert len(server.model(NAME).commits) == before or "train.log" in server.files(NAME)

    @pytest.mark.parametrize("path", [".cache/notes.txt", "sub/.cache/notes.txt"])
    def test_a_path_that_huggingface_hub_refuses_is_told_as_such(self, push: Push, path: str) -> None:
        with pytest.raises(ValidationError, match=path):
            push({path: b"text"})

    def test_a_file_that_went_away_meanwhile_is_named(self, hub: HuggingFaceHub, tmp_path: Path) -> None:
        gone = LocalFile("notes.txt", str(tmp_path / "notes.txt"), 4)
        with pytest.raises((AccessProblem, ValidationError), match=r"notes\.txt"):
            hub.commit(Commit(NAME, "main", "message", None, (gone,), ()), unheard)


class TestHearing:
    """What huggingface_hub says while it works."""

    @pytest.fixture
    def push(self, server: LoopbackHub, hub: HuggingFaceHub, tmp_path: Path, heard: Heard) -> Push:
        def push(path: str, content: bytes) -> Committed:
            (tmp_path / path).write_bytes(content)
            upload = LocalFile(path, str(tmp_path / path), len(content))
            return hub.commit(Commit(NAME, "main", "message", server.head(NAME), (upload,), ()), heard.append)

        return push

    def test_its_warnings_are_notices_and_nothing_is_printed(
        self, server: LoopbackHub, push: Push, heard: Heard, capfd: pytest.CaptureFixture[str]
    ) -> None:
        server.break_("/preupload/", faults.Headers({"X-HF-Warning": "a; You will have to move soon"}))
        push("notes.txt", b"text")
        assert heard == ["You will have to move soon"]
        assert capfd.readouterr() == ("", "")

    def test_a_push_that_works_has_nothing_to_say(
        self, push: Push, heard: Heard, capfd: pytest.CaptureFixture[str]
    ) -> None:
        push("model.safetensors", WEIGHTS + b"\0")
        assert heard == []
        assert capfd.readouterr() == ("", "")

    def test_afterwards_its_logger_is_as_it_was(self, server: LoopbackHub, push: Push) -> None:
        logger = logging.getLogger("huggingface_hub")
        before = logger.handlers[:]
        push("notes.txt", b"text")
        server.break_(COMMIT, faults.Status(403))
        with pytest.raises(Unauthorised):
            push("notes.txt", b"other text")
        assert logger.handlers == before

    def test_no_token_is_in_what_it_says(self, server: LoopbackHub, push: Push, heard: Heard) -> None:
        server.break_("/preupload/", faults.Headers({"X-HF-Warning": f"b; Your token {WRITER} will expire"}))
        push("notes.txt", b"text")
        assert WRITER not in " ".join(heard)

    def test_no_signature_is_in_what_it_says(self, server: LoopbackHub, push: Push, heard: Heard) -> None:
        server.break_("/upload/", faults.Status(503), method="PUT")
        push("model.safetensors", WEIGHTS + b"\1")
        assert heard
        assert SIGNATURE not in " ".join(heard)

    @pytest.mark.parametrize("path", ["README.md", "data.parquet"])
    def test_what_it_says_by_the_warnings_module_is_a_notice_too(
        self, server: LoopbackHub, push: Push, heard: Heard, path: str
    ) -> None:
        body = b'{"warnings": [{"message": "empty or missing yaml metadata in repo card"}], "errors": []}'
        server.break_("/api/validate-yaml", faults.Status(200, body=body))
        push(path, b"text")
        assert len(heard) == 1
        assert server.files(NAME)[path] == b"text"


class TestXet:
    """In processes of their own, for hf_xet reads its environment when it is imported."""

    CONTENT = random.Random(1).randbytes(500_000)  # noqa: S311 - incompressible
    READ = (
        "import hashlib, json, sys\n"
        "from mlxk2.adapters.hub import HuggingFaceHub, Retries\n"
        "from mlxk2.ports.errors import Mlxk2Error\n"
        "from mlxk2.ports.hub import Transport\n"
        "hub = HuggingFaceHub(sys.argv[1], retries=Retries(attempts=2, sleep=lambda _: None))\n"
        "model = hub.model('org/xet', 'main', print)\n"
        "content = hub.content(model, Transport.XET, print)\n"
        "files = {file.path: file for file in model.files}\n"
        "for path, start, stop in json.loads(sys.argv[2]):\n"
        "    try:\n"
        "        print(hashlib.sha256(b''.join(content.read(files[path], start, stop))).hexdigest())\n"
        "    except Mlxk2Error as error:\n"
        "        print(f'{error.type}: {error.message}')\n"
    )

    @pytest.fixture
    def xet(self, server: LoopbackHub) -> LoopbackHub:
        server.add_model("org/xet", {"config.json": b"{}", "model.safetensors": self.CONTENT}, xet=True)
        return server

    def read(self, server: LoopbackHub, home: Path, *parts: tuple[str, int, int]) -> list[str]:
        environment = {**os.environ, "HF_HOME": str(home), "HF_HUB_DISABLE_TELEMETRY": "1"}
        arguments = [server.endpoint, json.dumps(parts)]
        command = [sys.executable, "-c", self.READ, *arguments]
        run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert (run.returncode, run.stderr) == (0, "")
        return run.stdout.splitlines()

    def test_files_are_read_in_ranges_from_the_xet_storage_and_small_ones_from_the_hub(
        self, xet: LoopbackHub, tmp_path: Path
    ) -> None:
        size = len(self.CONTENT)
        ranges = [(0, size), (0, 1), (1000, 200_000), (size - 1, size)]
        printed = self.read(xet, tmp_path, *(("model.safetensors", *each) for each in ranges), ("config.json", 0, 2))
        expected = [self.CONTENT[start:stop] for start, stop in ranges]
        assert printed == [sha256(content).hexdigest() for content in (*expected, b"{}")]
        assert xet.bytes_sent("/xorbs/") > 0
        assert xet.bytes_sent("/lfs/") == 0
        assert not any(request.has_authorization for request in xet.requests if request.port == "cdn")

    def test_the_hub_is_asked_once_about_each_file_and_once_for_a_token(self, xet: LoopbackHub, tmp_path: Path) -> None:
        self.read(xet, tmp_path, *(("model.safetensors", start, start + 10) for start in (0, 1000, 2000)))
        paths = [request.path for request in xet.requests if request.port == "api"]
        assert len([path for path in paths if "/resolve/" in path]) == 1
        assert len([path for path in paths if "/xet-read-token/" in path]) == 1

    def test_large_files_that_xet_does_not_have_come_over_http(self, server: LoopbackHub, tmp_path: Path) -> None:
        server.add_model("org/xet", {"model.safetensors": self.CONTENT})
        printed = self.read(server, tmp_path, ("model.safetensors", 0, len(self.CONTENT)))
        assert printed == [sha256(self.CONTENT).hexdigest()]
        assert server.bytes_sent("/lfs/") == len(self.CONTENT)

    def test_a_storage_that_fails_is_a_failed_download_with_the_way_around_it(
        self, xet: LoopbackHub, tmp_path: Path
    ) -> None:
        xet.break_("reconstructions/", faults.Status(404), times=None)
        (printed,) = self.read(xet, tmp_path, ("model.safetensors", 0, 10))
        assert printed.startswith("download_failed: model.safetensors ")
        assert printed.endswith("what has come is kept, try again later or with --transport http")

    def test_a_refused_token_for_the_storage_is_told_by_its_reason(self, xet: LoopbackHub, tmp_path: Path) -> None:
        xet.break_("/xet-read-token/", faults.Status(403, error_code="GatedRepo"), times=None)
        (printed,) = self.read(xet, tmp_path, ("model.safetensors", 0, 10))
        assert printed.startswith("access_denied: 'org/xet' is gated")
