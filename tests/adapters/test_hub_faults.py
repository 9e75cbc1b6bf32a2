"""The Hub misbehaves: every failure is told as what it is, nothing that came is lost, and the next pull finishes."""

import errno
import json
import os
import socket
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from dependency_injector import providers
from huggingface_hub import close_session, constants

from mlxk2.adapters.hfcache import HfCache, partial
from mlxk2.adapters.hfcache.partial import Partial
from mlxk2.adapters.hub import HuggingFaceHub, Retries
from mlxk2.container import Adapters, App
from mlxk2.entrypoints.cli.context import Services
from mlxk2.ports.errors import (
    DownloadFailed,
    Gated,
    NetworkProblem,
    NotOnHub,
    RateLimited,
    ValidationError,
)
from mlxk2.ports.hub import Transport
from mlxk2.ports.sources import SourceFile
from mlxk2.ports.transfer import Delivery, unwatched
from mlxk2.settings import Settings
from mlxk2.testing import Run
from mlxk2.testing.plugin import CommandLine
from tests.e2e.pulling import (
    FOLDER,
    NAME,
    OWN_PARTIAL,
    TEXTS,
    TOKEN,
    etag,
    no_thread_left,
    partials,
    reasons,
    sent_to_storage_with_a_token,
    small_model,
    snapshot_of,
    total,
    wrong_blobs,
)
from tests.loopback_hub import LoopbackHub, faults

FILES = small_model()
SIZE = total(FILES)
WEIGHTS = "model.safetensors"
INFO = f"/api/models/{NAME}"
ECHO = f"You sent Bearer {TOKEN}, which is odd"


@pytest.fixture(autouse=True, scope="module")
def _one_session() -> Iterator[None]:
    """A new one for each test would read all certificates again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", True)  # it asks the Hub for odd things
        yield
    close_session()


@pytest.fixture
def hub() -> Iterator[LoopbackHub]:
    with LoopbackHub() as hub:
        hub.add_model(NAME, FILES)
        hub.add_token(TOKEN, user="me", gated_access=("org/open-to-me",))
        yield hub


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "hub"


Sleeps = list[float]


@pytest.fixture
def sleeps() -> Sleeps:
    """The pauses that were asked for; nobody waits for them."""
    return []


@pytest.fixture
def real(hub: LoopbackHub, sleeps: Sleeps) -> HuggingFaceHub:
    """The adapter that the program uses."""
    return HuggingFaceHub(hub.endpoint, retries=Retries(sleep=sleeps.append))


Pull = Callable[..., Run]


@pytest.fixture
def pull(
    cli: CommandLine, hub: LoopbackHub, root: Path, sleeps: Sleeps, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Pull]:
    """`pull("--repair", attempts=1)`: the command with --json on the real adapters, with a token in the environment.

    Segments are short, so that the weights come in five ranges at once. What is printed never holds the token, and
    no storage server ever sees it.
    """
    monkeypatch.setattr(partial, "SEGMENT", 1 << 16)
    monkeypatch.setenv("HF_TOKEN", TOKEN)

    def call(*options: str, name: str = NAME, attempts: int = 6) -> Run:
        places = (str(root / "runtime"), str(root / "state"), str(root / "memory"))
        adapters = Adapters(config=Settings(str(root), hub.endpoint, False, *places)._asdict())
        retries = Retries(attempts=attempts, sleep=sleeps.append)
        adapters.hub.override(providers.Object(HuggingFaceHub(hub.endpoint, retries=retries)))
        services: Services = App(adapters=adapters).services()
        with no_thread_left():
            run = cli("pull", name, "--json", *options, services=lambda: services)
        assert TOKEN not in run.out + run.err
        return run

    yield call
    assert sent_to_storage_with_a_token(hub) == []


def error(run: Run) -> dict[str, Any]:
    """The error of the one envelope that standard output holds."""
    document = json.loads(run.out)
    assert (document["status"], document["command"], run.out.count("\n")) == ("error", "pull", 1)
    found: dict[str, Any] = document["error"]
    assert document["data"]["download_status"] == "failed"
    return found


def bytes_here(root: Path, files: Mapping[str, bytes] = FILES) -> int:
    """Content that the cache holds: finished blobs, and what the partial ones have by their maps."""
    blobs = root / FOLDER / "blobs"
    count = 0
    for path, content in files.items():
        name = etag(path, content)
        if (blobs / name).exists():
            count += len(content)
        elif (blobs / f"{name}{OWN_PARTIAL}").exists():
            left = Partial(str(blobs), name, len(content))
            count += left.done
            left.close()
    return count


# Faults that end a pull when it does not try again, and the word for each of them.

CONTENT_FAULTS: dict[str, tuple[faults.Fault, str]] = {
    "cut at a byte": (faults.Cut(20_000), "NetworkError"),
    "cut at the first byte": (faults.Cut(0), "NetworkError"),
    "reset at a byte": (faults.Cut(20_000, reset=True), "NetworkError"),
    "no answer": (faults.DropConnect(), "NetworkError"),
    "stalled": (faults.Stall(20_000, 30.0), "NetworkError"),
    "a flipped byte": (faults.Flip(150_000), "download_failed"),
    "short": (faults.Short(10_000), "download_failed"),
    "shorter than announced": (faults.Short(10_000, announce_full_length=True), "NetworkError"),
    "400": (faults.Status(400), "download_failed"),
    "401": (faults.Status(401), "auth_error"),
    "403": (faults.Status(403), "auth_error"),
    "404": (faults.Status(404), "download_failed"),
    "408": (faults.Status(408), "download_failed"),
    "410": (faults.Status(410), "download_failed"),
    "416": (faults.Status(416), "download_failed"),
    "429": (faults.Status(429), "rate_limited"),
    "429 with a time": (faults.Status(429, {"Retry-After": "3"}), "rate_limited"),
    "500": (faults.Status(500), "download_failed"),
    "502 with a page": (
        faults.Status(502, {"Content-Type": "text/html"}, body=b"<html>Bad gateway"),
        "download_failed",
    ),
    "503": (faults.Status(503), "download_failed"),
    "504": (faults.Status(504), "download_failed"),
    "an echo of the token": (faults.Status(500, message=ECHO, body=ECHO.encode()), "download_failed"),
}
HUB_FAULTS: dict[str, tuple[faults.Fault, str]] = {
    "gated": (faults.Status(403, error_code="GatedRepo"), "access_denied"),
    "gated for the unknown": (faults.Status(401, error_code="GatedRepo"), "access_denied"),
    "no such repo": (faults.Status(404, error_code="RepoNotFound"), "model_not_found"),
    "no such revision": (faults.Status(404, error_code="RevisionNotFound"), "model_not_found"),
    "no such file": (faults.Status(404, error_code="EntryNotFound"), "model_not_found"),
    "a wrong token": (faults.Status(401, message="Invalid credentials in Authorization header"), "auth_error"),
    "403": (faults.Status(403), "auth_error"),
    "429": (faults.Status(429), "rate_limited"),
    "500": (faults.Status(500), "download_failed"),
    "no answer": (faults.DropConnect(), "NetworkError"),
    "for ever somewhere else": (faults.Status(302, {"Location": "?again"}), "NetworkError"),
    "an echo of the token": (faults.Status(403, message=ECHO, body=ECHO.encode()), "auth_error"),
}


Break = Callable[[faults.Fault, int | None], None]


@pytest.fixture
def break_weights(hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> Break:
    """`break_weights(fault, times)`: let the storage server do this to the requests for the weights.

    Nobody waits long for a server that stalls.
    """

    def call(fault: faults.Fault, times: int | None) -> None:
        if isinstance(fault, faults.Stall):
            monkeypatch.setattr(constants, "HF_HUB_DOWNLOAD_TIMEOUT", 0.5)
        hub.break_(WEIGHTS, fault, times=times, port="cdn")

    return call


@pytest.fixture(params=CONTENT_FAULTS)
def fault(request: pytest.FixtureRequest, break_weights: Break) -> str:
    """One of the faults, in force for the weights; its word in the error object."""
    fault, word = CONTENT_FAULTS[request.param]
    break_weights(fault, None)
    return word


def test_a_fault_of_the_storage_is_told_as_what_it_is(pull: Pull, fault: str) -> None:
    run = pull(attempts=1)
    assert (run.code, error(run)["type"]) == (2, fault)


@pytest.mark.usefixtures("fault")
def test_what_a_fault_leaves_behind_is_not_called_healthy(pull: Pull, root: Path) -> None:
    pull(attempts=1)
    assert reasons(root)[NAME] in ("download incomplete", "no snapshot")
    assert wrong_blobs(root) == []


@pytest.mark.usefixtures("fault")
def test_what_came_before_a_fault_is_not_fetched_again(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    pull(attempts=1)
    here = bytes_here(root)
    hub.heal()
    hub.forget_requests()
    assert pull().code == 0
    assert hub.bytes_sent() == SIZE - here


@pytest.mark.usefixtures("fault")
def test_the_pull_after_a_fault_finishes(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    pull(attempts=1)
    hub.heal()
    assert json.loads(pull().out)["data"]["download_status"] == "success"
    assert reasons(root) == {NAME: None}
    assert snapshot_of(root) == FILES
    assert partials(root) == []


@pytest.mark.parametrize("name", HUB_FAULTS)
@pytest.mark.parametrize("place", [INFO, f"/resolve/{{commit}}/{WEIGHTS}"], ids=["the description", "a file"])
def test_a_fault_of_the_hub_is_told_as_what_it_is(pull: Pull, hub: LoopbackHub, name: str, place: str) -> None:
    fault, word = HUB_FAULTS[name]
    hub.break_(place.format(commit=hub.head(NAME)), fault, times=None, port="api")
    run = pull(attempts=1)
    assert (run.code, error(run)["type"]) == (2, word)


@pytest.mark.parametrize("name", HUB_FAULTS)
def test_a_hub_that_does_not_describe_the_model_leaves_the_cache_untouched(
    pull: Pull, hub: LoopbackHub, root: Path, name: str
) -> None:
    hub.break_(INFO, HUB_FAULTS[name][0], times=None)
    pull(attempts=1)
    assert not root.exists()


# What came until the connection broke is exactly what is kept.

PLAIN_CUTS: dict[str, faults.Fault] = {
    "cut": faults.Cut(123_456),
    "stalled": faults.Stall(123_456, 30.0),
    "short": faults.Short(len(FILES[WEIGHTS]) - 123_456),
    "shorter than announced": faults.Short(len(FILES[WEIGHTS]) - 123_456, announce_full_length=True),
}


@pytest.mark.parametrize("name", PLAIN_CUTS)
def test_every_byte_before_the_break_is_kept(
    pull: Pull, break_weights: Break, root: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "SEGMENT", 1 << 20)
    break_weights(PLAIN_CUTS[name], None)
    pull(attempts=1)
    assert bytes_here(root, {WEIGHTS: FILES[WEIGHTS]}) == 123_456


@pytest.mark.parametrize("name", PLAIN_CUTS)
def test_a_try_goes_on_where_the_one_before_broke_off(
    pull: Pull, hub: LoopbackHub, break_weights: Break, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "SEGMENT", 1 << 20)
    break_weights(PLAIN_CUTS[name], 1)
    assert pull().code == 0
    assert hub.bytes_sent() == SIZE


# Faults that pass, or are none for a patient client: one pull is enough.

PASSING: dict[str, tuple[faults.Fault, int | None]] = {
    "cut once": (faults.Cut(20_000), 1),
    "cut in every range": (faults.Cut(20_000), 5),
    "reset once": (faults.Cut(20_000, reset=True), 1),
    "never more than a little at once": (faults.CutEvery(20_000), None),
    "no answer once": (faults.DropConnect(), 1),
    "stalled once": (faults.Stall(20_000, 30.0), 1),
    "a pause that is short enough": (faults.Stall(20_000, 0.1), None),
    "short once": (faults.Short(10_000), 1),
    "shorter than announced once": (faults.Short(10_000, announce_full_length=True), 1),
    "a flipped byte once": (faults.Flip(150_000), 1),
    "a slow drip": (faults.Drip(500_000), None),
    "ranges are ignored": (faults.IgnoreRange(), None),
    "sent somewhere else": (faults.Redirect(), None),
    "sent to another address": (faults.Redirect(absolute=True, code=302), None),
    "no content range": (faults.Headers({"Content-Range": None}), None),
    "500 four times": (faults.Status(500), 4),
    "503 with a time": (faults.Status(503, {"Retry-After": "4"}), 1),
    "429 with a time": (faults.Status(429, {"Retry-After": "4"}), 1),
    "408 once": (faults.Status(408), 1),
}


@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_does_not_end_the_pull(pull: Pull, break_weights: Break, root: Path, name: str) -> None:
    break_weights(*PASSING[name])
    assert pull().code == 0
    assert snapshot_of(root) == FILES


@pytest.mark.parametrize("name", ["500 four times", "429 with a time", "no answer once", "sent somewhere else"])
def test_a_fault_of_the_hub_that_passes_does_not_end_the_pull(
    pull: Pull, hub: LoopbackHub, root: Path, name: str
) -> None:
    fault, times = PASSING[name]
    hub.break_("/", fault, times=times, port="api")
    assert pull().code == 0
    assert snapshot_of(root) == FILES


def test_a_flipped_byte_is_noticed_and_fetched_again(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    hub.break_(WEIGHTS, faults.Flip(150_000), times=5, port="cdn")
    assert pull().code == 0
    assert snapshot_of(root) == FILES
    assert hub.bytes_sent(WEIGHTS) == 2 * len(FILES[WEIGHTS])
    assert hub.bytes_sent() == SIZE + len(FILES[WEIGHTS])


@pytest.mark.parametrize("path", ["config.json", WEIGHTS])
def test_a_byte_that_is_always_wrong_is_told_with_the_name_of_the_file(pull: Pull, hub: LoopbackHub, path: str) -> None:
    hub.break_(f"/{path}", faults.Flip(7), times=None)
    run = pull()
    assert (run.code, error(run)["type"]) == (2, "download_failed")
    assert error(run)["message"].startswith(f"{path} arrived damaged twice")


def test_a_signed_address_that_ran_out_is_replaced_without_a_pause(
    pull: Pull, hub: LoopbackHub, sleeps: Sleeps, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(partial, "SEGMENT", 1 << 20)
    hub.break_(WEIGHTS, faults.Cut(100_000), port="cdn")
    hub.break_(WEIGHTS, faults.Status(403), port="cdn", skip=1)
    assert pull().code == 0
    assert len(sleeps) == 1  # after the cut
    assert hub.bytes_sent() == SIZE


def test_the_signed_address_is_used_again_while_it_works(pull: Pull, hub: LoopbackHub) -> None:
    hub.break_(WEIGHTS, faults.CutEvery(10_000), port="cdn")
    pull()
    asked = [request for request in hub.requests if request.path.endswith(WEIGHTS)]
    assert len([request for request in asked if request.port == "api"]) <= 8  # one for each that fetches
    assert len([request for request in asked if request.port == "cdn"]) > 30


def test_several_faults_in_a_row_do_not_add_up_while_bytes_arrive(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    hub.break_(WEIGHTS, faults.CutEvery(10_000), port="cdn")
    assert pull(attempts=2).code == 0
    assert hub.bytes_sent() == SIZE
    assert snapshot_of(root) == FILES


# Waiting.


def test_ten_times_500_are_tried_six_times_with_growing_pauses(
    real: HuggingFaceHub, hub: LoopbackHub, sleeps: Sleeps
) -> None:
    hub.break_(INFO, faults.Status(500), times=10)
    with pytest.raises(DownloadFailed, match="HTTP 500"):
        real.model(NAME, "main", print)
    assert len(hub.requests) == 6
    assert len(sleeps) == 5
    assert all(later > 1.5 * earlier for earlier, later in pairwise(sleeps))


def test_the_next_try_after_ten_times_500_succeeds(real: HuggingFaceHub, hub: LoopbackHub) -> None:
    hub.break_(INFO, faults.Status(500), times=10)
    with pytest.raises(DownloadFailed):
        real.model(NAME, "main", print)
    assert real.model(NAME, "main", print).commit == hub.head(NAME)


ASKING = {
    "429": faults.Status(429, {"Retry-After": "7"}),
    "503": faults.Status(503, {"Retry-After": "7"}),
    "429 with a rate limit": faults.Status(429, {"RateLimit": '"api";r=0;t=7'}),
}


@pytest.mark.parametrize("name", ASKING)
@pytest.mark.parametrize(("place", "port"), [(INFO, "api"), (WEIGHTS, "cdn")])
def test_a_server_that_asks_for_time_gets_it(
    pull: Pull, hub: LoopbackHub, sleeps: Sleeps, name: str, place: str, port: Any
) -> None:
    hub.break_(place, ASKING[name], port=port)
    run = pull()
    assert run.code == 0
    assert len(sleeps) == 1
    assert 7.0 <= sleeps[0] < 10.0
    assert "trying again in 7 s" in run.err


@pytest.mark.parametrize(("place", "port"), [(INFO, "api"), (WEIGHTS, "cdn")])
def test_an_hour_is_told_and_not_waited_for(
    pull: Pull, hub: LoopbackHub, sleeps: Sleeps, place: str, port: Any
) -> None:
    hub.break_(place, faults.Status(429, {"Retry-After": "3600"}), times=None, port=port)
    run = pull()
    assert (run.code, error(run)["type"]) == (2, "rate_limited")
    assert "3600 seconds" in error(run)["message"]
    assert sleeps == []


def test_the_time_that_a_rate_limit_asks_for_is_part_of_the_error(real: HuggingFaceHub, hub: LoopbackHub) -> None:
    hub.break_(INFO, faults.Status(429, {"Retry-After": "3600"}), times=None)
    with pytest.raises(RateLimited) as caught:
        real.model(NAME, "main", print)
    assert caught.value.retry_after == 3600


@pytest.mark.parametrize("value", ["soon", "", "-5", "Wed, 21 Oct 2015 07:28:00 GMT", "nan"])
def test_a_time_that_means_nothing_is_no_reason_to_give_up(
    real: HuggingFaceHub, hub: LoopbackHub, sleeps: Sleeps, value: str
) -> None:
    hub.break_(INFO, faults.Status(429, {"Retry-After": value}))
    real.model(NAME, "main", print)
    assert len(sleeps) == 1
    assert 0.5 <= sleeps[0] < 1.0


def test_a_hub_that_stops_in_the_middle_of_its_answer_is_asked_again(
    real: HuggingFaceHub, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mlxk2.adapters.hub.hub._TIMEOUT", 0.3)
    hub.break_(INFO, faults.Stall(0, 30.0))
    assert real.model(NAME, "main", print).commit == hub.head(NAME)


def test_what_a_short_pause_is_for_is_not_told(real: HuggingFaceHub, hub: LoopbackHub) -> None:
    hub.break_(INFO, faults.Status(500))
    told: list[str] = []
    real.model(NAME, "main", told.append)
    assert told == []


# Errors of the Hub, by their types.


def test_a_repo_that_is_not_there_is_missing(real: HuggingFaceHub, monkeypatch: pytest.MonkeyPatch) -> None:
    for token in ("", TOKEN):
        monkeypatch.setenv("HF_TOKEN", token)
        with pytest.raises(NotOnHub, match="no model 'org/none'") as caught:
            real.model("org/none", "main", print)
        assert caught.value.missing == "repo"


def test_a_private_repo_is_missing_for_the_unknown_who_learn_how_to_log_in(
    real: HuggingFaceHub, hub: LoopbackHub
) -> None:
    hub.add_model("org/private", FILES, private=True)
    with pytest.raises(NotOnHub, match="hf auth login"):
        real.model("org/private", "main", print)


def test_a_private_repo_is_there_for_its_owner(
    real: HuggingFaceHub, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_model("org/private", FILES, private=True)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    assert real.model("org/private", "main", print).private


@pytest.mark.parametrize("revision", ["nope", "0" * 40, "refs/pr/7"])
def test_a_revision_that_is_not_there_is_missing(real: HuggingFaceHub, revision: str) -> None:
    with pytest.raises(NotOnHub, match=f"no revision '{revision}'") as caught:
        real.model(NAME, revision, print)
    assert caught.value.missing == "revision"


def test_a_file_that_is_not_there_is_missing(real: HuggingFaceHub) -> None:
    model = real.model(NAME, "main", print)
    content = real.content(model, Transport.HTTP, print)
    with pytest.raises(NotOnHub, match=r"no file gone\.txt") as caught:
        list(content.read(replace(model.files[0], path="gone.txt"), 0, 5))
    assert caught.value.missing == "file"


@pytest.mark.parametrize("token", ["", TOKEN], ids=["without a token", "with a token"])
@pytest.mark.parametrize("kind", ["auto", "manual"])
def test_a_gated_repo_comes_with_the_address_of_its_page(
    real: HuggingFaceHub, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch, token: str, kind: str
) -> None:
    hub.add_model("org/gated", FILES, gated=kind)
    monkeypatch.setenv("HF_TOKEN", token)
    assert real.model("org/gated", "main", print).gated
    with pytest.raises(Gated) as caught:
        real.check_access("org/gated", print)
    assert caught.value.page == f"{hub.endpoint}/org/gated"
    assert caught.value.page in caught.value.message


def test_a_gated_repo_is_read_by_those_who_may(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    hub.add_model("org/open-to-me", FILES, gated=True)
    assert pull(name="org/open-to-me").code == 0
    assert reasons(root) == {"org/open-to-me": None}


def test_a_gated_repo_is_refused_before_anything_is_written(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    hub.add_model("org/gated", FILES, gated=True)
    run = pull(name="org/gated")
    assert (run.code, error(run)["type"]) == (2, "access_denied")
    assert f"{hub.endpoint}/org/gated" in error(run)["message"]
    assert not root.exists()


ODD_TOKENS = {
    "wrong": TOKEN.replace("42", "43"),
    "with a newline in it": "hf_wrongWrongWrong\nWrongWrongWrong",
    "with a newline at its end": "hf_wrongWrongWrongWrong\n",
    "with a control character": "hf_wrongWrong\x01WrongWrongWrong",
    "with a space": "hf_wrongWrong WrongWrongWrong",
    "not of this kind": "Wr0ngWr0ngWr0ng",
}


@pytest.mark.parametrize("name", ODD_TOKENS)
def test_a_token_that_is_wrong_is_refused_and_never_shown(
    pull: Pull, root: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    token = ODD_TOKENS[name]
    monkeypatch.setenv("HF_TOKEN", token)
    run = pull()
    assert (run.code, error(run)["type"]) == (2, "auth_error")
    shown = run.out + run.err
    assert [part for part in (*token.split(), token.replace("\n", "")) if part in shown] == []
    assert not root.exists()


def test_a_token_that_no_header_can_carry_is_told_as_such(
    pull: Pull, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret…")
    run = pull()
    assert "hf_secret" not in run.out + run.err
    assert (run.code, error(run)["type"]) == (2, "auth_error")
    assert not root.exists()


def test_the_right_token_with_a_line_end_is_accepted(
    pull: Pull, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    hub.add_model("org/private", FILES, private=True)
    monkeypatch.setenv("HF_TOKEN", f"{TOKEN}\n")
    assert pull(name="org/private").code == 0


def test_offline_mode_asks_nobody(hub: LoopbackHub, sleeps: Sleeps) -> None:
    real = HuggingFaceHub(hub.endpoint, is_offline=True, retries=Retries(sleep=sleeps.append))
    with pytest.raises(NetworkProblem, match="Offline mode is on"):
        real.model(NAME, "main", print)
    assert (hub.requests, sleeps) == ([], [])


def test_a_hub_where_nobody_listens_is_asked_twice(sleeps: Sleeps) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
    real = HuggingFaceHub(endpoint, retries=Retries(sleep=sleeps.append))
    with pytest.raises(NetworkProblem, match=f"{endpoint}.*cannot be reached"):
        real.model(NAME, "main", print)
    assert len(sleeps) == 1


@pytest.mark.parametrize("endpoint", ["http://no-such-host.invalid", "ftp://127.0.0.1", "http://127.0.0.1:99999"])
def test_an_address_that_is_no_hub_is_a_problem_of_the_network(sleeps: Sleeps, endpoint: str) -> None:
    real = HuggingFaceHub(endpoint, retries=Retries(sleep=sleeps.append))
    with pytest.raises(NetworkProblem, match=r"check .*HF_ENDPOINT"):
        real.model(NAME, "main", print)


def test_a_login_page_in_place_of_the_hub_is_not_taken_for_it(real: HuggingFaceHub, hub: LoopbackHub) -> None:
    page = faults.Status(200, {"Content-Type": "text/html"}, body=b"<html>Welcome to the hotel")
    hub.break_(INFO, page, times=None)
    with pytest.raises(DownloadFailed):
        real.model(NAME, "main", print)


def test_a_login_page_in_place_of_a_file_is_not_kept(pull: Pull, hub: LoopbackHub, root: Path) -> None:
    page = faults.Status(200, {"Content-Type": "text/html"}, body=b"<html>Welcome to the hotel" * 100)
    hub.break_("/resolve/", page, times=None)
    run = pull(attempts=2)
    assert (run.code, error(run)["type"]) == (2, "download_failed")
    hub.heal()
    assert pull().code == 0
    assert snapshot_of(root) == FILES


# The disk.


def test_a_disk_without_room_is_told_with_both_numbers_before_the_first_byte(
    pull: Pull, hub: LoopbackHub, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(HfCache, "free_bytes", lambda _: 100_000)
    run = pull()
    assert (run.code, error(run)["type"]) == (3, "PermissionError")
    assert "needs 300.5 KB more on the disk of the cache, which has 100.0 KB left" in error(run)["message"]
    assert hub.bytes_sent() == 0
    assert not root.exists()


def test_a_disk_that_has_just_enough_room_is_large_enough(pull: Pull, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HfCache, "free_bytes", lambda _: SIZE)
    assert pull().code == 0


def test_what_is_here_needs_no_room(pull: Pull, hub: LoopbackHub, monkeypatch: pytest.MonkeyPatch) -> None:
    pull()
    hub.change(NAME, {"README.md": b"new words"})
    monkeypatch.setattr(HfCache, "free_bytes", lambda _: 10)
    assert pull().code == 0


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_fails_on_the_way_loses_nothing(
    pull: Pull, hub: LoopbackHub, root: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    real, written = os.pwrite, 0

    def failing(handle: int, piece: bytes, place: int) -> int:
        nonlocal written
        written += len(piece)
        if written > 100_000:
            raise OSError(number, os.strerror(number))
        return real(handle, piece, place)

    monkeypatch.setattr(os, "pwrite", failing)
    run = pull()
    assert (run.code, error(run)["type"]) == (3, "PermissionError")
    monkeypatch.setattr(os, "pwrite", real)
    here = bytes_here(root)
    hub.forget_requests()
    assert pull().code == 0
    assert hub.bytes_sent() == SIZE - here
    assert snapshot_of(root) == FILES


# The token stays with the Hub.


def test_the_token_goes_to_the_hub_and_to_nobody_else(pull: Pull, hub: LoopbackHub) -> None:
    assert pull().code == 0
    seen = {(request.port, request.has_authorization) for request in hub.requests}
    assert seen == {("api", True), ("cdn", False)}


# What the Hub says about a model is not believed blindly.

ODD_PATHS = ["../evil", "/etc/evil", "a/../../evil", "..", ".", "", "a//b", "a/", "./a", "a\0b", "snapshots/../../evil"]


@pytest.mark.parametrize("path", ODD_PATHS)
def test_a_listing_that_leads_out_is_refused_before_anything_is_written(root: Path, path: str) -> None:
    content = b"{}"
    odd = SourceFile(path, 2, etag("a.json", content), etag("a.json", content))
    good = replace(odd, path="config.json")

    class Untouched:
        def read(self, file: SourceFile, start: int, stop: int) -> Iterator[bytes]:
            raise AssertionError((file, start, stop))

    for files in ((odd,), (good, odd), (good,)):
        delivery = Delivery(FOLDER, "a" * 40, "main", files, (good, odd), Untouched())
        with pytest.raises(ValidationError, match="nothing was downloaded"):
            HfCache(str(root)).install(delivery, unwatched)
    assert not root.exists()


@pytest.mark.parametrize("name", ["../evil", "a" * 39, "a" * 41, "", "A" * 64, "g" * 40, f"{'a' * 40}\n", ".lock"])
def test_a_blob_name_that_is_no_hash_is_refused_before_anything_is_written(root: Path, name: str) -> None:
    file = SourceFile("config.json", 2, name, "a" * 40)
    with pytest.raises(ValidationError):
        HfCache(str(root)).install(Delivery(FOLDER, "a" * 40, "main", (file,), (file,), None), unwatched)  # type: ignore[arg-type]
    assert not root.exists()


@pytest.mark.parametrize(
    ("commit", "ref"), [("../evil", "main"), ("a" * 40, "../evil"), ("a" * 40, "/evil"), ("a" * 40, "x/..")]
)
def test_a_commit_or_a_ref_that_leads_out_is_refused(root: Path, commit: str, ref: str) -> None:
    file = SourceFile("config.json", 2, "a" * 40, "a" * 40)
    with pytest.raises(ValidationError):
        HfCache(str(root)).install(Delivery(FOLDER, commit, ref, (file,), (file,), None), unwatched)  # type: ignore[arg-type]
    assert not root.exists()


@pytest.mark.parametrize("path", ["../evil", "/etc/evil", "a/../../evil"])
def test_the_program_refuses_such_a_listing_of_the_hub(pull: Pull, hub: LoopbackHub, root: Path, path: str) -> None:
    hub.add_model("org/evil", {**FILES, path: b"evil"})
    run = pull(name="org/evil")
    assert (run.code, error(run)["type"]) == (1, "ValidationError")
    assert hub.bytes_sent() == 0
    assert not root.exists()


def described(hub: LoopbackHub, **changes: Any) -> None:
    """Let the Hub describe the model with these changes; `siblings` are those of one file."""
    with urlopen(f"{hub.endpoint}{INFO}?blobs=true") as answer:  # noqa: S310 - the loopback Hub
        document = json.load(answer)
    file = next(sibling for sibling in document["siblings"] if sibling["rfilename"] == "tokenizer.json")
    file |= changes.pop("siblings", {})
    body = json.dumps({**document, **changes}).encode()
    hub.break_(INFO, faults.Status(200, {"Content-Type": "application/json"}, body=body), times=None)


@pytest.mark.parametrize("wrong", [-4, 5])
def test_a_size_that_is_wrong_in_the_listing_is_noticed(pull: Pull, hub: LoopbackHub, root: Path, wrong: int) -> None:
    described(hub, siblings={"size": len(TEXTS["tokenizer.json"]) + wrong})
    run = pull(attempts=2)
    assert (run.code, error(run)["type"]) == (2, "download_failed")
    assert reasons(root)[NAME] in ("download incomplete", "no snapshot")


@pytest.mark.parametrize("size", [-1, 1.5, "5"])
def test_a_size_that_is_no_size_is_told_as_a_failed_download(pull: Pull, hub: LoopbackHub, size: object) -> None:
    described(hub, siblings={"size": size})
    run = pull(attempts=2)
    assert json.loads(run.out)["error"]["type"] == "download_failed"


@pytest.mark.parametrize("changes", [{"siblings": {"size": None}}, {"siblings": {"blobId": None}}, {"sha": None}])
def test_a_description_with_gaps_is_told_as_a_failed_download(
    pull: Pull, hub: LoopbackHub, root: Path, changes: dict[str, Any]
) -> None:
    described(hub, **changes)
    run = pull()
    assert (run.code, error(run)["type"]) == (2, "download_failed")
    assert not root.exists()


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"siblings": {"blobId": "../../evil"}}, (1, "ValidationError")),
        ({"sha": "../../evil"}, (2, "download_failed")),
        ({"sha": 7}, (2, "download_failed")),
        ({"siblings": {"blobId": 7}}, (2, "download_failed")),
        ({"siblings": {"size": True}}, (2, "download_failed")),
    ],
)
def test_hashes_of_the_hub_that_lead_out_or_are_none_are_refused(
    pull: Pull, hub: LoopbackHub, root: Path, changes: dict[str, Any], kind: tuple[int, str]
) -> None:
    described(hub, **changes)
    run = pull()
    assert (run.code, error(run)["type"]) == kind
    assert not root.exists()
