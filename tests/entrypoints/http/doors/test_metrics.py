"""What the server counts, and how it is told."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from mlxk2.domain.usecases.serve_models import ModelStatus, Offer, PoolStatus
from mlxk2.entrypoints.http.metrics import Metrics
from mlxk2.ports.engine import EngineStats

_OFFER = Offer("org/first", "a" * 40, 0, "qwen3", (), None, "loaded")
_MODEL = ModelStatus(
    _OFFER, "", 1, 3, 500, None, None, False, EngineStats(decoding=2, prefilling=1, generated_tokens=70), 4
)


class Pool:
    """A pool that has always been the same."""

    def __init__(self, *models: ModelStatus, limit: int | None = None) -> None:
        self._status = PoolStatus(models, limit, 700, 6)

    def status(self) -> PoolStatus:
        return self._status


def _samples(metrics: Metrics) -> dict[tuple[str, str], float]:
    """Values by name and model; a label set that comes twice is an error, as it is to Prometheus."""
    found: dict[tuple[str, str], float] = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if "le" not in sample.labels and "route" not in sample.labels:
                key = (sample.name, sample.labels.get("model", ""))
                assert key not in found
                found[key] = sample.value
    return found


def test_the_pools_numbers_are_those_of_the_moment() -> None:
    told = _samples(Metrics(Pool(_MODEL, limit=900)))
    assert told["mlxk2_models_loaded", ""] == 1
    assert told["mlxk2_memory_taken_bytes", ""] == 700
    assert told["mlxk2_memory_limit_bytes", ""] == 900
    assert told["mlxk2_requests_without_model", ""] == 6
    assert told["mlxk2_requests_waiting", "org/first"] == 3
    assert told["mlxk2_requests_running", "org/first"] == 3
    assert told["mlxk2_model_memory_bytes", "org/first"] == 500
    assert told["mlxk2_engine_tokens_total", "org/first"] == 70
    assert told["mlxk2_worker_restarts_total", "org/first"] == 4


def test_a_model_that_is_still_loading_has_numbers_too_but_does_not_count_as_loaded() -> None:
    loading = replace(_MODEL, offer=replace(_OFFER, state="loading"), stats=None)
    told = _samples(Metrics(Pool(loading)))
    assert told["mlxk2_models_loaded", ""] == 0
    assert told["mlxk2_requests_running", "org/first"] == 0


def test_two_revisions_of_a_model_are_told_apart() -> None:
    other = replace(_MODEL, offer=replace(_OFFER, commit="b" * 40), waiting=1)
    told = _samples(Metrics(Pool(_MODEL, other)))
    assert told["mlxk2_requests_waiting", "org/first@aaaaaaaaaaaa"] == 3
    assert told["mlxk2_requests_waiting", "org/first@bbbbbbbbbbbb"] == 1


def test_tokens_and_answers_are_counted() -> None:
    metrics = Metrics(Pool())
    metrics.started("org/first")
    metrics.finished("org/first", 10, 4, 7)
    metrics.finished("org/first", 5, 0, 1)
    told = _samples(metrics)
    assert told["mlxk2_requests_started_total", "org/first"] == 1
    assert told["mlxk2_answers_total", "org/first"] == 2
    assert told["mlxk2_prompt_tokens_total", "org/first"] == 15
    assert told["mlxk2_cached_prompt_tokens_total", "org/first"] == 4
    assert told["mlxk2_generated_tokens_total", "org/first"] == 8


def test_times_are_spread_by_model() -> None:
    metrics = Metrics(Pool())
    metrics.first_token("org/first", 0.25)
    metrics.between_tokens("org/first", 0.25, 4)
    told = _samples(metrics)
    assert told["mlxk2_time_to_first_token_seconds_sum", "org/first"] == 0.25
    assert told["mlxk2_inter_token_seconds_count", "org/first"] == 4
    assert told["mlxk2_inter_token_seconds_sum", "org/first"] == 0.25


def test_two_servers_count_for_themselves() -> None:
    first, second = Metrics(Pool()), Metrics(Pool())
    first.started("org/first")
    assert ("mlxk2_requests_started_total", "org/first") not in _samples(second)
