"""Following an engine: while it loads, and turn by turn."""

import threading

import pytest

from mlxk2.ports.engine import Loading, LoadOptions, Stepped, unwatched
from mlxk2.ports.generation import Delta, Event, Failed, Finished, GenerationRequest
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures, Load
from mlxk2.testing.contracts.engine.listening import Listener, all_answered


class _Log:
    """Everything that an engine tells, in one order."""

    def __init__(self) -> None:
        self.told: list[Loading | Stepped | Event] = []
        self._condition = threading.Condition()

    def note(self, what: Loading | Stepped | Event) -> None:
        with self._condition:
            self.told.append(what)
            self._condition.notify_all()

    def wait_for_the_end_of(self, requests: int) -> None:
        """The turn in which the last of so many requests has ended, told whole."""
        with self._condition:
            assert self._condition.wait_for(lambda: self.told[-1:] == [Stepped(0)] and self._ended() == requests, 60)

    def _ended(self) -> int:
        return sum(isinstance(what, Finished) for what in self.told)


class Watching(EngineFixtures):
    def test_loading_is_told_before_anything_else(self, load: Load) -> None:
        log = _Log()
        load(LoadOptions(), log.note)
        assert log.told
        assert all(isinstance(what, Loading) and what.stage for what in log.told)

    def test_every_turn_is_told_after_its_events(self, load: Load, mixed: list[GenerationRequest]) -> None:
        log = _Log()
        load(LoadOptions(), log.note).start(mixed[0], log.note)
        log.wait_for_the_end_of(1)
        told = [what for what in log.told if not isinstance(what, Loading)]
        kinds = [type(what) for what in told]
        first, last = kinds.index(Delta), kinds.index(Finished)
        assert Stepped in kinds[first:last]
        assert told[last + 1 :] in ([Stepped(0)], [Stepped(0), Stepped(0)])  # in the middle of the turn, and at its end

    def test_a_turn_tells_how_many_requests_are_left(self, load: Load, mixed: list[GenerationRequest]) -> None:
        log = _Log()
        engine = load(LoadOptions(), log.note)
        for request in mixed[:3]:
            engine.start(request, log.note)
        log.wait_for_the_end_of(3)
        ended = 0
        for what in log.told:
            ended += isinstance(what, Finished)
            if isinstance(what, Stepped):
                assert what.busy <= 3 - ended

    def test_a_watch_that_raises_harms_nobody(
        self, load: Load, mixed: list[GenerationRequest], quiet: list[str]
    ) -> None:
        def careless(what: Loading | Stepped) -> None:
            raise RuntimeError(f"a careless watch: {what}")

        engine = load(LoadOptions(), careless)
        for _ in range(2):
            assert [answer.text for answer in all_answered(engine, mixed[:3])] == quiet[:3]

    @pytest.mark.parametrize("careless", ["sink", "watch"])
    def test_nobody_waits_for_ever_whatever_is_raised(
        self, load: Load, mixed: list[GenerationRequest], endless: GenerationRequest, careless: str
    ) -> None:
        def leave(what: object) -> None:
            if isinstance(what, (Delta, Stepped)):
                raise SystemExit

        engine = load(LoadOptions(), leave if careless == "watch" else unwatched)
        running = Listener(engine, endless._replace(max_tokens=50))
        engine.start(mixed[0], leave)
        assert isinstance(running.end(), Finished | Failed)
        assert isinstance(Listener(engine, mixed[1]).end(), Finished | Failed)
