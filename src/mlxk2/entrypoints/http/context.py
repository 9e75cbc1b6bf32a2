"""What the server works with: its options, the models it may ask, and who is being answered."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Protocol

from mlxk2.domain.usecases.prepare_answers import AnswerLimits
from mlxk2.domain.usecases.serve_models import ServeModels
from mlxk2.entrypoints.http.errors import Problem
from mlxk2.entrypoints.http.logs import LogFormat, LogLevel
from mlxk2.entrypoints.http.mailbox import Mailbox
from mlxk2.entrypoints.http.metrics import Metrics
from mlxk2.entrypoints.http.speed import Speeds
from mlxk2.entrypoints.http.threads import ModelThreads

_THREADS = 8
"""Threads that look at the cache and at what the models do."""


@dataclass(frozen=True, slots=True)
class HttpOptions:
    """How the server behaves. Times are seconds, sizes bytes; keys are never shown.

    `local_key` opens everything for this user's programs on this machine, and it alone opens `/engine`. `per_key` is
    how many requests one key, or one client where no keys are set, may have at once. A request may take
    `request_timeout` from its arrival to its end. On shutdown, running requests get `drain_seconds` to end.
    """

    host: str = "127.0.0.1"
    port: int = 8000
    api_keys: tuple[str, ...] = field(default=(), repr=False)
    local_key: str | None = field(default=None, repr=False)
    insecure: bool = False
    cors_origins: tuple[str, ...] = ()
    allowed_hosts: tuple[str, ...] = ()
    answers: AnswerLimits = field(default_factory=AnswerLimits)
    request_timeout: float = 600.0
    drain_seconds: float = 30.0
    largest_body: int = 8 * 1024 * 1024
    deepest_json: int = 64
    per_key: int | None = None
    log_format: LogFormat = "text"
    log_level: LogLevel = "info"
    preload: tuple[str, ...] = ()


class HttpServices:
    """Made once for a server, before its event loop runs.

    `running` are the requests that are being answered, `preloading` the models that are still on their way since the
    start; `draining`: the server ends once `running` is empty.
    """

    def __init__(self, models: ServeModels, options: HttpOptions, version: str) -> None:
        self.models = models
        self.options = options
        self.version = version
        self.metrics = Metrics(models)
        self.speeds = Speeds()
        self.running: set[Interruptible] = set()
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="http")
        self.model_threads = ModelThreads()
        self.draining = False
        self.preloading = set(options.preload)
        self._mailbox: Mailbox | None = None

    def mailbox(self) -> Mailbox:
        """The one of the running event loop; call it from there."""
        if self._mailbox is None:
            self._mailbox = Mailbox(asyncio.get_running_loop())
        return self._mailbox

    def close(self) -> None:
        """Nothing new is begun; what a thread is at goes on to its end."""
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.model_threads.close()


class Interruptible(Protocol):
    """A request that is being answered."""

    def interrupt(self, problem: Problem) -> None:
        """It ends now, and its client is told why."""
