"""Opening a model in this process: whether it fits, and what the engine is told."""

from mlxk2.domain.budget import MemoryPlan, check_fit, plan_memory
from mlxk2.domain.kv import row_bytes
from mlxk2.domain.kv_estimate import expected_cost
from mlxk2.domain.metadata import context_length
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.usecases.open_model_records import Chosen, OpenedModel, OpenOptions, closed_on_failure, opened_model
from mlxk2.domain.usecases.serve_requests import GateMaker
from mlxk2.domain.weights import loaded_bytes
from mlxk2.ports.engine import EngineLoader, LoadOptions, Watch
from mlxk2.ports.system import Machine


class InThisProcess:
    """The model is loaded for one user, who asks one question at a time."""

    def __init__(self, loader: EngineLoader, machine: Machine, gates: GateMaker) -> None:
        self._loader = loader
        self._machine = machine
        self._gates = gates

    def open(self, chosen: Chosen, options: OpenOptions, watch: Watch) -> OpenedModel:
        """Raises NotEnoughMemory before anything is loaded, OperationError when it cannot be loaded."""
        snapshot = chosen.snapshot
        plan = self._plan(chosen, options)
        prefixes = plan.for_prefixes(loaded_bytes(snapshot)) if options.prefix_cache else 0
        engine = self._loader.load(
            chosen.location,
            LoadOptions(
                options.trust_remote_code,
                context_length=context_length(snapshot.config),
                prefix_cache_bytes=prefixes,
                memory_limit=plan.ceiling,
                max_rows=1,
            ),
            watch,
        )
        with closed_on_failure(engine):
            held = engine.info().weights_bytes or loaded_bytes(snapshot)
            return opened_model(chosen, engine, self._gates(engine, plan.for_requests(held + prefixes)))

    def _plan(self, chosen: Chosen, options: OpenOptions) -> MemoryPlan:
        """No bounds at all with `force_load`: whoever asks for it takes the risk."""
        if options.force_load:
            return MemoryPlan()
        plan = plan_memory(self._machine)
        check_fit(chosen.name, plan, loaded_bytes(chosen.snapshot), _expected_kv(chosen.snapshot, options.least_tokens))
        return plan


def _expected_kv(snapshot: Snapshot, tokens: int | None) -> int:
    """What an answer of so many tokens will take at least, in bytes; 0 where nobody can tell before loading."""
    cost = expected_cost(snapshot.config)
    if cost is None or tokens is None:
        return 0
    return row_bytes(cost, min(tokens, context_length(snapshot.config) or tokens))
