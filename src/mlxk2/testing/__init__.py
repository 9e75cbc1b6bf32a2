"""For tests, of this program and of others that use it: caches with any pathology, fakes of every port, contracts.

```python
from mlxk2.testing import Pathology, healthy_model, sick_model, write_cache

root = write_cache(tmp_path, [healthy_model("mlx-community/good-4bit"), sick_model(Pathology.TRUNCATED_SHARD)])
```
"""

from mlxk2.adapters.memory import (
    MEMORY_INFO,
    Manner,
    MemoryAttachment,
    MemoryCache,
    MemoryCatalogue,
    MemoryClock,
    MemoryDisk,
    MemoryEngine,
    MemoryEngineLoader,
    MemoryHasher,
    MemoryHub,
    MemoryHubAccess,
    MemoryMachine,
    MemoryRepo,
    MemoryServers,
    MemorySessions,
    MemorySetup,
    MemorySource,
    MemorySweeper,
    Placement,
    StoredFile,
    StoredModel,
    StoredRevision,
)
from mlxk2.testing.disk import hold_lock, write_cache, write_model
from mlxk2.testing.files import gguf, lfs_pointer, safetensors
from mlxk2.testing.models import encoder_model, gguf_model, healthy_model, pytorch_model, with_files, with_listing
from mlxk2.testing.pathologies import Pathology, sick_model
from mlxk2.testing.program import Run, memory_program

__all__ = [
    "MEMORY_INFO",
    "Manner",
    "MemoryAttachment",
    "MemoryCache",
    "MemoryCatalogue",
    "MemoryClock",
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
    "Pathology",
    "Placement",
    "Run",
    "StoredFile",
    "StoredModel",
    "StoredRevision",
    "encoder_model",
    "gguf",
    "gguf_model",
    "healthy_model",
    "hold_lock",
    "lfs_pointer",
    "memory_program",
    "pytorch_model",
    "safetensors",
    "sick_model",
    "with_files",
    "with_listing",
    "write_cache",
    "write_model",
]
