"""The projection of memory holds on a real engine: what MLX keeps for a batch never goes over the budget."""

import threading
from importlib.resources import files

from mlxk2.adapters.mlx.engine import MlxEngineLoader
from mlxk2.adapters.system import SystemClock, SystemMachine
from mlxk2.domain.admission import Admission, Limits
from mlxk2.domain.kv import row_bytes
from mlxk2.domain.usecases.serve_requests import RequestGate
from mlxk2.ports.engine import Loading, LoadOptions, Stepped
from mlxk2.ports.generation import Event, Failed, Finished, FinishReason, GenerationRequest, Sampling

LENGTHS = ((900, 5), (10, 250), (300, 40), (1200, 1), (50, 100), (10, 5))
"""Tokens of the prompt and of the answer: short and long in both, and none a multiple of a block."""
WITHOUT_END = Sampling(logit_bias=((0, -100.0), (2, -100.0)))


def test_a_batch_of_all_lengths_stays_within_the_budget_and_nearly_fills_it() -> None:
    seen: list[int] = []
    ends: list[Event] = []
    everyone = threading.Semaphore(0)

    def sink(event: Event) -> None:
        if isinstance(event, (Finished, Failed)):
            ends.append(event)
            everyone.release()

    def look(event: Loading | Stepped) -> None:
        if isinstance(event, Stepped):
            seen.append(engine.stats().kv_bytes)

    location = str(files("mlxk2") / "assets" / "demo")
    engine = MlxEngineLoader(SystemMachine()).load(location, LoadOptions(context_length=2048), look)
    budget = 4 * row_bytes(engine.info().kv, 1201)
    gate = RequestGate(engine, Admission(engine.info().kv, Limits(8, budget)), SystemClock(), threading.RLock())
    requests = [GenerationRequest((5,) * prompt, answer, WITHOUT_END) for prompt, answer in LENGTHS * 4]
    for request in requests:
        gate.submit(request, sink)
    for _ in requests:
        assert everyone.acquire(timeout=120)
    gate.close()
    assert {end.reason for end in ends if isinstance(end, Finished)} == {FinishReason.LENGTH}
    assert len(ends) == len(requests)
    assert budget / 2 < max(seen) <= budget
