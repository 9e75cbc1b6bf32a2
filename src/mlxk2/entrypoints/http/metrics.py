"""The server's numbers for Prometheus: what is counted as it happens, and what is read when somebody asks.

Labels are names of models that were found in the cache, routes as they are declared and statuses: never what a client
has made up, so their number is bounded. There is no global registry: a second server has its own numbers.
"""

from dataclasses import dataclass

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest
from starlette.types import Scope

from mlxk2.entrypoints.http.identity import Visit
from mlxk2.entrypoints.http.pool_metrics import PoolCollector, Watched

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_FIRST = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_BETWEEN = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.2, 0.5, 1)
_WHOLE = (0.005, 0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600)


@dataclass(frozen=True, slots=True)
class _OfModel:
    """One model's numbers; looking them up by label for every token would cost more than counting."""

    started: Counter
    answers: Counter
    prompt: Counter
    cached: Counter
    generated: Counter
    first: Histogram
    between: Histogram


class Metrics:
    """Called from the event loop; `started` and `text` from any thread."""

    def __init__(self, models: Watched) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        registry.register(PoolCollector(models))

        def counter(name: str, told: str) -> Counter:
            return Counter(f"mlxk2_{name}", told, ["model"], registry=registry)

        def spread(name: str, told: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(f"mlxk2_{name}_seconds", told, ["model"], registry=registry, buckets=buckets)

        self._labelled = _OfModel(
            started=counter("requests_started", "Requests that were handed to the model"),
            answers=counter("answers", "Answers that the model has finished"),
            prompt=counter("prompt_tokens", "Tokens of prompts, those of the prefix cache included"),
            cached=counter("cached_prompt_tokens", "Tokens of prompts that the prefix cache had"),
            generated=counter("generated_tokens", "Tokens of answers"),
            first=spread("time_to_first_token", "From a request's arrival to its first token", _FIRST),
            between=spread("inter_token", "From one token of an answer to the next", _BETWEEN),
        )
        self._requests = Counter(
            "mlxk2_http_requests", "HTTP requests that are over", ["route", "status", "model"], registry=registry
        )
        self._whole = Histogram(
            "mlxk2_http_request_seconds",
            "HTTP requests from arrival to end",
            ["route"],
            registry=registry,
            buckets=_WHOLE,
        )
        self._models: dict[str, _OfModel] = {}

    def started(self, model: str) -> None:
        """A request was handed to the model."""
        self._of(model).started.inc()

    def first_token(self, model: str, seconds: float) -> None:
        """An answer has begun, so long after its request came."""
        self._of(model).first.observe(seconds)

    def between_tokens(self, model: str, seconds: float, count: int) -> None:
        """An answer got `count` tokens, so long after the ones before."""
        spread, each = self._of(model).between, seconds / count
        for _ in range(count):
            spread.observe(each)

    def finished(self, model: str, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> None:
        """An answer is over."""
        numbers = self._of(model)
        numbers.answers.inc()
        numbers.prompt.inc(prompt_tokens)
        numbers.cached.inc(cached_tokens)
        numbers.generated.inc(completion_tokens)

    def count_request(self, scope: Scope, visit: Visit, seconds: float) -> None:
        """An HTTP request is over."""
        route = getattr(scope.get("route"), "path", "unknown")
        self._requests.labels(route, str(visit.status), visit.model or "").inc()
        self._whole.labels(route).observe(seconds)

    def text(self) -> bytes:
        """All numbers in Prometheus' text format, `MEDIA_TYPE`."""
        return generate_latest(self._registry)

    def _of(self, model: str) -> _OfModel:
        found = self._models.get(model)
        if found is None:
            labelled = self._labelled
            found = self._models[model] = _OfModel(
                started=labelled.started.labels(model),
                answers=labelled.answers.labels(model),
                prompt=labelled.prompt.labels(model),
                cached=labelled.cached.labels(model),
                generated=labelled.generated.labels(model),
                first=labelled.first.labels(model),
                between=labelled.between.labels(model),
            )
        return found
