"""The process has one log: whoever starts it in a test finds it afterwards as it was before."""

import io
import logging
from collections.abc import Iterator

import pytest

from mlxk2.entrypoints.http.logs import start_log

_NAMES = ("mlxk2", "uvicorn", "asyncio")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What the server's log has, as text."""
    before = [(logger := logging.getLogger(name), logger.handlers, logger.level, logger.propagate) for name in _NAMES]
    stream = io.StringIO()
    start_log("info", "text", stream)
    yield stream
    for logger, handlers, level, propagate in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)
