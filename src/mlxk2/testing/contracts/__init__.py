"""What every implementation of a port must do, one class of tests a port; subclass it and supply the fixture."""

from mlxk2.testing.contracts.attachment import AttachmentContract
from mlxk2.testing.contracts.cache import CacheContract
from mlxk2.testing.contracts.disk import DiskContract
from mlxk2.testing.contracts.engine import EngineContract
from mlxk2.testing.contracts.examination import HubAccessContract, SetupContract
from mlxk2.testing.contracts.hub import HubContract
from mlxk2.testing.contracts.pruning import SweeperContract
from mlxk2.testing.contracts.runtime import RuntimeContract
from mlxk2.testing.contracts.servers import ServersContract
from mlxk2.testing.contracts.sessions import SessionsContract
from mlxk2.testing.contracts.source import SourceContract
from mlxk2.testing.contracts.system import ClockContract, MachineContract
from mlxk2.testing.contracts.verifying import HasherContract
from mlxk2.testing.contracts.workspace import WorkspaceContract

__all__ = [
    "AttachmentContract",
    "CacheContract",
    "ClockContract",
    "DiskContract",
    "EngineContract",
    "HasherContract",
    "HubAccessContract",
    "HubContract",
    "MachineContract",
    "RuntimeContract",
    "ServersContract",
    "SessionsContract",
    "SetupContract",
    "SourceContract",
    "SweeperContract",
    "WorkspaceContract",
]
