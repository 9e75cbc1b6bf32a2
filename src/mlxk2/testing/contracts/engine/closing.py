"""The end of an engine: everybody is told, and nobody who comes later meets an exception."""

from mlxk2.ports.engine import LoadOptions, unwatched
from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.ports.generation import Delta, Finished, FinishReason, GenerationRequest
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures, Load
from mlxk2.testing.contracts.engine.listening import Listener


class Closing(EngineFixtures):
    def test_whoever_runs_or_waits_ends_as_cancelled(self, load: Load, endless: GenerationRequest) -> None:
        engine = load(LoadOptions(max_rows=2), unwatched)
        listeners = [Listener(engine, endless) for _ in range(5)]
        listeners[0].wait_for(Delta)
        engine.close()
        ends = [listener.end() for listener in listeners]
        assert [isinstance(end, Finished) and end.reason for end in ends] == [FinishReason.CANCELLED] * 5

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
