"""Telling of a transfer: lines, events, bars, and the numbers in them."""

import io
import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from types import SimpleNamespace
from typing import Any

import jsonschema
import pytest

from mlxk2.adapters.memory import MemoryHub, MemoryRepo
from mlxk2.adapters.memory.source import MemoryContent, source_file
from mlxk2.domain.names import parse_hub_reference
from mlxk2.domain.usecases.pull_model import Preflight
from mlxk2.entrypoints.cli import progress, progress_events
from mlxk2.entrypoints.cli.meter import Meter
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.progress import Calm, LineReporter, reporter
from mlxk2.entrypoints.cli.progress_bars import BarReporter
from mlxk2.entrypoints.cli.progress_events import EventReporter
from mlxk2.ports.sources import SourceModel
from mlxk2.ports.transfer import Checked, FileState, Moving, Waiting
from mlxk2.testing import MemoryCache, Run, encoder_model, healthy_model, memory_program
from mlxk2.testing.plugin import CommandLine
from tests.conftest import check_against

NAME = "mlx-community/tiny"
FILES = {path: file.content for path, file in next(iter(healthy_model(NAME).revisions.values())).files.items()}
SIZE = sum(len(content) for content in FILES.values())
COMMIT = MemoryRepo({"main": FILES}).commit("main")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def output(err: io.StringIO, *, jsonl: bool = False, json: bool = False, term: str = "xterm") -> Output:
    return Output(json=json, jsonl=jsonl, environ={"TERM": term}, out=io.StringIO(), err=err)


def preflight(missing: int = 300, *, is_done: bool = False) -> Preflight:
    """A pull of two files of 100 and 200 bytes."""
    files = tuple(source_file(path, bytes(size)) for path, size in (("config.json", 100), ("model.safetensors", 200)))
    model = SourceModel("org/model", "a1" * 20, files, MemoryContent({}))
    return Preflight(parse_hub_reference("org/model"), model, files, missing, None, is_done, verifies=False)


def moving(here: int, *, total: int = 4000, hashed: int = 0, running: tuple[FileState, ...] = ()) -> Moving:
    return Moving(total, here, hashed, here, running)


class Clock:
    """Shows the seconds that a test says."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in (progress, progress_events):
        monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic))
    return clock


class TestMeter:
    def test_nothing_is_known_before_something_has_moved(self) -> None:
        meter = Meter()
        assert (meter.bytes_per_second, meter.seconds_left(100)) == (None, None)
        meter.add(0.0, 0)
        assert (meter.bytes_per_second, meter.seconds_left(100)) == (None, None)
        meter.add(0.0, 50)
        assert (meter.bytes_per_second, meter.seconds_left(100)) == (None, None)

    def test_the_speed_is_that_between_the_first_and_the_last_moment(self) -> None:
        meter = Meter()
        for now, fetched in ((10.0, 1000), (11.0, 1100), (14.0, 3000)):
            meter.add(now, fetched)
        assert meter.bytes_per_second == 500
        assert meter.seconds_left(2000) == 4
        assert meter.seconds_left(0) == 0

    def test_only_the_last_seconds_count(self) -> None:
        meter = Meter()
        for second in range(100):
            meter.add(float(second), second * 1000)
        for second in range(100, 109):
            meter.add(float(second), 99_000 + (second - 99) * 10)
        assert meter.bytes_per_second == 10

    def test_when_nothing_comes_any_more_nobody_knows_how_long_it_takes(self) -> None:
        meter = Meter()
        for second in range(20):
            meter.add(float(second), 1000)
        assert (meter.bytes_per_second, meter.seconds_left(100)) == (0, None)


class TestChoice:
    @pytest.mark.parametrize(
        ("out", "kind"),
        [
            (output(Terminal()), BarReporter),
            (output(Terminal(), json=True), BarReporter),
            (output(Terminal(), term="dumb"), LineReporter),
            (output(io.StringIO()), LineReporter),
            (output(Terminal(), jsonl=True), EventReporter),
            (output(io.StringIO(), jsonl=True), EventReporter),
        ],
    )
    def test_bars_are_for_terminals_events_for_programs_and_lines_for_the_rest(self, out: Output, kind: type) -> None:
        assert type(reporter(out)) is kind


class TestLines:
    @pytest.fixture
    def err(self) -> io.StringIO:
        return io.StringIO()

    @pytest.fixture
    def told(self, clock: Clock, err: io.StringIO) -> LineReporter:
        del clock  # stands before the reporter looks at it
        return LineReporter(output(err))

    @pytest.mark.parametrize(
        ("plan", "line"),
        [
            (preflight(), "Pulling org/model: 2 files, 300 B\n"),
            (preflight(200), "Pulling org/model: 2 files, 300 B, 100 B of it already here\n"),
            (preflight(0), "Pulling org/model: 2 files, 300 B, 300 B of it already here\n"),
            (preflight(0, is_done=True), ""),
        ],
    )
    def test_the_first_line_says_what_will_come(
        self, told: LineReporter, err: io.StringIO, plan: Preflight, line: str
    ) -> None:
        told.start(plan)
        assert err.getvalue() == line

    def test_each_file_is_told_when_it_is_done(self, told: LineReporter, err: io.StringIO) -> None:
        told.watch(Checked("model.safetensors", fetched=True))
        told.watch(Checked("config\x1b[31m.json", fetched=False))
        assert err.getvalue() == ("  model.safetensors: fetched and verified\n  config\\x1b[31m.json: verified\n")

    @pytest.mark.parametrize(
        ("what", "words"),
        [
            ("", "waiting for it to finish"),
            ("model.safetensors", "waiting for model.safetensors to be finished"),
            ("a\x1b.json", "waiting for a\\x1b.json to be finished"),
        ],
    )
    def test_waiting_for_another_program_is_told(
        self, told: LineReporter, err: io.StringIO, what: str, words: str
    ) -> None:
        told.watch(Waiting(what))
        assert err.getvalue() == f"Another program is downloading this model; {words}\n"

    def test_notices_are_lines_too(self, told: LineReporter, err: io.StringIO) -> None:
        told.notice("The Hub asks to slow down (HTTP 429); trying again in 30 s")
        assert err.getvalue() == "The Hub asks to slow down (HTTP 429); trying again in 30 s\n"

    def test_every_five_seconds_a_line_says_how_far_it_is(
        self, told: LineReporter, err: io.StringIO, clock: Clock
    ) -> None:
        for tenth in range(121):
            clock.now = 1000.0 + tenth / 10
            told.watch(moving(tenth * 20))
        assert err.getvalue() == (
            "  25%: 1.0 KB of 4.0 KB, 200 B/s, 15 s left\n  50%: 2.0 KB of 4.0 KB, 200 B/s, 10 s left\n"
        )

    def test_a_pace_that_is_not_known_is_left_out(self, told: LineReporter, err: io.StringIO, clock: Clock) -> None:
        clock.now += 5
        told.watch(moving(1000))
        clock.now += 5
        told.watch(moving(1000))
        assert err.getvalue() == "  25%: 1.0 KB of 4.0 KB\n" * 2

    def test_a_model_without_bytes_is_complete(self, told: LineReporter, err: io.StringIO, clock: Clock) -> None:
        clock.now += 5
        told.watch(moving(0, total=0))
        assert err.getvalue() == "  100%: 0 B of 0 B\n"


class TestEvents:
    @pytest.fixture
    def out(self) -> io.StringIO:
        return io.StringIO()

    @pytest.fixture
    def told(self, clock: Clock, out: io.StringIO) -> EventReporter:
        del clock  # stands before the reporter looks at it
        return EventReporter(Output(json=False, jsonl=True, environ={}, out=out, err=Terminal()))

    def test_every_event_is_a_line_as_published(
        self, told: EventReporter, out: io.StringIO, schema: jsonschema.Draft202012Validator
    ) -> None:
        told.start(preflight(200))
        told.notice("The Hub asks to slow down")
        told.watch(Waiting("model.safetensors"))
        told.watch(moving(10, hashed=5, running=(FileState("model.safetensors", 200, 10, 5),)))
        told.watch(Checked("model.safetensors", fetched=True))
        check_against(schema, out.getvalue())
        assert [json.loads(line) for line in out.getvalue().splitlines()] == [
            {
                "event": "start",
                "model": "org/model",
                "hash": "a1" * 20,
                "files": 2,
                "bytes_total": 300,
                "bytes_missing": 200,
            },
            {"event": "notice", "message": "The Hub asks to slow down"},
            {
                "event": "notice",
                "message": "Another program is downloading this model; waiting for model.safetensors to be finished",
            },
            {
                "event": "progress",
                "bytes_done": 10,
                "bytes_verified": 5,
                "bytes_total": 4000,
                "bytes_per_second": None,
                "seconds_left": None,
                "files": [{"name": "model.safetensors", "bytes_done": 10, "bytes_total": 200}],
            },
            {"event": "verify", "name": "model.safetensors", "fetched": True},
        ]

    def test_progress_is_told_twice_a_second_at_the_most(
        self, told: EventReporter, out: io.StringIO, clock: Clock
    ) -> None:
        for tenth in range(21):
            clock.now = 1000.0 + tenth / 10
            told.watch(moving(tenth * 20))
        events = [json.loads(line) for line in out.getvalue().splitlines()]
        assert [event["bytes_done"] for event in events] == [0, 100, 200, 300, 400]
        assert [event["bytes_per_second"] for event in events] == [None, 200, 200, 200, 200]
        assert [event["seconds_left"] for event in events] == [None, 20, 19, 18, 18]

    def test_a_model_with_nothing_to_do_is_started_too(self, told: EventReporter, out: io.StringIO) -> None:
        told.start(preflight(0, is_done=True))
        assert json.loads(out.getvalue())["bytes_missing"] == 0


@contextmanager
def bars(screen: io.StringIO) -> Iterator[BarReporter]:
    """A reporter whose standard error is the screen."""
    with redirect_stderr(screen), BarReporter(output(screen)) as told:
        yield told


def drawn(screen: io.StringIO) -> str:
    """What was on the screen at any time, without its colours and movements."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|\r", "", screen.getvalue())


class TestBars:
    @pytest.fixture
    def screen(self, monkeypatch: pytest.MonkeyPatch) -> Terminal:
        monkeypatch.setenv("COLUMNS", "100")
        monkeypatch.setenv("TERM", "xterm")
        return Terminal()

    def test_the_whole_and_every_file_under_way_have_a_bar_until_all_is_over(self, screen: Terminal) -> None:
        with bars(screen) as told:
            told.start(preflight())
            told.watch(moving(100, total=300, running=(FileState("model.safetensors", 200, 100, 0),)))
        assert drawn(screen).startswith("Pulling org/model: 2 files, 300 B\n")
        assert re.search(r"all files .* 100/300 bytes", drawn(screen))
        assert re.search(r"model\.safetensors .* 100/200 bytes", drawn(screen))
        assert screen.getvalue().endswith("\x1b[2K")  # the last line of the bars is wiped

    def test_a_file_that_is_done_has_no_bar_any_more(self, screen: Terminal) -> None:
        with bars(screen) as told:
            told.start(preflight())
            told.watch(moving(1, total=300, running=(FileState("one", 100, 1, 0), FileState("two", 200, 0, 0))))
            told.watch(Checked("one", fetched=True))
            told.watch(moving(150, total=300))
            screen.truncate(0)
        assert "one" not in drawn(screen)
        assert "two" not in drawn(screen)

    def test_when_all_bytes_are_here_the_bar_is_that_of_verifying(self, screen: Terminal) -> None:
        with bars(screen) as told:
            told.start(preflight(0))
            told.watch(moving(300, total=300, hashed=50))
        assert re.search(r"verifying .* 50/300 bytes", drawn(screen))

    def test_notices_stand_above_the_bars(self, screen: Terminal) -> None:
        with bars(screen) as told:
            told.start(preflight())
            told.notice("[bold]The Hub\x1b]0;title\x07 asks to slow down")
            told.watch(Waiting(""))
        assert "[bold]The Hub\\x1b]0;title\\x07 asks to slow down\n" in drawn(screen)
        assert "Another program is downloading this model; waiting for it to finish\n" in drawn(screen)
        assert "\x1b]0;" not in screen.getvalue()

    def test_a_long_name_shows_its_end(self, screen: Terminal) -> None:
        path = "a/very/long/path/" * 4 + "model-00001-of-00002.safetensors"
        with bars(screen) as told:
            told.start(preflight())
            told.watch(moving(1, total=300, running=(FileState(path, 200, 1, 0),)))
        assert "…" in drawn(screen)
        assert path not in drawn(screen)

    def test_nothing_is_drawn_when_there_is_nothing_to_do(self, screen: Terminal) -> None:
        with bars(screen) as told:
            told.start(preflight(0, is_done=True))
            told.watch(moving(1))
        assert screen.getvalue() == ""

    def test_the_bars_are_gone_when_it_fails(self, screen: Terminal) -> None:
        def failing() -> None:
            with bars(screen) as told:
                told.start(preflight())
                raise OSError("disk full")

        with pytest.raises(OSError, match="disk full"):
            failing()
        assert screen.getvalue().endswith("\x1b[2K")


class TestCommand:
    """`pull` as a whole, on a Hub in memory."""

    @pytest.fixture
    def pull(self, cli: CommandLine) -> Any:
        cache = MemoryCache()
        encoder = {path: file.content for path, file in next(iter(encoder_model().revisions.values())).files.items()}
        repos = {
            NAME: MemoryRepo({"main": dict(FILES), "v1": {**FILES, "README.md": b"old"}}),
            "org/gated": MemoryRepo(gated=True),
            "org/encoder": MemoryRepo({"main": encoder}),
        }
        return lambda *argv: cli("pull", *argv, services=memory_program(cache, hub=MemoryHub(repos)))

    def test_people_read_lines_on_standard_error_and_the_result_on_standard_output(self, pull: Any) -> None:
        run: Run = pull("tiny")
        assert run.err == (
            f"'tiny' means {NAME}\n"
            f"Pulling {NAME}: 5 files, {SIZE} B\n"
            + "".join(f"  {path}: fetched and verified\n" for path in sorted(FILES))
            + 'Run it with: mlxk2 run tiny "your question"\n'
        )
        assert re.fullmatch(
            rf"{NAME} is in the cache \(revision {COMMIT[:12]}\); 5 files verified, 5 of them fetched"
            rf" \({SIZE} B in \d\.\d s\)\n",
            run.out,
        )
        assert pull(NAME) == Run(0, f"{NAME} is already in the cache and healthy (revision {COMMIT[:12]})\n", "")

    def test_what_was_here_before_is_counted_apart(self, pull: Any) -> None:
        pull(NAME, "--exclude", "README.md", "--exclude", "config.json")
        fetched = len(FILES["README.md"]) + len(FILES["config.json"])
        run: Run = pull(NAME)
        assert re.fullmatch(
            rf"{NAME} is in the cache \(revision {COMMIT[:12]}\); 5 files verified, 2 of them fetched"
            rf" \({fetched} B in \d\.\d s\)\n",
            run.out,
        )
        assert pull(NAME, "--repair").out == (
            f"{NAME} is already in the cache and healthy (revision {COMMIT[:12]}; 5 files verified)\n"
        )

    def test_when_nothing_had_to_come_there_is_no_time(self, pull: Any) -> None:
        pull(NAME, "--revision", COMMIT)
        run: Run = pull(NAME)
        assert run.out == f"{NAME} is in the cache (revision {COMMIT[:12]}); 5 files verified, 0 of them fetched\n"
        assert run.err.endswith(f'Run it with: mlxk2 run {NAME} "your question"\n')

    @pytest.mark.parametrize("argv", [(f"{NAME}@v1",), (NAME, "--revision", "v1"), ("tiny@v1",)])
    def test_a_pinned_revision_is_told_by_the_name_that_other_commands_know(
        self, pull: Any, argv: tuple[str, ...]
    ) -> None:
        run: Run = pull(*argv)
        commit = json.loads(pull(*argv, "--json").out)["data"]["hash"]
        assert run.out.endswith(f" s); use it as {NAME}@{commit[:7]}\n")
        assert run.err.endswith(f'Run it with: mlxk2 run {NAME}@{commit[:7]} "your question"\n')
        assert pull(*argv).out == (
            f"{NAME} is already in the cache and healthy (revision {commit[:12]}); use it as {NAME}@{commit[:7]}\n"
        )
        assert pull(*argv).err == ("'tiny' means mlx-community/tiny\n" if argv[0].startswith("tiny") else "")

    def test_the_demo_has_one_name_only(self, pull: Any) -> None:
        assert "use it as" not in pull("demo@main").out

    def test_a_model_that_is_not_whole_is_told_and_nobody_is_sent_to_run_it(self, pull: Any) -> None:
        run: Run = pull(NAME, "--include", "config.json")
        assert re.fullmatch(
            rf"{NAME} is in the cache \(revision {COMMIT[:12]}\); 1 file verified, 1 of them fetched"
            rf" \({len(FILES['config.json'])} B in \d\.\d s\); as it is there, health calls it unhealthy: incomplete:"
            r" model\.safetensors is missing\n",
            run.out,
        )
        assert "Run it with" not in run.err

    def test_a_model_that_mlx_lm_cannot_run_is_told_and_nobody_is_sent_to_run_it(self, pull: Any) -> None:
        run: Run = pull("org/encoder")
        assert run.code == 0
        assert re.search(
            r" s\); it cannot be run here: mlx-lm .* has no architecture for model_type 'bert'\n$", run.out
        )
        assert "Run it with" not in run.err

    def test_whole_numbers_are_for_programs(self, pull: Any) -> None:
        first, again = (json.loads(pull(NAME, "--json").out)["data"] for _ in range(2))
        assert (first["hash"], first["bytes_fetched"]) == (COMMIT, SIZE)
        assert (again["hash"], again["bytes_fetched"], again["download_status"]) == (COMMIT, 0, "already_exists")
        (*_, done) = (json.loads(line) for line in pull(NAME, "--jsonl").out.splitlines())
        assert (done["data"]["hash"], done["data"]["bytes_fetched"]) == (COMMIT, 0)

    def test_programs_read_events_on_standard_output_and_nothing_else(self, pull: Any) -> None:
        run: Run = pull("tiny", "--jsonl")
        events = [json.loads(line) for line in run.out.splitlines()]
        assert (run.code, run.err) == (0, "")
        assert [event["event"] for event in events] == ["notice", "start", *["verify"] * 5, "done"]
        assert events[0]["message"] == f"'tiny' means {NAME}"
        done = events[-1]["data"]
        assert (done["model"], done["download_status"], done["expanded_name"]) == (NAME, "success", NAME)

    def test_the_document_tells_what_a_short_name_stood_for(self, pull: Any) -> None:
        short, full = (json.loads(pull(name, "--json").out)["data"] for name in ("tiny", NAME))
        assert (short["model"], short["expanded_name"], short["download_status"]) == (NAME, NAME, "success")
        assert (full["model"], full["expanded_name"], full["download_status"]) == (NAME, None, "already_exists")

    @pytest.mark.parametrize(
        ("argv", "code", "kind"),
        [
            (("org/nothing",), 2, "model_not_found"),
            (("org/gated",), 2, "access_denied"),
            ((NAME, "--exclude", "*"), 1, "ValidationError"),
        ],
    )
    def test_a_failure_has_the_reference_beside_the_error(
        self, pull: Any, argv: tuple[str, ...], code: int, kind: str
    ) -> None:
        run: Run = pull(*argv, "--json")
        document = json.loads(run.out)
        assert (run.code, document["error"]["type"]) == (code, kind)
        assert document["data"] == {
            "model": argv[0],
            "download_status": "failed",
            "message": document["error"]["message"],
            "expanded_name": None,
        }

    def test_a_failure_of_events_is_an_event(self, pull: Any) -> None:
        run: Run = pull("org/nothing", "--jsonl")
        (event,) = (json.loads(line) for line in run.out.splitlines())
        assert (run.code, run.err, event["event"], event["error"]["type"]) == (2, "", "error", "model_not_found")

    @pytest.mark.parametrize("name", ["a/b/c", "../x", "org/a--b", ""])
    def test_a_reference_that_cannot_be_read_has_nothing_beside_the_error(self, pull: Any, name: str) -> None:
        document = json.loads(pull(name, "--json").out)
        assert (document["data"], document["error"]["type"]) == (None, "ValidationError")

    def test_no_token_stands_beside_the_error_either(self, pull: Any) -> None:
        document = json.loads(pull("org/hf_q7Zk2mXv9LdTn4RsWcB8yHfJ3pGaE6uKoV", "--json").out)
        assert document["data"]["message"] == document["error"]["message"]

    def test_an_update_is_told_in_words_and_numbers(self, pull: Any) -> None:
        absent = json.loads(pull("tiny", "--check-update", "--json").out)["data"]
        assert absent["update"] == {"available": True, "cached_hash": None, "hub_hash": COMMIT}
        assert (absent["download_status"], absent["expanded_name"]) == ("unknown", NAME)
        assert pull(NAME, "--check-update").out == (f"{NAME} is not in the cache; the Hub has revision {COMMIT[:12]}\n")
        pull(NAME)
        assert pull(NAME, "--check-update").out == f"{NAME} is up to date (revision {COMMIT[:12]})\n"

    @pytest.mark.parametrize(
        ("argv", "again"),
        [(("tiny",), "tiny"), ((f"{NAME}@v1",), f"{NAME}@v1"), (("tiny", "--revision", "v1"), "tiny@v1")],
    )
    def test_the_advice_of_an_update_names_the_same_revision(
        self, cli: CommandLine, argv: tuple[str, ...], again: str
    ) -> None:
        hub = MemoryHub({NAME: MemoryRepo({"main": dict(FILES), "v1": dict(FILES)})})
        program = memory_program(MemoryCache(), hub=hub)
        cli("pull", *argv, services=program)
        for files in hub.repos[NAME].branches.values():
            files["README.md"] = b"new words"
        there = hub.repos[NAME].commit("main")[:12]
        run = cli("pull", *argv, "--check-update", services=program)
        assert run.out == (
            f"{NAME} has another revision on the Hub: {there}, the cache has {COMMIT[:12]}; get it with: mlxk2 pull"
            f" {again}\n"
        )
        document = json.loads(cli("pull", *argv, "--check-update", "--json", services=program).out)
        assert {"hash", "bytes_fetched"}.isdisjoint(document["data"])
        cli("pull", *run.out.split("mlxk2 pull ")[1].split(), services=program)
        assert "is up to date" in cli("pull", *argv, "--check-update", services=program).out


class TestCalm:
    """Notices come from many threads; one thread tells of them."""

    class Told(LineReporter):
        def __init__(self) -> None:
            super().__init__(output(io.StringIO()))
            self.notices: list[tuple[str, bool]] = []

        def notice(self, text: str) -> None:
            self.notices.append((text, threading.current_thread() is threading.main_thread()))

    def test_a_notice_of_the_watching_thread_is_told_at_once(self) -> None:
        told = self.Told()
        Calm(told).notice("wait")
        assert told.notices == [("wait", True)]

    def test_notices_of_other_threads_are_told_by_the_one_that_watches_and_once_a_second(self, clock: Clock) -> None:
        told = self.Told()
        calm = Calm(told)
        threads = [threading.Thread(target=calm.notice, args=(f"wait {number}",)) for number in range(5)]
        for thread in threads:
            thread.start()
            thread.join()
        assert told.notices == []
        calm.watch(moving(1))
        assert told.notices == [("wait 0", True)]
        assert not calm_after(calm, told, clock, 0.5)
        assert calm_after(calm, told, clock, 0.6)


def calm_after(calm: Calm, told: TestCalm.Told, clock: Clock, seconds: float) -> bool:
    """Whether another notice from another thread is told so much later."""
    before = len(told.notices)
    clock.now += seconds
    thread = threading.Thread(target=calm.notice, args=("again",))
    thread.start()
    thread.join()
    calm.watch(moving(2))
    return len(told.notices) > before
