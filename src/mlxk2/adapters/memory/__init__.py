"""In-memory twins of every port: fast, exact, and proven by the same contracts as the real adapters."""

from mlxk2.adapters.memory.attachment import MemoryAttachment
from mlxk2.adapters.memory.cache import MemoryCache
from mlxk2.adapters.memory.disk import MemoryDisk
from mlxk2.adapters.memory.engine import MEMORY_INFO, Manner, MemoryEngine, MemoryEngineLoader, Script, StructuredScript
from mlxk2.adapters.memory.examination import MemoryHubAccess, MemorySetup
from mlxk2.adapters.memory.hasher import MemoryHasher
from mlxk2.adapters.memory.hub import MemoryHub, MemoryRepo
from mlxk2.adapters.memory.runtime import MemoryCatalogue
from mlxk2.adapters.memory.servers import MemoryServers
from mlxk2.adapters.memory.sessions import MemorySessions
from mlxk2.adapters.memory.source import MemoryContent, MemorySource
from mlxk2.adapters.memory.storage import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.adapters.memory.sweeper import MemorySweeper
from mlxk2.adapters.memory.system import MemoryClock, MemoryMachine

__all__ = [
    "MEMORY_INFO",
    "Manner",
    "MemoryAttachment",
    "MemoryCache",
    "MemoryCatalogue",
    "MemoryClock",
    "MemoryContent",
    "MemoryDisk",
    "MemoryEngine",
    "MemoryEngineLoader",
    "MemoryHasher",
    "MemoryHub",
    "MemoryHubAccess",
    "MemoryMachine",
    "MemoryRepo",
    "MemoryServers",
    "MemorySessions",
    "MemorySetup",
    "MemorySource",
    "MemorySweeper",
    "Placement",
    "Script",
    "StoredFile",
    "StoredModel",
    "StoredRevision",
    "StructuredScript",
]
