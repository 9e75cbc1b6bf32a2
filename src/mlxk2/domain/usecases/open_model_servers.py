"""Opening a model in a server that runs on this machine."""

from collections.abc import Callable

from mlxk2.domain.servers import check_version
from mlxk2.domain.usecases.open_model_records import Chosen, OpenedModel, closed_on_failure, opened_model
from mlxk2.domain.usecases.serve_requests import GateMaker
from mlxk2.ports.attachment import Attachment
from mlxk2.ports.engine import Watch
from mlxk2.ports.errors import Mlxk2Error, ServerGone
from mlxk2.ports.servers import RunningServer, Servers


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
        with closed_on_failure(engine):
            return opened_model(chosen, engine, self._gates(engine, budget), server)
