"""Many requests at once: nobody notices the others."""

import queue
import threading
from collections.abc import Callable

import pytest

from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import Engine, LoadOptions, Stepped, unwatched
from mlxk2.ports.errors import OperationError
from mlxk2.ports.generation import Delta, Event, Finished, GenerationRequest, PromptProgress, Sampling
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures, Load
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered, eventually


class Together(EngineFixtures):
    def test_everybody_hears_what_they_hear_alone(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str]
    ) -> None:
        assert [answer.text for answer in all_answered(engine, mixed)] == quiet

    def test_requests_join_while_another_runs(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str], endless: GenerationRequest
    ) -> None:
        running = Listener(engine, endless)
        running.wait_for(Delta)
        for request, text in zip(mixed[:4], quiet, strict=False):
            assert answered(engine, request).text == text
        assert not running.has_ended
        engine.cancel(running.request_id)
        running.end()

    def test_one_that_runs_long_is_not_disturbed_by_those_that_come_and_go(
        self, engine: Engine, mixed: list[GenerationRequest], endless: GenerationRequest
    ) -> None:
        limited = endless._replace(max_tokens=150)
        alone = answered(engine, limited).text
        running = Listener(engine, limited)
        for request in mixed[:6]:
            answered(engine, request)
        running.finished()
        assert running.text == alone

    def test_different_samplings_do_not_mix(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str]
    ) -> None:
        others = [
            Sampling(temperature=1.2, seed=5),
            Sampling(temperature=0.8, top_p=0.8, top_k=9, min_p=0.05),
            Sampling(repetition_penalty=1.4, presence_penalty=0.5, frequency_penalty=-0.5),
        ]
        noisy = [mixed[0]._replace(sampling=sampling, max_tokens=30) for sampling in others]
        listeners = all_answered(engine, [*noisy, *mixed, *noisy])
        assert [answer.text for answer in listeners[len(noisy) : -len(noisy)]] == quiet

    def test_requests_may_come_from_several_threads(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str]
    ) -> None:
        texts: dict[int, list[str]] = {}

        def ask(place: int) -> None:
            texts[place] = [answer.text for answer in all_answered(engine, mixed[place::4])]

        threads = [threading.Thread(target=ask, args=(place,)) for place in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert texts == {place: quiet[place::4] for place in range(4)}

    def test_a_question_to_the_engine_does_not_wait_for_the_answers_of_others(
        self, engine: Engine, endless: GenerationRequest, question: str
    ) -> None:
        running = Listener(engine, endless)
        running.wait_for(Delta)
        assert engine.detokenize(engine.render([Message("user", question)]).tokens)
        assert engine.tokenize(question)
        assert engine.stats().steps > 0
        assert engine.info() == engine.info()
        assert not running.has_ended
        engine.cancel(running.request_id)
        running.end()

    def test_a_request_may_be_started_from_a_sink(self, engine: Engine, mixed: list[GenerationRequest]) -> None:
        later: list[Listener] = []
        come = threading.Event()

        def sink(event: Event) -> None:
            if isinstance(event, Finished):
                later.append(Listener(engine, mixed[0]))
                come.set()

        engine.start(mixed[0], sink)
        assert come.wait(60)
        assert later[0].finished().generated_tokens == 5

    @pytest.mark.parametrize("place", ["sink", "watch"])
    def test_whoever_asks_the_engine_from_its_own_thread_is_answered_or_refused(
        self, load: Load, mixed: list[GenerationRequest], question: str, place: str
    ) -> None:
        loaded: queue.SimpleQueue[Engine] = queue.SimpleQueue()
        told: queue.SimpleQueue[list[bool]] = queue.SimpleQueue()
        asked = threading.Event()

        def ask(what: object) -> None:
            if isinstance(what, (Finished, Stepped)) and not asked.is_set():
                asked.set()
                told.put(_answers(loaded.get(), question))

        engine = load(LoadOptions(), ask if place == "watch" else unwatched)
        loaded.put(engine)
        engine.start(mixed[0], ask if place == "sink" else lambda _: None)
        assert told.get(timeout=60)[:2] == [True, True]
        answered(engine, mixed[0])

    @pytest.mark.parametrize("kind", [PromptProgress, Delta, Finished])
    def test_a_sink_that_raises_ends_its_own_request_and_no_other(
        self,
        engine: Engine,
        mixed: list[GenerationRequest],
        quiet: list[str],
        endless: GenerationRequest,
        kind: type[Event],
    ) -> None:
        heard: list[Event] = []

        def careless(event: Event) -> None:
            heard.append(event)
            if isinstance(event, kind):
                raise RuntimeError("a careless sink")

        engine.start(endless._replace(max_tokens=3 if kind is Finished else endless.max_tokens), careless)
        assert [answer.text for answer in all_answered(engine, mixed)] == quiet
        assert eventually(lambda: _at_work(engine) == 0)
        assert [isinstance(event, kind) for event in heard] == [False] * (len(heard) - 1) + [True]

    @pytest.mark.parametrize("rows", [1, 2])
    def test_no_more_rows_than_allowed_and_first_come_first_served(
        self, load: Load, mixed: list[GenerationRequest], quiet: list[str], rows: int
    ) -> None:
        engine = load(LoadOptions(max_rows=rows), unwatched)
        assert engine.info().max_rows <= rows
        begun: list[int] = []
        most = [0]
        open_rows: set[int] = set()
        listeners = [_Ordered(engine, request, place, begun, open_rows, most) for place, request in enumerate(mixed)]
        assert [listener.finished() and listener.text for listener in listeners] == quiet
        assert begun == sorted(begun) == list(range(len(mixed)))
        assert most[0] <= rows

    def test_the_numbers_add_up(self, engine: Engine, mixed: list[GenerationRequest]) -> None:
        assert eventually(lambda: _at_work(engine) == 0)
        before = engine.stats()
        ends = [answer.finished() for answer in all_answered(engine, mixed)]

        def add_up() -> bool:
            now = engine.stats()
            return (
                now.prompt_tokens - before.prompt_tokens == sum(end.prompt_tokens for end in ends)
                and now.generated_tokens - before.generated_tokens == sum(end.generated_tokens for end in ends)
                and now.cached_tokens - before.cached_tokens == sum(end.cached_tokens for end in ends)
                and now.steps > before.steps
            )

        assert eventually(add_up), (before, engine.stats(), ends)
        assert eventually(lambda: _at_work(engine) == 0)
        assert engine.stats().restarts == 0

    def test_requests_at_work_are_counted(self, engine: Engine, endless: GenerationRequest) -> None:
        running = [Listener(engine, endless) for _ in range(3)]
        for listener in running:
            listener.wait_for(Delta)
        assert eventually(lambda: engine.stats().decoding == 3)
        for listener in running:
            engine.cancel(listener.request_id)
            listener.end()
        assert eventually(lambda: _at_work(engine) == 0)


class _Ordered(Listener):
    """Notes the order in which requests begin to answer, and how many answer at a time."""

    def __init__(
        self,
        engine: Engine,
        request: GenerationRequest,
        place: int,
        begun: list[int],
        open_rows: set[int],
        most: list[int],
    ) -> None:
        self._place = place
        self._begun = begun
        self._open = open_rows
        self._most = most
        super().__init__(engine, request)

    def hear(self, event: Event) -> None:
        if isinstance(event, Delta) and self._place not in self._begun:
            self._begun.append(self._place)
            self._open.add(self._place)
            self._most[0] = max(self._most[0], len(self._open))
        if isinstance(event, Finished):
            self._open.discard(self._place)
        super().hear(event)


def _answers(engine: Engine, question: str) -> list[bool]:
    """Which questions an engine answers here and now; it may refuse those that take it time."""
    questions: list[Callable[[], object]] = [
        engine.info,
        engine.stats,
        lambda: engine.render([Message("user", question)]),
        lambda: engine.tokenize(question),
        lambda: engine.detokenize([1]),
    ]
    return [_is_answered(ask) for ask in questions]


def _is_answered(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except OperationError:
        return False
    return True


def _at_work(engine: Engine) -> int:
    stats = engine.stats()
    return stats.waiting + stats.prefilling + stats.decoding
