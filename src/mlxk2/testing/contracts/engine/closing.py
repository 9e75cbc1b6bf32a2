"""The end of an engine: everybody is told, and nobody who comes later meets an exception."""

from typing import Any

from mlxk2.ports.engine import LoadOptions, unwatched
from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.ports.generation import Delta, Failed, Finished, FinishReason, GenerationRequest
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures, Load
from mlxk2.testing.contracts.engine.listening import Listener
from mlxk2.testing.contracts.engine.structures import IMPOSSIBLE, SCHEMA


class Closing(EngineFixtures):
    def test_whoever_runs_or_waits_ends_as_cancelled(self, load: Load, endless: GenerationRequest) -> None:
        engine = load(LoadOptions(max_rows=2), unwatched)
        listeners = [Listener(engine, endless) for _ in range(5)]
        listeners[0].wait_for(Delta)
        engine.close()
        ends = [listener.end() for listener in listeners]
        assert [isinstance(end, Finished) and end.reason for end in ends] == [FinishReason.CANCELLED] * 5

    def test_everybody_is_told_once_whatever_they_asked_for(
        self, load: Load, mixed: list[GenerationRequest], endless: GenerationRequest
    ) -> None:
        kinds: list[Any] = [
            endless,
            mixed[0],
            mixed[0]._replace(structure=SCHEMA),
            mixed[0]._replace(structure=IMPOSSIBLE[-1]),
            mixed[0]._replace(prompt=()),
            None,
        ]
        engine = load(LoadOptions(max_rows=2), unwatched)
        listeners = [Listener(engine, kind) for kind in kinds * 4]
        engine.close()
        for listener in listeners:
            listener.end()
        assert [sum(isinstance(event, (Finished, Failed)) for event in each.events) for each in listeners] == [1] * 24

    def test_a_request_after_the_end_fails(self, load: Load, mixed: list[GenerationRequest]) -> None:
        engine = load(LoadOptions(), unwatched)
        engine.close()
        error = Listener(engine, mixed[0]).failure()
        assert isinstance(error, OperationError)
        assert not isinstance(error, ValidationError)
        engine.cancel(1)

    def test_closing_twice_is_harmless(self, load: Load) -> None:
        engine = load(LoadOptions(), unwatched)
        engine.close()
        engine.close()
        assert engine.info().vocab_size > 0
