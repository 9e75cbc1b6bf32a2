"""Opening a model: judged first, then asked of a running server, else loaded in this process."""

from dataclasses import replace

import pytest

from mlxk2.adapters.memory import MemoryEngine, MemoryMachine, StoredModel
from mlxk2.domain.usecases.open_model import OpenedModel, OpenOptions
from mlxk2.ports.engine import Loading, Stepped
from mlxk2.ports.errors import Mlxk2Error, ModelNotFound, NotEnoughMemory, OperationError
from mlxk2.ports.servers import RunningServer
from mlxk2.testing import Pathology, gguf_model, healthy_model, sick_model, with_files
from mlxk2.testing.files import document, safetensors
from mlxk2.testing.models import CONFIG
from tests.domain.opening import ELSEWHERE, OUTDATED, SERVER, Desk, pinned

NAME = "tiny-4bit"
WEIGHTS = len(safetensors())
TINY = healthy_model()
SECOND = replace(SERVER, url="http://127.0.0.1:9000", pid=9, port=9000, started=1.0)


def desk(*running: RunningServer, model: StoredModel = TINY, machine: MemoryMachine | None = None) -> Desk:
    return Desk(model, machine=machine, running=running, served={pinned(model): MemoryEngine(lambda _: "served")})


def refusal(at: Desk, reference: str = NAME, options: OpenOptions = OpenOptions()) -> Mlxk2Error:  # noqa: B008
    with pytest.raises(Mlxk2Error) as caught:
        at.open.open(reference, options)
    return caught.value


def is_here(at: Desk, opened: OpenedModel) -> bool:
    return opened.server is None and opened.engine in at.engines and not at.attachment.opened


def test_without_a_server_the_model_is_loaded_in_this_process() -> None:
    at = desk()
    opened = at.open.open(NAME)
    assert is_here(at, opened)
    assert (opened.name, f"{opened.name}@{opened.commit}") == ("mlx-community/tiny-4bit", pinned(TINY))
    assert opened.passed_over == ()
    assert opened.limits.default_max_tokens is None
    opened.close()
    assert at.engine.closed


def test_a_running_server_is_asked_for_exactly_this_commit() -> None:
    at = desk(SERVER)
    opened = at.open.open(NAME)
    assert (opened.server, opened.passed_over) == (SERVER, ())
    assert at.attachment.opened == [(SERVER, pinned(TINY))]
    assert at.loader.loaded == []
    assert at.budgets == [5000]
    assert opened.limits.default_max_tokens == 4096


def test_to_close_what_a_server_holds_leaves_it_there() -> None:
    at = desk(SERVER)
    at.open.open(NAME).close()
    assert [held.model for held in at.attachment.held(SERVER).models] == ["mlx-community/tiny-4bit"]


@pytest.mark.parametrize(
    "options", [OpenOptions(local=True), OpenOptions(trust_remote_code=True), OpenOptions(force_load=True)]
)
def test_no_server_is_asked_when_it_shall_not_or_could_not_do_as_told(options: OpenOptions) -> None:
    at = desk(SERVER)
    assert is_here(at, at.open.open(NAME, options))


def test_a_server_of_another_cache_is_none_of_ours() -> None:
    at = desk(ELSEWHERE)
    opened = at.open.open(NAME)
    assert is_here(at, opened)
    assert opened.passed_over == ()


def test_a_server_of_another_version_is_passed_over_with_a_note() -> None:
    at = desk(OUTDATED)
    opened = at.open.open(NAME)
    assert is_here(at, opened)
    assert opened.passed_over == ("The server on port 8002 is version 1.0 and this is 2.0; start it again",)


def test_a_server_that_cannot_be_reached_is_passed_over_with_a_note() -> None:
    at = desk(SERVER)
    at.attachment.gone.add(SERVER.url)
    opened = at.open.open(NAME)
    assert is_here(at, opened)
    assert opened.passed_over == ("The server at http://127.0.0.1:8000 cannot be reached",)


def test_the_next_server_takes_the_place_of_one_that_is_gone() -> None:
    at = desk(SECOND, OUTDATED, SERVER)
    at.attachment.gone.add(SERVER.url)
    opened = at.open.open(NAME)
    assert opened.server == SECOND
    assert len(opened.passed_over) == 2
    assert at.loader.loaded == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("This server does not offer it", "This server does not offer it; to load it in this process, add --local"),
        ("No 'x'; did you mean y?", "No 'x'; did you mean y? To load it in this process, add --local"),
    ],
)
def test_what_a_server_refuses_is_told_with_the_way_around_it(
    monkeypatch: pytest.MonkeyPatch, words: str, message: str
) -> None:
    def refuse(*_: object) -> None:
        raise ModelNotFound(words)

    at = desk(SERVER, SECOND)
    monkeypatch.setattr(at.attachment, "open", refuse)
    error = refusal(at)
    assert isinstance(error, ModelNotFound)
    assert error.message == message
    assert at.loader.loaded == []


@pytest.mark.parametrize(
    ("model", "reason"),
    [(sick_model(Pathology.TRUNCATED_SHARD), "is truncated"), (gguf_model("org/tiny-4bit"), "GGUF")],
)
def test_no_server_is_asked_for_a_model_that_is_unfit(model: StoredModel, reason: str) -> None:
    at = desk(SERVER, model=model)
    error = refusal(at)
    assert isinstance(error, OperationError)
    assert reason in error.message
    assert (at.attachment.opened, at.loader.loaded) == ([], [])


def test_memory_counts_only_for_what_is_loaded_here() -> None:
    small = MemoryMachine(100, None)
    assert desk(SERVER, machine=small).open.open(NAME).server == SERVER
    assert isinstance(refusal(desk(machine=small)), NotEnoughMemory)


def test_the_answer_that_must_fit_counts_before_loading() -> None:
    model = with_files(TINY, {"config.json": document({**CONFIG, "num_key_value_heads": 4})})
    at = desk(model=model, machine=MemoryMachine(None, 200_000))
    assert isinstance(refusal(at, options=OpenOptions(least_tokens=2000)), NotEnoughMemory)
    assert at.loader.loaded == []
    at.open.open(NAME, OpenOptions(least_tokens=10))


def test_a_prefix_cache_takes_its_share_of_what_requests_would_have() -> None:
    at = desk(machine=MemoryMachine(None, WEIGHTS + 1000))
    at.open.open(NAME)
    at.open.open(NAME, OpenOptions(prefix_cache=True))
    sizes = [options.prefix_cache_bytes for _, options in at.loader.loaded]
    assert sizes == [0, int((WEIGHTS + 1000 - WEIGHTS * 1.1) / 4)]
    assert at.budgets == [800, int((1000 - sizes[1]) * 0.8)]


def test_a_forced_model_has_no_bounds_and_a_prefix_cache_all_the_same() -> None:
    at = desk(machine=MemoryMachine(100, None))
    at.open.open(NAME, OpenOptions(force_load=True, prefix_cache=True))
    assert at.budgets == [None]
    ((_, options),) = at.loader.loaded
    assert (options.prefix_cache_bytes, options.memory_limit) == (10**9, None)


@pytest.mark.parametrize("running", [(), (SERVER,)])
def test_whoever_waits_hears_what_goes_on_wherever_it_is_loaded(running: tuple[RunningServer, ...]) -> None:
    heard: list[Loading | Stepped] = []
    desk(*running).open.open(NAME, OpenOptions(), heard.append)
    assert heard == [Loading("reading the script")]


def test_an_engine_is_closed_when_its_gate_cannot_be_made(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: MemoryEngine) -> None:
        raise OperationError("It says nothing of itself")

    at = desk()
    monkeypatch.setattr(MemoryEngine, "info", fail)
    assert refusal(at).message == "It says nothing of itself"
    assert at.engine.closed
