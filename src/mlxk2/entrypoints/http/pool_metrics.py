"""The pool's numbers, read when somebody asks for them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Protocol

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from mlxk2.domain.usecases.serve_models import ModelStatus, PoolStatus
from mlxk2.ports.engine import EngineStats


class Watched(Protocol):
    """The server's models, as far as they are looked at here."""

    def status(self) -> PoolStatus: ...


class PoolCollector(Collector):
    """Gauges of what is now, one sample for each model that is loaded or on its way."""

    def __init__(self, models: Watched) -> None:
        self._models = models

    def collect(self) -> Iterable[Metric]:
        status = self._models.status()
        yield _plain("models_loaded", "Models in memory", sum(model.offer.state == "loaded" for model in status.models))
        yield _plain("memory_taken_bytes", "What all models together may take now", status.memory_taken)
        if status.memory_limit is not None:
            yield _plain("memory_limit_bytes", "What all models together may take at most", status.memory_limit)
        yield _plain("requests_without_model", "Requests that wait for a model to be loaded", status.waiting)
        yield from _of_models(status.models)


def _of_models(models: tuple[ModelStatus, ...]) -> Iterator[Metric]:
    waiting = _gauge("requests_waiting", "Requests that wait for their turn")
    running = _gauge("requests_running", "Requests that the model is at work on")
    granted = _gauge("model_memory_bytes", "What the model may take")
    resident = _gauge("model_resident_bytes", "What the system counts for the model's process")
    keys = _gauge("model_kv_bytes", "Keys and values of running requests")
    prefixes = _gauge("prefix_cache_bytes", "Keys and values kept for later requests")
    entries = _gauge("prefix_cache_entries", "Prefixes kept for later requests")
    tokens = CounterMetricFamily(
        "mlxk2_engine_tokens", "Tokens that the model has made, those too that nobody waited for", labels=["model"]
    )
    restarts = CounterMetricFamily("mlxk2_worker_restarts", "How often a worker had to begin anew", labels=["model"])
    for name, model in zip(_names(models), models, strict=True):
        stats, label = model.stats or EngineStats(), [name]
        waiting.add_metric(label, model.waiting)
        running.add_metric(label, stats.prefilling + stats.decoding)
        granted.add_metric(label, model.bytes)
        resident.add_metric(label, stats.resident_bytes)
        keys.add_metric(label, stats.kv_bytes)
        prefixes.add_metric(label, stats.prefix_cache_bytes)
        entries.add_metric(label, stats.prefix_cache_entries)
        tokens.add_metric(label, stats.generated_tokens)
        restarts.add_metric(label, model.restarts)
    yield from (waiting, running, granted, resident, keys, prefixes, entries, tokens, restarts)


def _names(models: tuple[ModelStatus, ...]) -> list[str]:
    """Two revisions of one model are told apart, for two samples with the same label are an error."""
    often = Counter(model.offer.name for model in models)
    return [
        model.offer.name if often[model.offer.name] == 1 else f"{model.offer.name}@{model.offer.commit[:12]}"
        for model in models
    ]


def _plain(name: str, told: str, value: float) -> Metric:
    return GaugeMetricFamily(f"mlxk2_{name}", told, value=value)


def _gauge(name: str, told: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"mlxk2_{name}", told, labels=["model"])
