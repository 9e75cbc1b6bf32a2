"""`fit`: will a model run here, and with how long a context? Looks before it is loaded, and before it is downloaded.

A model in the cache is looked at there; when files of it are missing and nobody has recorded how large they are, the
Hub is asked. So it is for any other model: the sizes of its files, and its config.json, the one file that is fetched.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mlxk2.domain.budget import MemoryPlan, plan_memory
from mlxk2.domain.compatibility import judge_described
from mlxk2.domain.contents import digest
from mlxk2.domain.demo import fetch_demo
from mlxk2.domain.fitting import Fit, Needs, judge_fit
from mlxk2.domain.inspection import Inspector, Located
from mlxk2.domain.kv_estimate import expected_cost
from mlxk2.domain.lookup import look_up
from mlxk2.domain.metadata import context_length
from mlxk2.domain.names import DEMO_NAME, ModelReference, folder_of, hub_name, parse_hub_reference, parse_reference
from mlxk2.domain.near import did_you_mean
from mlxk2.domain.runnable import unhealthy
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.subject import Subject
from mlxk2.domain.weights import expected_bytes
from mlxk2.ports.blobs import blob_name
from mlxk2.ports.cache import FileFact, LinkState, ListedFile, ModelCache, RepoFacts, SnapshotFacts
from mlxk2.ports.engine import RuntimeCatalogue
from mlxk2.ports.errors import DownloadFailed, Mlxk2Error, ModelNotFound, NetworkProblem, NotOnHub, ValidationError
from mlxk2.ports.hub import Hub, Notice, Transport
from mlxk2.ports.sources import ModelSource, SourceFile, SourceModel
from mlxk2.ports.system import Machine

_CONFIG = "config.json"
_LARGEST_CONFIG = 16 * 1024 * 1024


class Place(Enum):
    """Where the model is now."""

    CACHE = "cache"
    HUB = "hub"
    PACKAGE = "package"


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes; None where the system does not tell. `plan` says what one program may take of it."""

    total: int | None
    available: int | None
    plan: MemoryPlan


@dataclass(frozen=True, slots=True)
class ModelFit:
    """`unhealthy` says what is wrong with a cached model's files, `cannot_run` why mlx-lm could not run it.

    `pinned`: a revision was asked for.
    """

    name: str
    commit: str
    place: Place
    pinned: bool
    needs: Needs
    memory: Memory
    fit: Fit
    unhealthy: str | None
    cannot_run: str | None


@dataclass(frozen=True, slots=True)
class _Found:
    subject: Subject
    place: Place
    cannot_run: str | None
    unhealthy: str | None = None


class FitModel:
    """`hub` makes the port when a model is not in the cache."""

    def __init__(
        self,
        cache: ModelCache,
        inspector: Inspector,
        bundled: ModelSource,
        hub: Callable[[], Hub],
        runtime: RuntimeCatalogue,
        machine: Machine,
    ) -> None:
        self._cache = cache
        self._inspector = inspector
        self._bundled = bundled
        self._hub = hub
        self._runtime = runtime
        self._machine = machine

    def __call__(self, text: str, context: int | None, notice: Notice) -> ModelFit:
        """`context` in tokens, None for the whole one of the model.

        Raises ValidationError, AmbiguousMatch, OperationError for a damaged model, and what the Hub raises.
        """
        found = self._cached(text, notice) or self._elsewhere(text, notice)
        snapshot = found.subject.snapshot
        weights = expected_bytes(snapshot, found.subject.weights)
        needs = Needs(weights, expected_cost(snapshot.config), context_length(snapshot.config))
        plan = plan_memory(self._machine)
        return ModelFit(
            name=found.subject.name,
            commit=snapshot.commit,
            place=found.place,
            pinned="@" in text,
            needs=needs,
            memory=Memory(self._machine.total_memory(), self._machine.available_memory(), plan),
            fit=judge_fit(needs, plan, context),
            unhealthy=found.unhealthy,
            cannot_run=found.cannot_run,
        )

    def _cached(self, text: str, notice: Notice) -> _Found | None:
        """None when it is not here, or not far enough for its sizes to be known."""
        located = self._located(text)
        if located is None or located.commit is None:
            return None
        summary, subject = self._inspector.judge(located)
        if subject is not None and not summary.health.healthy and subject.snapshot.listing is None:
            self._learn_sizes(located.name, located.commit, notice)
            summary, subject = self._inspector.judge(located)
        if subject is None or not (summary.health.healthy or subject.snapshot.listing):
            raise unhealthy(summary, text)
        return _Found(subject, Place.CACHE, summary.compatibility.reason, summary.health.reason)

    def _learn_sizes(self, name: str, commit: str, notice: Notice) -> None:
        """Ask what the snapshot should hold. No answer leaves its health as the news."""
        if name == DEMO_NAME:
            return
        with contextlib.suppress(Mlxk2Error):
            hub_name(name)  # a folder may have a name that no repo can have
            look_up(self._hub(), self._cache, name, commit, notice)

    def _located(self, text: str) -> Located | None:
        """A full name means that one model: another whose name contains it is somebody else's."""
        try:
            reference = parse_reference(text)
            return self._inspector.locate(reference, self._among(reference))
        except ModelNotFound:
            return None
        except ValidationError:
            parse_hub_reference(text)  # the Hub has names of revisions that the cache's rules do not know
            return None

    def _among(self, reference: ModelReference) -> dict[str, str]:
        names = self._inspector.names()
        if "/" not in reference.name:
            return names
        return {name: folder for name, folder in names.items() if name.casefold() == reference.name.casefold()}

    def _elsewhere(self, text: str, notice: Notice) -> _Found:
        reference = parse_hub_reference(text)
        if reference.name == DEMO_NAME:
            return self._described(fetch_demo(self._bundled, reference), Place.PACKAGE)
        hub = self._hub()
        try:
            model = look_up(hub, self._cache, reference.name, reference.revision, notice)
        except (NetworkProblem, NotOnHub) as error:
            error.message += self._in_the_cache(reference.name)
            raise
        if model.gated:
            hub.check_access(model.name, notice)
        content = hub.content(model, Transport.HTTP, notice)
        return self._described(SourceModel(model.name, model.commit, model.files, content), Place.HUB)

    def _in_the_cache(self, name: str) -> str:
        """What there is of the model that the Hub does not tell of, or of one with a name like it."""
        names = self._inspector.names()
        if name in names:
            health = self._inspector.judge(self._inspector.open(name, names[name]))[0].health
            return f"; what the cache has of it is not enough: {health.reason}"
        near = did_you_mean(name, names)
        return f"{near.removesuffix('?')}, which is in the cache?" if near else ""

    def _described(self, model: SourceModel, place: Place) -> _Found:
        config = next((file for file in model.files if file.path == _CONFIG), None)
        known = config is not None and config.size <= _LARGEST_CONFIG
        files = (_fetched(model, config),) if config and known else ()
        listing = tuple(ListedFile(file.path, file.size, file.etag) for file in model.files)
        facts = SnapshotFacts(model.commit, files, listing)
        subject = Subject(model.name, Snapshot(RepoFacts(folder_of(model.name), {}, (), {}), facts))
        return _Found(subject, place, judge_described(subject, self._runtime).reason)


def _fetched(model: SourceModel, file: SourceFile) -> FileFact:
    content = b"".join(model.content.read(file, 0, file.size))
    if blob_name(content, lfs=file.is_lfs) != file.etag:
        raise DownloadFailed(f"{file.path} of '{model.name}' arrived damaged; run the same command again")
    return FileFact(file.path, LinkState.FILE, file.size, file.etag, digest(file.path, file.size, content, b""))
