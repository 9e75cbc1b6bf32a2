"""Opening a model for a run or a chat.

It is found and judged here, in front of whoever loads it; then a server that runs on this machine is asked for it, and
where there is none, it is loaded in this process. Memory is looked at only for that: a server has bounds of its own.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from mlxk2.domain.compatibility import judge_runtime
from mlxk2.domain.inspection import Inspector, Located, ModelSummary
from mlxk2.domain.names import parse_reference
from mlxk2.domain.runnable import incompatible, unhealthy
from mlxk2.domain.subject import Subject
from mlxk2.domain.usecases.open_model_records import Chosen, OpenedModel, OpenOptions
from mlxk2.domain.usecases.open_model_servers import InServers
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.engine import RuntimeCatalogue, Watch, unwatched
from mlxk2.ports.errors import ModelNotFound

if TYPE_CHECKING:
    from mlxk2.domain.usecases.open_model_process import InThisProcess

__all__ = ["OpenModel", "OpenOptions", "OpenedModel"]


class OpenModel:
    def __init__(
        self,
        cache: ModelCache,
        inspector: Inspector,
        runtime: RuntimeCatalogue,
        servers: InServers,
        process: "Callable[[], InThisProcess]",
    ) -> None:
        """`process` is made once there is a need."""
        self._cache = cache
        self._inspector = inspector
        self._runtime = runtime
        self._servers = servers
        self._make_process = process

    def open(
        self,
        reference: str,
        options: OpenOptions = OpenOptions(),  # noqa: B008 - immutable
        watch: Watch = unwatched,
    ) -> OpenedModel:
        """Blocks until the model is loaded; `watch` follows that.

        Raises ValidationError, ModelNotFound, AmbiguousMatch, NotEnoughMemory, OperationError with the reason why the
        model does not run, or what the server that was asked refuses.
        """
        chosen = self._choose(reference, trust_remote_code=options.trust_remote_code)
        opened, passed_over = self._servers.open(chosen, watch) if options.may_attach else (None, ())
        if opened is None:
            opened = self._make_process().open(chosen, options, watch)
        return replace(opened, passed_over=passed_over)

    def _choose(self, reference: str, *, trust_remote_code: bool) -> Chosen:
        located = self._locate(reference)
        summary, subject = self._inspector.judge(located)
        if subject is None or not summary.health.healthy:
            raise unhealthy(summary, reference)
        self._check_runtime(summary, subject, trust_remote_code=trust_remote_code)
        snapshot = subject.snapshot
        location = self._cache.location(located.repo.folder, snapshot.commit)
        return Chosen(summary.name, snapshot.commit, location, snapshot)

    def _locate(self, reference: str) -> Located:
        parsed = parse_reference(reference)
        try:
            return self._inspector.locate(parsed)
        except ModelNotFound as error:
            if not parsed.exact and not parsed.revision:
                step = f"or download it with: mlxk2 pull {reference}"
                error.message += ", and write a model before the question" if " " in reference else f", {step}"
            raise

    def _check_runtime(self, summary: ModelSummary, subject: Subject, *, trust_remote_code: bool) -> None:
        verdict = judge_runtime(subject, summary.classification, self._runtime, trust_remote_code=trust_remote_code)
        if verdict.reason:
            code = subject.snapshot.config.get("model_file") is not None and not trust_remote_code
            step = "; only if you trust its author, add --trust-remote-code" if code else ""
            raise incompatible(summary.name, verdict.reason, step)
