"""Loading one model of a server: what the engine is told, and what it says afterwards of what it truly takes."""

from dataclasses import dataclass

from mlxk2.domain.budget import Appetite, appetite
from mlxk2.domain.seating import Need
from mlxk2.domain.usecases.serve_models_finding import Found
from mlxk2.domain.usecases.serve_requests import GateMaker, RequestGate
from mlxk2.ports.engine import Engine, EngineLoader, LoadOptions, Watch
from mlxk2.ports.errors import EngineFailure, Mlxk2Error


@dataclass(frozen=True, slots=True)
class Opened:
    """A model in memory, and the bytes that it takes."""

    engine: Engine
    appetite: Appetite
    need: Need


class Opener:
    """`is_bounded` tells whether the server's memory has a bound at all. Calls of an engine's port happen here."""

    def __init__(self, loader: EngineLoader, gates: GateMaker, *, is_bounded: bool) -> None:
        self._loader = loader
        self._gates = gates
        self._is_bounded = is_bounded

    def open(self, found: Found, location: str, granted: int, watch: Watch) -> Opened:
        """Blocks until the model is loaded into `granted` bytes. Raises no other errors than Mlxk2Error."""
        options = LoadOptions(
            context_length=found.context_length,
            prefix_cache_bytes=found.appetite.for_prefixes(granted),
            memory_limit=granted if self._is_bounded else None,
        )
        try:
            engine = self._loader.load(location, options, watch)
        except Mlxk2Error:
            raise
        except Exception as error:
            raise EngineFailure(f"'{found.name}' could not be loaded: {error}", details=type(error).__name__) from error
        info = engine.info()
        cost = info.kv if info.kv.layers or info.kv.fixed_bytes else None
        weights = info.weights_bytes or found.appetite.weights
        truth = appetite(weights, cost, info.context_length, options.prefix_cache_bytes)
        return Opened(engine, truth, Need(found.name, truth.least, truth.desired))

    def gate(self, opened: Opened, granted: int) -> RequestGate:
        """For its requests, what is left of the bytes that are granted now."""
        return self._gates(opened.engine, opened.appetite.for_requests(granted) if self._is_bounded else None)
