"""Our engine as the benchmarks' children load it: in their own process, or in a worker."""

from mlxk2.ports.engine import Engine, EngineLoader, LoadOptions

KINDS = ("in-process", "worker")
PREFIX_CACHE_BYTES = 512 * 1024 * 1024


def load_engine(kind: str, folder: str, prefix_cache_bytes: int = PREFIX_CACHE_BYTES) -> Engine:
    """Prefix cache on, as it is served."""
    return _loader(kind).load(folder, LoadOptions(prefix_cache_bytes=prefix_cache_bytes))


def _loader(kind: str) -> EngineLoader:
    if kind == "worker":
        from mlxk2.adapters.worker.engine import WorkerLoader

        return WorkerLoader()
    from mlxk2.adapters.mlx.engine import MlxEngineLoader
    from mlxk2.adapters.system import SystemMachine

    return MlxEngineLoader(SystemMachine())
