"""Have running servers give back a model's memory."""

from dataclasses import dataclass

from mlxk2.domain.near import did_you_mean
from mlxk2.domain.servers import check_version, chosen_servers
from mlxk2.ports.attachment import Attachment
from mlxk2.ports.errors import Conflict, Mlxk2Error, ModelNotFound, ServerGone
from mlxk2.ports.held import HeldModel
from mlxk2.ports.servers import RunningServer, Servers

_START = "start one with: mlxk2 serve"
_SEE = "see what is loaded with: mlxk2 ps"


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A model that was in the memory of `server`; `revision` has all forty digits."""

    model: str
    revision: str
    server: RunningServer


_Wish = tuple[RunningServer, str]
"""From whom to unload what."""


class UnloadModel:
    """`version` is this program's own."""

    def __init__(self, servers: Servers, attachment: Attachment, version: str) -> None:
        self._servers = servers
        self._attachment = attachment
        self._version = version

    def __call__(self, reference: str, *, port: int | None = None, force: bool = False) -> tuple[Unloaded, ...]:
        """Unload a model, all revisions unless one is named, from every server or from the one on `port`; never none.

        Every server is asked before a refusal is raised. `force` also takes a model that is answering.

        Raises ServerGone without a server, ModelNotFound when none has the model loaded, and what a server refuses:
        AmbiguousMatch, ValidationError, Conflict for a model that is busy.
        """
        servers = self._running(port)
        gone = self._unload([(server, reference) for server in servers], [], force=force)
        if not gone:
            raise self._not_loaded(reference, servers)
        return gone

    def all(self, *, port: int | None = None, force: bool = False) -> tuple[Unloaded, ...]:
        """Unload everything, from every server or from the one on `port`. Nothing loaded is no error.

        Every model is tried before a refusal is raised. Raises ServerGone without a server, Conflict for a model that
        is busy.
        """
        wishes: list[_Wish] = []
        refusals: list[Mlxk2Error] = []
        for server in self._running(port):
            try:
                wishes += [(server, f"{held.model}@{held.revision}") for held in self._held(server)]
            except Mlxk2Error as error:
                refusals.append(error)
        return self._unload(wishes, refusals, force=force)

    def _running(self, port: int | None) -> tuple[RunningServer, ...]:
        servers = chosen_servers(self._servers, port)
        if not servers:
            raise ServerGone(f"No server of yours is running, so no model is loaded; {_START}")
        return servers

    def _held(self, server: RunningServer) -> tuple[HeldModel, ...]:
        check_version(server, self._version)
        return self._attachment.held(server).models

    def _unload(self, wishes: list[_Wish], refusals: list[Mlxk2Error], *, force: bool) -> tuple[Unloaded, ...]:
        """What went. A model that a server does not know is no refusal: its cache may be another than the next one's.

        Raises the first refusal.
        """
        gone: list[Unloaded] = []
        for server, reference in wishes:
            try:
                check_version(server, self._version)
                names = self._attachment.unload(server, reference, force=force)
            except ModelNotFound:
                continue
            except Conflict:
                refusals.append(_busy(server, reference))
            except Mlxk2Error as error:
                refusals.append(error)
            else:
                gone += (_unloaded(name, server) for name in names)
        if refusals:
            raise _told(refusals[0], gone)
        return tuple(gone)

    def _not_loaded(self, reference: str, servers: tuple[RunningServer, ...]) -> ModelNotFound:
        loaded: list[str] = []
        for server in servers:
            try:
                loaded += (held.model for held in self._held(server) if held.state != "unloading")
            except Mlxk2Error:
                continue  # a hint less
        hint = did_you_mean(reference, dict.fromkeys(loaded))
        step = f"{hint} {_SEE[0].upper()}{_SEE[1:]}" if hint else f"; {_SEE}"
        return ModelNotFound(f"No server of yours has '{reference}' loaded{step}")


def _unloaded(name: str, server: RunningServer) -> Unloaded:
    model, _, revision = name.rpartition("@")
    return Unloaded(model, revision, server)


def _busy(server: RunningServer, reference: str) -> Conflict:
    return Conflict(f"The server on port {server.port} is using '{reference}'; wait, or end its requests with --force")


def _told(error: Mlxk2Error, gone: list[Unloaded]) -> Mlxk2Error:
    """The refusal, with what was done all the same."""
    if gone:
        names = ", ".join(dict.fromkeys(one.model for one in gone))
        error.message = f"Unloaded {names}, but not everything: {error.message}"
    return error
