"""Requests that are ended early, wherever they are."""

from mlxk2.ports.engine import Engine, LoadOptions, unwatched
from mlxk2.ports.generation import Delta, Event, Failed, Finished, FinishReason, GenerationRequest, PromptProgress
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures, Load
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered, eventually


class _CancelsAt(Listener):
    """Cancels its request from its own sink at the first event of a kind."""

    def __init__(self, engine: Engine, request: GenerationRequest, kind: type[Event]) -> None:
        self._engine = engine
        self._kind = kind
        self._cancelled = False
        super().__init__(engine, request)

    def hear(self, event: Event) -> None:
        if isinstance(event, self._kind) and not self._cancelled:
            self._cancelled = True
            self._engine.cancel(self._id())
        super().hear(event)

    def _id(self) -> int:
        self.started.wait(60)
        return self.request_id


class Cancelling(EngineFixtures):
    def test_while_it_answers(self, engine: Engine, endless: GenerationRequest) -> None:
        last = _CancelsAt(engine, endless, Delta).finished()
        assert last.reason is FinishReason.CANCELLED
        assert last.generated_tokens <= 1 + self.cancel_lag
        assert last.prompt_tokens == len(endless.prompt)

    def test_while_its_prompt_is_processed(
        self, engine: Engine, endless: GenerationRequest, long_prompt: tuple[int, ...]
    ) -> None:
        request = endless._replace(prompt=(*reversed(long_prompt), *endless.prompt))  # no cache knows its beginning
        last = _CancelsAt(engine, request, PromptProgress).finished()
        assert last.reason is FinishReason.CANCELLED
        assert last.generated_tokens <= self.cancel_lag

    def test_while_it_waits(self, load: Load, endless: GenerationRequest) -> None:
        engine = load(LoadOptions(max_rows=1), unwatched)
        running, waiting = Listener(engine, endless), Listener(engine, endless)
        running.wait_for(Delta)
        engine.cancel(waiting.request_id)
        last = waiting.finished()
        assert (last.reason, last.generated_tokens) == (FinishReason.CANCELLED, 0)
        assert waiting.text == ""
        assert not running.has_ended
        engine.cancel(running.request_id)
        assert running.finished().reason is FinishReason.CANCELLED

    def test_at_once_after_the_start(self, engine: Engine, endless: GenerationRequest) -> None:
        listener = Listener(engine, endless)
        engine.cancel(listener.request_id)
        assert listener.finished().reason is FinishReason.CANCELLED

    def test_its_place_is_free_for_the_next(self, load: Load, endless: GenerationRequest) -> None:
        engine = load(LoadOptions(max_rows=1), unwatched)
        running, waiting = Listener(engine, endless), Listener(engine, endless._replace(max_tokens=3))
        running.wait_for(Delta)
        engine.cancel(running.request_id)
        assert waiting.finished().reason is FinishReason.LENGTH

    def test_the_others_are_not_disturbed(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str], endless: GenerationRequest
    ) -> None:
        leaving = [_CancelsAt(engine, endless, kind) for kind in (Delta, PromptProgress, Delta)]
        assert [answer.text for answer in all_answered(engine, mixed)] == quiet
        assert {listener.finished().reason for listener in leaving} == {FinishReason.CANCELLED}

    def test_nothing_comes_after_the_last_event(
        self, engine: Engine, mixed: list[GenerationRequest], endless: GenerationRequest
    ) -> None:
        listeners = [Listener(engine, request) for request in (*mixed[:3], endless, endless._replace(prompt=()))]
        engine.cancel(listeners[3].request_id)
        for listener in listeners:
            listener.end()
            engine.cancel(listener.request_id)
        answered(engine, mixed[0])
        for listener in listeners:
            ends = [isinstance(event, (Finished, Failed)) for event in listener.events]
            assert ends.index(True) == len(ends) - 1

    def test_what_is_unknown_or_over_is_ignored(self, engine: Engine, mixed: list[GenerationRequest]) -> None:
        over = answered(engine, mixed[0])
        for request_id in (over.request_id, 10**9, 0, -1):
            engine.cancel(request_id)
        assert isinstance(answered(engine, mixed[0]).end(), Finished)

    def test_its_memory_is_given_back(self, engine: Engine, endless: GenerationRequest) -> None:
        assert eventually(lambda: engine.stats().kv_bytes == 0)
        _CancelsAt(engine, endless, Delta).end()
        assert eventually(lambda: engine.stats().kv_bytes == 0)
