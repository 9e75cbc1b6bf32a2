"""What the server has in memory, as this user's other programs are shown it."""

from mlxk2.domain.usecases.serve_models import ModelStatus, PoolStatus
from mlxk2.entrypoints.http.speed import Speeds
from mlxk2.ports.engine import EngineStats
from mlxk2.ports.held import Held, HeldModel


def held(status: PoolStatus, speeds: Speeds) -> Held:
    models = tuple(_held_model(model, speeds.of(model)) for model in status.models)
    return Held(models, status.memory_limit, status.memory_taken, status.waiting)


def _held_model(model: ModelStatus, tokens_per_second: float) -> HeldModel:
    stats = model.stats or EngineStats()
    return HeldModel(
        model=model.offer.name,
        revision=model.offer.commit,
        state=model.offer.state,
        stage=model.stage if model.offer.state == "loading" else "",
        bytes=model.bytes,
        resident_bytes=stats.resident_bytes,
        busy=_busy(model, stats),
        waiting=model.waiting,
        tokens_per_second=round(tokens_per_second, 2),
        generated_tokens=stats.generated_tokens,
        idle_seconds=model.idle_seconds,
        expires_in=model.expires_in,
        pinned=model.pinned,
        restarts=model.restarts,
        context_length=model.offer.context_length,
    )


def _busy(model: ModelStatus, stats: EngineStats) -> int:
    """Whoever waits before the engine holds the model, too; the engine's own numbers may be a second old."""
    return max(model.busy - model.waiting, stats.prefilling + stats.decoding) if model.busy else 0
