"""A model in a child process: whatever happens to the process, callers meet a typed error in time and a new worker."""

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from mlxk2.adapters.worker.engine import WorkerEngine, WorkerLoader
from mlxk2.adapters.worker.watchdog import Patience
from mlxk2.ports.engine import EngineStats, Loading, LoadOptions, Stepped, Watch, unwatched
from mlxk2.ports.errors import EngineFailure, NotEnoughMemory, OperationError, ValidationError
from mlxk2.ports.generation import Delta, Event, Finished, FinishReason, GenerationRequest
from mlxk2.testing.contracts.engine import Listener, text_of

CHILDREN = Path(__file__).parents[1] / "worker_children"
SCRIPTED = [sys.executable, str(CHILDREN / "scripted.py")]
QUICK = Patience(silence=4, hang=2, load=4)
"""Silence and loading include the start of a Python interpreter, perhaps on a busy machine."""
CALM = Patience()

Load = Callable[..., WorkerEngine]


@pytest.fixture
def load() -> Iterator[Load]:
    """Loads "a model" with the scripted worker unless told otherwise; closes everything afterwards."""
    with ExitStack() as opened:

        def load(
            location: str = "a model",
            *,
            command: Sequence[str] = SCRIPTED,
            patience: Patience = CALM,
            watch: Watch = unwatched,
        ) -> WorkerEngine:
            engine = WorkerLoader(command, patience).load(location, LoadOptions(), watch)
            return opened.enter_context(closing(engine))

        yield load


@pytest.fixture
def counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the scripted worker counts the loads, when the location tells it to."""
    monkeypatch.setenv("WORKER_COUNTS", str(tmp_path / "counts"))
    return tmp_path / "counts"


def misbehaving(manner: str) -> list[str]:
    return [sys.executable, str(CHILDREN / "misbehaving.py"), manner]


def request(prompt: str, max_tokens: int = 200) -> GenerationRequest:
    return GenerationRequest(tuple(map(ord, prompt)), max_tokens)


def endless(engine: WorkerEngine) -> Listener:
    """A request that runs."""
    listener = Listener(engine, request("!endless", 10**6))
    listener.wait_for(Delta)
    return listener


def answers(engine: WorkerEngine) -> bool:
    listener = Listener(engine, request("hello"))
    return isinstance(listener.end(), Finished) and listener.text == "You asked: hello"


def state(process_id: int) -> str:
    """As `ps` shows it, Z for a process that is over and that nobody has waited for; empty when there is none."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(process_id)], capture_output=True, text=True, check=False)
    return shown.stdout.strip()


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it becomes true within a minute."""
    deadline = time.monotonic() + 60
    while not (true := holds()) and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    return true


@pytest.fixture
def mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that the scripted worker makes when it begins to do what a prompt demands."""
    monkeypatch.setenv("WORKER_MARK", str(tmp_path / "mark"))
    return tmp_path / "mark"


# Death while it works.


@pytest.mark.parametrize(
    ("order", "how"),
    [
        ("!signal SIGKILL", "was killed by the system, probably out of memory"),
        ("!signal SIGSEGV", f"crashed with signal 11 ({signal.strsignal(11)})"),
        ("!signal SIGTERM", f"crashed with signal 15 ({signal.strsignal(15)})"),
        ("!exit 3", "ended with exit code 3"),
        ("!exit 0", "ended with exit code 0"),
    ],
)
def test_the_death_of_a_worker_fails_its_requests_and_says_how_it_died(load: Load, order: str, how: str) -> None:
    engine = load()
    bystander = endless(engine)
    fatal = Listener(engine, request(order))
    for listener in (fatal, bystander):
        error = listener.failure()
        assert isinstance(error, EngineFailure)
        assert error.message == f"The model's process {how}: send the request again, and a new process loads the model"


def test_a_worker_killed_from_outside_is_noticed_without_waiting_for_its_silence(load: Load) -> None:
    engine = load()
    running = [endless(engine) for _ in range(3)]
    assert engine.process_id is not None
    os.kill(engine.process_id, signal.SIGKILL)
    assert all("killed by the system" in listener.failure().message for listener in running)


def test_the_next_request_starts_a_new_worker_and_loads_the_model_again(load: Load) -> None:
    seen: queue.SimpleQueue[Loading | Stepped] = queue.SimpleQueue()
    engine = load(watch=seen.put)
    Listener(engine, request("!exit 1")).failure()
    assert engine.process_id is None
    assert answers(engine)
    assert engine.stats().restarts == 1
    stages = [seen.get() for _ in range(seen.qsize())].count(Loading("reading the script"))
    assert stages == 2


def test_a_call_starts_a_new_worker_too(load: Load) -> None:
    engine = load()
    Listener(engine, request("!exit 1")).failure()
    assert engine.tokenize("ab") == [97, 98]


def test_looking_at_the_numbers_starts_none(load: Load) -> None:
    engine = load()
    Listener(engine, request("!exit 1")).failure()
    assert engine.stats().restarts == 0
    assert engine.process_id is None


def test_what_is_started_while_the_model_loads_again_waits_without_blocking(load: Load) -> None:
    engine = load()
    Listener(engine, request("!exit 1")).failure()
    listeners = [Listener(engine, request(f"question {number}")) for number in range(5)]
    assert [listener.finished() and listener.text for listener in listeners] == [
        f"You asked: question {number}" for number in range(5)
    ]
    assert engine.stats().restarts == 1


def test_a_dead_worker_leaves_no_zombie(load: Load) -> None:
    engine = load()
    first = engine.process_id
    assert first is not None
    Listener(engine, request("!exit 1")).failure()
    assert answers(engine)
    assert state(first) == ""


def test_the_details_are_the_end_of_what_the_worker_printed_and_nothing_else_shows_it(
    load: Load, capfd: pytest.CaptureFixture[str]
) -> None:
    engine = load()
    assert isinstance(Listener(engine, request("!print the last words")).end(), Finished)
    error = Listener(engine, request("!exit 1")).failure()
    assert error.details is not None
    assert error.details.endswith("the last words")
    assert len(error.details) <= 8192
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("secret", ["hf_" + "s" * 30, "hf_" + "s" * 10_000, "Bearer " + "s" * 8_150])
def test_a_secret_that_the_worker_printed_is_in_no_error_not_even_a_part_of_it(load: Load, secret: str) -> None:
    engine = load()
    Listener(engine, request(f"!print {secret} was the token")).end()
    error = Listener(engine, request("!exit 1")).failure()
    assert str(error.details).endswith("the token")
    assert "ss" not in str(error.details)


def test_the_worker_does_not_know_the_secrets_of_its_parents_environment_and_keeps_off_the_hub(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HUGGINGFACE_TOKEN", "AWS_SECRET_ACCESS_KEY", "proxy_password")
    for name in (*secret, "TOKENIZERS_PARALLELISM"):
        monkeypatch.setenv(name, "true")
    engine = load()
    variables = [f"${name}" for name in secret]
    Listener(engine, request(f"!print {' '.join(variables)} $TOKENIZERS_PARALLELISM $HF_HUB_OFFLINE")).end()
    told = str(Listener(engine, request("!exit 1")).failure().details).split()
    assert told[-7:] == [*variables, "true", "1"]  # what is unknown stays as it was written


def test_a_failure_of_one_request_is_no_death(load: Load) -> None:
    engine = load()
    bystander = endless(engine)
    before = engine.process_id
    assert "no luck" in Listener(engine, request("!fail no luck")).failure().message
    assert engine.process_id == before
    assert not bystander.has_ended


# Hangs.


def test_a_worker_whose_engine_hangs_is_killed_and_its_requests_fail(load: Load) -> None:
    engine = load(patience=QUICK)
    hung = engine.process_id
    assert hung is not None
    listeners = [Listener(engine, request("!hang")), Listener(engine, request("hello"))]
    for listener in listeners:
        assert "made no step for 2 seconds" in listener.failure().message
    assert answers(engine)
    assert state(hung) == ""


def test_a_stopped_worker_is_killed_and_its_requests_fail(load: Load) -> None:
    engine = load(patience=Patience(silence=3))
    assert "no sign of life for 3 seconds" in Listener(engine, request("!signal SIGSTOP")).failure().message
    assert answers(engine)


def test_an_idle_worker_is_left_alone(load: Load) -> None:
    engine = load(patience=QUICK)
    before = engine.process_id
    threading.Event().wait(QUICK.hang + 1)
    assert engine.process_id == before
    assert answers(engine)


def test_a_call_that_is_never_answered_ends_in_a_failure(load: Load) -> None:
    engine = load(command=misbehaving("deaf"), patience=QUICK)
    with pytest.raises(EngineFailure, match="left a call unanswered for 2 seconds"):
        engine.tokenize("hello")


def test_a_worker_that_always_has_calls_to_answer_is_left_alone(load: Load) -> None:
    engine = load(patience=QUICK)
    before = engine.process_id
    enough = time.monotonic() + QUICK.hang + 1

    def ask_on_and_on(text: str) -> bool:
        while time.monotonic() < enough:
            engine.tokenize(text)
        return True

    with ThreadPoolExecutor(4) as callers:
        assert all(callers.map(ask_on_and_on, ["hello" * 20_000] * 4))
    assert engine.process_id == before


def test_the_death_of_the_worker_wakes_whoever_waits_for_a_call(load: Load) -> None:
    engine = load(command=misbehaving("deaf"))
    process_id = engine.process_id
    assert process_id is not None
    threading.Timer(0.1, os.kill, (process_id, signal.SIGKILL)).start()
    with pytest.raises(EngineFailure, match="killed"):
        engine.detokenize([1])


# Calls.


@pytest.mark.parametrize("exception", ["SystemExit", "RuntimeError"])
def test_whatever_a_call_raises_is_told_to_its_caller_and_the_next_is_answered(load: Load, exception: str) -> None:
    engine = load()
    before = engine.process_id
    with pytest.raises(EngineFailure, match=f"{exception}: no such luck"):
        engine.tokenize(f"!raise {exception}")
    assert engine.tokenize("ab") == [97, 98]
    assert engine.process_id == before


def test_requests_and_cancellations_do_not_wait_for_a_call(load: Load, tmp_path: Path) -> None:
    engine = load()
    done = tmp_path / "done"
    with ThreadPoolExecutor(1) as caller:
        slow = caller.submit(engine.tokenize, f"!until {done}")
        running = endless(engine)
        assert answers(engine)
        engine.cancel(running.request_id)
        assert running.finished().reason is FinishReason.CANCELLED
        assert not slow.done()
        done.touch()
        assert slow.result(60)


def test_calls_that_no_socket_takes_at_once_are_answered_whoever_else_asks(load: Load) -> None:
    engine = load()
    letters = "abcdef"
    with ThreadPoolExecutor(len(letters)) as callers:
        asked = [callers.submit(engine.tokenize, letter * 1_000_000) for letter in letters]
        assert answers(engine)
        answered = [call.result(60) for call in asked]
    assert [(len(tokens), set(tokens)) for tokens in answered] == [(1_000_000, {ord(letter)}) for letter in letters]


def test_a_text_that_would_occupy_the_worker_for_long_is_refused_with_the_limit(load: Load) -> None:
    with pytest.raises(ValidationError, match="bytes, and 8388608 is the limit"):
        load().tokenize("x" * 9_000_000)


# Loading.


def test_the_loaders_own_error_comes_out_as_it_is(load: Load) -> None:
    with pytest.raises(NotEnoughMemory) as refused:
        load("refuse")
    assert (refused.value.needed_bytes, refused.value.limit_bytes) == (9, 4)


@pytest.mark.parametrize("exception", ["RuntimeError", "SystemExit"])
def test_an_unexpected_exception_of_the_loader_is_told_with_its_place(load: Load, exception: str) -> None:
    with pytest.raises(EngineFailure, match=f"{exception}: no such luck") as failed:
        load(f"raise:{exception}")
    assert "scripted.py" in str(failed.value.details)


def test_a_worker_that_dies_over_the_first_load_is_an_error_at_once(load: Load, counts: Path) -> None:
    with pytest.raises(EngineFailure, match="ended with exit code 7 while it loaded the model"):
        load("exit-from:1")
    assert len(counts.read_text().split()) == 1


def test_the_reason_that_a_dying_loader_printed_is_in_the_details(load: Load) -> None:
    with pytest.raises(EngineFailure) as failed:
        load("exit")
    assert failed.value.details == "about to exit"


def test_a_load_without_progress_is_ended(load: Load) -> None:
    with pytest.raises(EngineFailure, match="made no progress for 4 seconds"):
        load("hang", patience=QUICK)


def test_a_worker_that_dies_once_while_it_loads_again_gets_a_second_try(load: Load, counts: Path) -> None:
    engine = load("exit-at:2")
    Listener(engine, request("!exit 1")).failure()
    assert answers(engine)
    assert len(counts.read_text().split()) == 3


def test_a_worker_that_dies_twice_while_it_loads_again_fails_what_waits(load: Load, counts: Path) -> None:
    engine = load("exit-from:2")
    Listener(engine, request("!exit 1")).failure()
    waiting = [Listener(engine, request("hello")) for _ in range(3)]
    for listener in waiting:
        error = listener.failure()
        assert isinstance(error, EngineFailure)
        assert "ended with exit code 7 while it loaded the model" in error.message
    assert len(counts.read_text().split()) in (3, 5)  # a request that came after the failure has two tries of its own


def test_a_program_that_is_gone_at_the_second_try_fails_what_waits_and_not_who_comes_later(
    load: Load, tmp_path: Path
) -> None:
    program = tmp_path / "worker"
    good = f'exec "{SCRIPTED[0]}" "{SCRIPTED[1]}" "$@"'
    write_program(program, good)
    engine = load(command=[str(program)])
    Listener(engine, request("!exit 1")).failure()
    write_program(program, 'rm "$0"; exit 7')
    assert "cannot be started" in Listener(engine, request("hello")).failure().message
    write_program(program, good)
    assert answers(engine)


def write_program(path: Path, line: str) -> None:
    path.write_text(f"#!/bin/sh\n{line}\n")
    path.chmod(0o755)


@pytest.mark.usefixtures("counts")
def test_a_request_can_be_cancelled_while_the_model_loads_again(load: Load) -> None:
    engine = load("hang-from:2")
    Listener(engine, request("!exit 1")).failure()
    waiting = Listener(engine, request("hello"))
    engine.cancel(waiting.request_id)
    end = waiting.finished()
    assert (end.reason, end.prompt_tokens, end.generated_tokens) == (FinishReason.CANCELLED, 5, 0)


@pytest.mark.usefixtures("counts")
def test_closing_ends_a_load_that_is_under_way(load: Load) -> None:
    engine = load("hang-from:2")
    Listener(engine, request("!exit 1")).failure()
    waiting = Listener(engine, request("hello"))
    engine.close()
    assert waiting.finished().reason is FinishReason.CANCELLED


def test_a_location_that_is_no_utf8_arrives_as_it_is(load: Load) -> None:
    assert answers(load("snapshot-\udcff"))


# Workers that are none.


@pytest.mark.parametrize(
    ("manner", "how"),
    [
        ("garbage", "said something that is no message"),
        ("impolite", "said something that is no message"),
        ("hangs_up", "closed its connection"),
        ("silent", "gave no sign of life"),
    ],
)
def test_a_program_that_is_no_worker_is_told_apart(load: Load, manner: str, how: str) -> None:
    with pytest.raises(EngineFailure, match=how):
        load(command=misbehaving(manner), patience=QUICK)


@pytest.mark.parametrize("manner", ["other_protocol", "other_version"])
def test_a_worker_of_another_version_is_refused_with_the_next_step(load: Load, manner: str) -> None:
    with pytest.raises(OperationError, match="updated meanwhile; start it again") as refused:
        load(command=misbehaving(manner))
    assert not isinstance(refused.value, EngineFailure)


def test_a_program_that_does_not_exist_is_an_error(load: Load) -> None:
    with pytest.raises(OperationError, match="cannot be started"):
        load(command=["/no/such/program"])


@pytest.mark.parametrize("manner", ["wrong_answers", "wrong_events"])
def test_nonsense_in_mid_conversation_ends_the_worker_and_not_the_parent(load: Load, manner: str) -> None:
    engine = load(command=misbehaving(manner))
    running = Listener(engine, GenerationRequest((1,), 5))
    assert "no message" in running.failure().message if manner == "wrong_events" else True
    with pytest.raises(EngineFailure, match="no message"):
        engine.tokenize("hello")


# The end.


def test_closing_cancels_what_runs_and_leaves_no_process(load: Load) -> None:
    engine = load()
    running = [endless(engine) for _ in range(3)]
    process_id = engine.process_id
    assert process_id is not None
    engine.close()
    ends_ = [listener.finished() for listener in running]
    assert {end.reason for end in ends_} == {FinishReason.CANCELLED}
    assert all(end.generated_tokens > 0 for end in ends_)
    assert state(process_id) == ""


def test_a_worker_that_does_not_close_is_killed_and_its_requests_are_cancelled(load: Load, mark: Path) -> None:
    engine = load(patience=Patience(close=0.3))
    hung = Listener(engine, request("!hang"))
    assert eventually(mark.exists)
    process_id = engine.process_id
    assert process_id is not None
    engine.close()
    assert hung.finished().reason is FinishReason.CANCELLED
    assert state(process_id) == ""


def test_a_sink_may_close_the_engine(load: Load) -> None:
    engine = load()
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def sink(event: Event) -> None:
        heard.put(event)
        engine.close()

    engine.start(request("!endless", 10**6), sink)
    engine.close()
    last = [heard.get() for _ in range(heard.qsize())][-1]
    assert isinstance(last, Finished)
    assert last.reason is FinishReason.CANCELLED


def test_a_worker_outlives_the_thread_that_asked_for_it(load: Load) -> None:
    loaded: queue.SimpleQueue[WorkerEngine] = queue.SimpleQueue()
    asking = threading.Thread(target=lambda: loaded.put(load()))
    asking.start()
    asking.join()
    engine = loaded.get()
    assert answers(engine)
    assert engine.stats().restarts == 0


def test_the_worker_has_a_session_of_its_own_where_no_ctrl_c_of_the_terminal_reaches_it(load: Load) -> None:
    engine = load()
    assert engine.process_id is not None
    assert os.getsid(engine.process_id) == engine.process_id != os.getsid(0)


@pytest.mark.parametrize("prompt", ["!endless", "!hang"])
@pytest.mark.parametrize("options", [(), ("--unbound",)])
def test_a_worker_ends_when_its_parent_is_killed(mark: Path, prompt: str, options: tuple[str, ...]) -> None:
    assert _ends_with_its_parent(mark, prompt, *options)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel ends a stuck worker on Linux only")
@pytest.mark.parametrize("prompt", ["!signal SIGSTOP", "!native"])
def test_even_a_worker_that_cannot_run_python_ends_when_its_parent_is_killed(mark: Path, prompt: str) -> None:
    assert _ends_with_its_parent(mark, prompt)


def _ends_with_its_parent(mark: Path, prompt: str, *options: str) -> bool:
    command = [sys.executable, str(CHILDREN / "parent.py"), prompt, *SCRIPTED, *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        worker = int(parent.stdout.readline())
        assert eventually(mark.exists)
        assert state(worker)[:1] not in ("Z", "")
        parent.kill()
    ended = eventually(lambda: state(worker)[:1] in ("Z", ""))
    if not ended:
        os.kill(worker, signal.SIGKILL)
    return ended


# Careless callers.


def test_asking_from_a_sink_is_refused_with_the_next_step(load: Load) -> None:
    engine = load()
    refused: queue.SimpleQueue[OperationError] = queue.SimpleQueue()

    def sink(event: Event) -> None:
        if isinstance(event, Finished):
            for ask in (lambda: engine.tokenize("a"), lambda: engine.detokenize([1]), lambda: engine.render([])):
                with pytest.raises(OperationError) as error:
                    ask()
                refused.put(error.value)

    engine.start(request("hello"), sink)
    messages = [refused.get(timeout=60).message for _ in range(3)]
    assert all("hand the event to another thread and call from there" in message for message in messages)
    assert [message.split()[8] for message in messages] == ["tokenize,", "detokenize,", "render,"]


def test_the_numbers_in_a_sink_count_its_own_end(load: Load) -> None:
    engine = load()
    seen: queue.SimpleQueue[EngineStats] = queue.SimpleQueue()

    def sink(event: Event) -> None:
        if isinstance(event, Finished):
            seen.put(engine.stats())

    engine.start(request("hello"), sink)
    stats = seen.get(timeout=60)
    assert (stats.prompt_tokens, stats.generated_tokens, stats.decoding) == (5, len("You asked: hello") + 1, 0)


@pytest.mark.parametrize("exception", [RuntimeError, SystemExit])
def test_a_watch_that_raises_harms_nobody_even_while_the_model_loads(
    load: Load, exception: type[BaseException]
) -> None:
    def careless(what: Loading | Stepped) -> None:
        raise exception(what)

    engine = load(watch=careless)
    assert answers(engine)
    assert answers(engine)


def test_a_sink_that_asks_the_program_to_end_ends_its_own_request_alone(load: Load) -> None:
    engine = load()
    engine.start(request("hello"), lambda _: sys.exit("enough"))
    assert answers(engine)


class Unreadable(GenerationRequest):
    """A request that cannot even be looked at."""

    def __getattribute__(self, name: str) -> object:
        raise RuntimeError(name)


def test_what_is_no_request_at_all_fails_alone(load: Load) -> None:
    engine = load()
    bystander = endless(engine)
    assert "RuntimeError" in Listener(engine, Unreadable((1,), 1)).failure().message
    assert answers(engine)
    assert not bystander.has_ended


class Defective(Sequence[str]):
    """A command that breaks whoever looks at it from the moment it is told to, as a defect of the program might."""

    def __init__(self) -> None:
        self.breaks = False

    def __len__(self) -> int:
        return len(SCRIPTED)

    def __getitem__(self, place: Any) -> Any:
        if self.breaks:
            raise SystemExit("a defect")
        return SCRIPTED[place]


def test_a_defect_of_the_parents_own_thread_fails_those_who_wait_and_those_who_come_later(load: Load) -> None:
    command = Defective()
    engine = load(command=command)
    Listener(engine, request("!exit 1")).failure()
    command.breaks = True
    assert "SystemExit: a defect" in Listener(engine, request("hello")).failure().message
    assert "closed" in Listener(engine, request("hello")).failure().message
    with pytest.raises(EngineFailure, match="closed"):
        engine.tokenize("hello")
    assert engine.stats().waiting == 0
    engine.close()


# Many requests and slow readers.


def test_events_keep_their_order_and_none_is_lost_when_the_parent_is_slow_to_read(load: Load) -> None:
    engine = load()
    may_go_on = threading.Event()
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def sink(event: Event) -> None:
        heard.put(event)
        may_go_on.wait()

    engine.start(request("!endless", 50_000), sink)
    heard.get()
    may_go_on.set()
    events: list[Event] = []
    while not events or not isinstance(events[-1], Finished):
        events.append(heard.get(timeout=60))
    assert [event.generated_tokens for event in events if isinstance(event, Delta)] == list(range(1, 50_001))
    assert text_of(events) == "x" * 50_000


def test_a_sink_that_takes_its_time_is_not_held_against_the_worker(load: Load) -> None:
    engine = load(patience=QUICK)
    before = engine.process_id
    slow = threading.Event()
    heard: queue.SimpleQueue[Event] = queue.SimpleQueue()

    def sink(event: Event) -> None:
        if not slow.is_set():
            slow.set()
            threading.Event().wait(QUICK.silence + 1)
        heard.put(event)

    engine.start(request("hello"), sink)
    events = [heard.get(timeout=60) for _ in range(1 + len("You asked: hello") + 1)]
    assert isinstance(events[-1], Finished)
    assert answers(engine)
    assert engine.process_id == before


def test_a_prompt_larger_than_any_buffer_reaches_the_worker(load: Load) -> None:
    engine = load()
    text = "word " * 200_000
    assert engine.detokenize(engine.tokenize(text)) == text
    assert Listener(engine, request(text, 15)).finished().prompt_tokens == len(text)
