"""The log says which models came and went, each once."""

import io

import pytest

from mlxk2.domain.usecases.serve_models import ModelStatus, Offer, PoolStatus
from mlxk2.domain.usecases.serve_models_records import State
from mlxk2.entrypoints.http.logs import start_log
from mlxk2.entrypoints.http.model_log import ModelLog


def _status(*models: tuple[str, State]) -> PoolStatus:
    def model(name: str, state: State) -> ModelStatus:
        offer = Offer(name, "0123456789abcdef" * 2 + "01234567", 0, "chat", (), None, state)
        return ModelStatus(offer, "", 0, 0, 0, None, None, pinned=False, stats=None, restarts=0)

    return PoolStatus(tuple(model(name, state) for name, state in models), None, 0, 0)


@pytest.fixture
def log() -> io.StringIO:
    stream = io.StringIO()
    start_log("info", "text", stream)
    return stream


def _told(log: io.StringIO) -> list[str]:
    return [line.split(" info ")[1] for line in log.getvalue().splitlines()]


def test_a_model_s_way_is_told_once_at_each_turn(log: io.StringIO) -> None:
    looks = ModelLog()
    for state in ("loading", "loading", "loaded", "loaded", "unloading"):
        looks.look(_status(("org/a", state)))
    looks.look(_status())
    looks.look(_status())
    assert _told(log) == [
        "Model org/a@0123456789ab is being loaded",
        "Model org/a@0123456789ab is loaded, after about 0 s",
        "Model org/a@0123456789ab is unloaded",
    ]


def test_a_model_that_was_loaded_between_two_looks_is_told_too(log: io.StringIO) -> None:
    looks = ModelLog()
    looks.look(_status(("org/a", "loaded"), ("org/b", "loading")))
    looks.look(_status(("org/b", "loaded")))
    assert _told(log) == [
        "Model org/a@0123456789ab is loaded",
        "Model org/b@0123456789ab is being loaded",
        "Model org/b@0123456789ab is loaded, after about 0 s",
        "Model org/a@0123456789ab is unloaded",
    ]
