"""The two places where a model can be opened: a server that runs on this machine, and this process."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mlxk2.domain.budget import MemoryPlan, check_fit, plan_memory
from mlxk2.domain.kv import row_bytes
from mlxk2.domain.kv_estimate import expected_cost
from mlxk2.domain.metadata import context_length
from mlxk2.domain.servers import check_version
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.usecases.open_model_records import Chosen, OpenedModel, OpenOptions
from mlxk2.domain.usecases.serve_requests import GateMaker, RequestGate
from mlxk2.domain.weights import loaded_bytes
from mlxk2.ports.attachment import Attachment
from mlxk2.ports.engine import Engine, EngineLoader, LoadOptions, Watch
from mlxk2.ports.errors import Mlxk2Error, ServerGone
from mlxk2.ports.servers import RunningServer, Servers
from mlxk2.ports.system import Machine


class InServers:
    """Servers of this user that serve the cache at `place`, and speak as `version` does.

    `attachment` is made once there is such a server.
    """

    def __init__(
        self, servers: Servers, attachment: Callable[[], Attachment], gates: GateMaker, place: str, version: str
    ) -> None:
        self._servers = servers
        self._make_attachment = attachment
        self._gates = gates
        self._place = place
        self._version = version

    def open(self, chosen: Chosen, watch: Watch) -> tuple[OpenedModel | None, tuple[str, ...]]:
        """The model in the first server that can be reached, and why others could not be used.

        Raises what a server refuses, with the way around it.
        """
        passed_over: list[str] = []
        for server in self._servers.running():
            if server.cache != self._place:
                continue
            try:
                return self._attach(server, chosen, watch), tuple(passed_over)
            except ServerGone as error:
                passed_over.append(error.message)
            except Mlxk2Error as error:
                error.message += (
                    f"{' To' if error.message.endswith('?') else '; to'} load it in this process, add --local"
                )
                raise
        return None, tuple(passed_over)

    def _attach(self, server: RunningServer, chosen: Chosen, watch: Watch) -> OpenedModel:
        check_version(server, self._version)
        engine, budget = self._make_attachment().open(server, chosen.pinned, watch)
        with _closed_on_failure(engine):
            return _opened(chosen, engine, self._gates(engine, budget), server)


class InThisProcess:
    """The model is loaded for one user, who asks one question at a time. `loader` is made once there is a need."""

    def __init__(self, loader: Callable[[], EngineLoader], machine: Machine, gates: GateMaker) -> None:
        self._make_loader = loader
        self._machine = machine
        self._gates = gates

    def open(self, chosen: Chosen, options: OpenOptions, watch: Watch) -> OpenedModel:
        """Raises NotEnoughMemory before anything is loaded, OperationError when it cannot be loaded."""
        snapshot = chosen.snapshot
        plan = self._plan(chosen, options)
        prefixes = plan.for_prefixes(loaded_bytes(snapshot)) if options.prefix_cache else 0
        engine = self._make_loader().load(
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
        with _closed_on_failure(engine):
            held = engine.info().weights_bytes or loaded_bytes(snapshot)
            return _opened(chosen, engine, self._gates(engine, plan.for_requests(held + prefixes)))

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


@contextmanager
def _closed_on_failure(engine: Engine) -> Iterator[None]:
    try:
        yield
    except BaseException:
        engine.close()
        raise


def _opened(chosen: Chosen, engine: Engine, gate: RequestGate, server: RunningServer | None = None) -> OpenedModel:
    config = chosen.snapshot.json_object("generation_config.json")
    return OpenedModel(chosen.name, chosen.commit, engine, gate, config, server)
