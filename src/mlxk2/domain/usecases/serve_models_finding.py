"""Which snapshot a client means, and whether this server runs it: decided before anything is loaded or unloaded.

Names are resolved as everywhere (`domain/resolution.py`), among the models that the server is allowed to offer. A name
that means nothing is never taken for a similar one: similar names are told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from mlxk2.domain.budget import Appetite, appetite
from mlxk2.domain.classify import ModelType
from mlxk2.domain.inspection import Inspector, Located, ModelSummary
from mlxk2.domain.kv_estimate import expected_cost
from mlxk2.domain.metadata import context_length
from mlxk2.domain.names import ModelReference, parse_reference
from mlxk2.domain.near import did_you_mean
from mlxk2.domain.resolution import resolve_name
from mlxk2.domain.runnable import incompatible, unhealthy
from mlxk2.domain.seating import ModelKey, Need
from mlxk2.domain.snapshot import JsonObject, Snapshot
from mlxk2.domain.usecases.serve_models_records import Offer, ServeLimits, State
from mlxk2.domain.weights import loaded_bytes
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.errors import AmbiguousMatch, Mlxk2Error, ModelNotFound, OperationError

_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A snapshot that this server can run. `pins`: what the pinned commits of its model begin with."""

    key: ModelKey
    name: str
    created: int
    model_type: str
    capabilities: tuple[str, ...]
    context_length: int | None
    appetite: Appetite
    generation_config: JsonObject
    pins: tuple[str, ...] = ()

    @property
    def need(self) -> Need:
        return Need(self.name, self.appetite.least, self.appetite.desired)

    def pins_commit(self, commit: str) -> bool:
        """Whether this commit of its model is pinned."""
        return commit.startswith(self.pins) if self.pins else False

    def offer(self, state: State) -> Offer:
        return Offer(
            self.name,
            self.key.commit,
            self.created,
            self.model_type,
            self.capabilities,
            self.context_length,
            state,
        )


Known = Callable[[ModelKey], Found | None]
"""Snapshots in memory, which need not be judged again."""


class ModelFinder:
    """Reads the cache at every call."""

    def __init__(self, cache: ModelCache, inspector: Inspector, limits: ServeLimits) -> None:
        self._cache = cache
        self._inspector = inspector
        self._prefix_cache = limits.prefix_cache
        self._allowed = tuple(map(parse_reference, limits.allowed))
        self._pinned = tuple(map(parse_reference, limits.pinned))

    def check(self) -> None:
        """Raises ModelNotFound or AmbiguousMatch for a pinned or allowed reference that does not name one model."""
        for reference in (*self._allowed, *self._pinned):
            self._inspector.locate(reference)

    def find(self, reference: str, known: Known) -> Found:
        """Raises ValidationError, ModelNotFound, AmbiguousMatch, or OperationError for one that cannot be run."""
        parsed = parse_reference(reference)
        shelf = self._shelf()
        try:
            located = self._inspector.locate(parsed, shelf.offered)
        except ModelNotFound as error:
            if parsed.revision and parsed.name in shelf.offered:
                raise
            raise self._not_found(reference, parsed, list(shelf.offered), error) from None
        if not shelf.offers(located):
            raise ModelNotFound(f"This server does not offer that revision of '{located.name}'; {self._offer()}")
        return self._judged(located, reference, known, shelf)

    def find_all(self, known: Known) -> list[Found]:
        """Every model that can be asked for, in the revision that its name stands for; sorted by name."""
        shelf = self._shelf()
        found = []
        for name, folder in shelf.offered.items():
            located = self._inspector.open(name, folder)
            if shelf.offers(located):
                with suppress(Mlxk2Error):
                    found.append(self._judged(located, name, known, shelf))
        return found

    def name(self, reference: str, loaded: Iterable[str]) -> tuple[str, str]:
        """The model's name, among those that may be asked for or are `loaded`, and the beginning of the commit.

        Raises ValidationError, ModelNotFound or AmbiguousMatch.
        """
        parsed = parse_reference(reference)
        return resolve_name(parsed, sorted({*self._shelf().offered, *loaded})), parsed.revision or ""

    def location(self, key: ModelKey) -> str:
        return self._cache.location(key.folder, key.commit)

    def _shelf(self) -> "_Shelf":
        names = self._inspector.names()
        allowed = _resolved(self._allowed, names) if self._allowed else None
        return _Shelf(names, allowed, _resolved(self._pinned, names))

    def _judged(self, located: Located, reference: str, known: Known, shelf: "_Shelf") -> Found:
        pins = self._pins(located.name, shelf)
        key = ModelKey(located.repo.folder, located.commit or "")
        if (found := known(key)) is not None:
            return replace(found, pins=pins)
        summary, subject = self._inspector.judge(located)
        if subject is None or not summary.health.healthy:
            raise unhealthy(summary, reference)
        _check(summary)
        return self._found(key, summary, subject.snapshot, pins)

    def _found(self, key: ModelKey, summary: ModelSummary, snapshot: Snapshot, pins: tuple[str, ...]) -> Found:
        context = context_length(snapshot.config)
        return Found(
            key,
            summary.name,
            int(summary.modified),
            summary.classification.model_type.value,
            tuple(capability.value for capability in summary.classification.capabilities),
            context,
            appetite(loaded_bytes(snapshot), expected_cost(snapshot.config), context, self._prefix_cache),
            snapshot.json_object("generation_config.json"),
            pins,
        )

    def _pins(self, name: str, shelf: "_Shelf") -> tuple[str, ...]:
        """A pinned name without a revision means the one that the name stands for now."""
        revisions = [revision for pinned, revision in shelf.pinned if pinned == name]
        commits = [revision or self._inspector.open(name, shelf.names[name]).commit for revision in revisions]
        return tuple(commit for commit in commits if commit)

    def _not_found(
        self, reference: str, parsed: ModelReference, offered: Sequence[str], error: ModelNotFound
    ) -> ModelNotFound:
        mean = did_you_mean(parsed.name, offered)
        if self._allowed:
            return ModelNotFound(f"This server does not offer '{reference}'{mean or '; ' + self._offer()}")
        if parsed.exact:
            return error
        return ModelNotFound(
            f"No model in the cache matches '{reference}'{mean + ' See' if mean else '; see'} what is there with:"
            f" mlxk2 list --all, or download it with: mlxk2 pull {reference}"
        )

    def _offer(self) -> str:
        shown = ", ".join(str(reference) for reference in self._allowed[:_SHOWN])
        return f"it offers {shown}{' and others' if len(self._allowed) > _SHOWN else ''}"


@dataclass(frozen=True, slots=True)
class _Shelf:
    """All names with their folders, and those that are allowed (None: all) and pinned, with their revisions."""

    names: Mapping[str, str]
    allowed: "_References | None"
    pinned: "_References"

    @property
    def offered(self) -> Mapping[str, str]:
        if self.allowed is None:
            return self.names
        allowed = {name for name, _ in self.allowed}
        return {name: folder for name, folder in self.names.items() if name in allowed}

    def offers(self, located: Located) -> bool:
        commit = located.commit or ""
        return self.allowed is None or any(
            name == located.name and commit.startswith(revision or "") for name, revision in self.allowed
        )


_References = Sequence[tuple[str, str | None]]


def _check(summary: ModelSummary) -> None:
    kind, reason = summary.classification.model_type, summary.compatibility.reason
    if not summary.classification.generates_text and (kind is not ModelType.UNKNOWN or reason is None):
        raise OperationError(
            f"'{summary.name}' generates no text (its type is {kind.value}), and this server only generates text; ask"
            " for another model"
        )
    if reason is not None:
        raise incompatible(summary.name, reason)


def _resolved(references: Sequence[ModelReference], names: Mapping[str, str]) -> _References:
    """Names and revisions; a reference that means nothing, or several, for the moment means nothing."""
    found = []
    for reference in references:
        with suppress(ModelNotFound, AmbiguousMatch):
            found.append((resolve_name(reference, list(names)), reference.revision))
    return found
