"""Which snapshot a client means, and whether this server runs it: decided before anything is loaded or unloaded.

Names are resolved as everywhere (`domain/resolution.py`), among the models that the server is allowed to offer. A name
that means nothing is never taken for a similar one: similar names are told.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from mlxk2.domain.budget import Appetite, appetite
from mlxk2.domain.inspection import Inspector, Located, ModelSummary
from mlxk2.domain.kv_estimate import expected_cost
from mlxk2.domain.metadata import context_length
from mlxk2.domain.names import ModelReference, parse_reference
from mlxk2.domain.pool import ModelKey
from mlxk2.domain.resolution import resolve_name
from mlxk2.domain.runnable import incompatible, unhealthy
from mlxk2.domain.snapshot import JsonObject, Snapshot
from mlxk2.domain.usecases.serve_models_records import Offer, ServeLimits, State
from mlxk2.domain.weights import loaded_bytes
from mlxk2.ports.cache import ModelCache
from mlxk2.ports.errors import AmbiguousMatch, Mlxk2Error, ModelNotFound, OperationError

_NEAR = 3
_SHOWN = 8


@dataclass(frozen=True, slots=True)
class Found:
    """A snapshot that this server can run."""

    key: ModelKey
    name: str
    created: int
    model_type: str
    capabilities: tuple[str, ...]
    context_length: int | None
    appetite: Appetite
    generation_config: JsonObject
    pinned: bool = False

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
        names = self._inspector.names()
        offered = self._offered(names)
        try:
            located = self._inspector.locate(parsed, offered)
        except ModelNotFound as error:
            if parsed.name in offered:
                raise
            raise self._not_found(reference, parsed, list(offered), error) from None
        if not self._is_offered(located, names):
            raise ModelNotFound(f"This server does not offer that revision of '{located.name}'; {self._offer()}")
        return self._judged(located, reference, known, names)

    def name(self, reference: str, loaded: Iterable[str]) -> tuple[str, str]:
        """The model's name, among those that may be asked for or are `loaded`, and the beginning of the commit.

        Raises ValidationError, ModelNotFound or AmbiguousMatch.
        """
        parsed = parse_reference(reference)
        return resolve_name(parsed, sorted({*self._offered(self._inspector.names()), *loaded})), parsed.revision or ""

    def location(self, key: ModelKey) -> str:
        return self._cache.location(key.folder, key.commit)

    def find_all(self, known: Known) -> list[Found]:
        """Every model that can be asked for, in the revision that its name stands for; sorted by name."""
        names = self._inspector.names()
        found = []
        for name, folder in self._offered(names).items():
            located = self._inspector.open(name, folder)
            if self._is_offered(located, names):
                try:
                    found.append(self._judged(located, name, known, names))
                except Mlxk2Error:
                    continue
        return found

    def _offered(self, names: Mapping[str, str]) -> Mapping[str, str]:
        """Those of all names, with their folders, that may be asked for."""
        if not self._allowed:
            return names
        allowed = {name for name, _ in _resolved(self._allowed, names)}
        return {name: folder for name, folder in names.items() if name in allowed}

    def _is_offered(self, located: Located, names: Mapping[str, str]) -> bool:
        return not self._allowed or _is_among(located, _resolved(self._allowed, names))

    def _judged(self, located: Located, reference: str, known: Known, names: Mapping[str, str]) -> Found:
        pinned = self._is_pinned(located, names)
        key = ModelKey(located.repo.folder, located.commit or "")
        if (found := known(key)) is not None and found.pinned == pinned:
            return found
        summary, subject = self._inspector.judge(located)
        if subject is None or not summary.health.healthy:
            raise unhealthy(summary, reference)
        _check(summary)
        return self._found(key, summary, subject.snapshot, pinned=pinned)

    def _found(self, key: ModelKey, summary: ModelSummary, snapshot: Snapshot, *, pinned: bool) -> Found:
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
            pinned,
        )

    def _is_pinned(self, located: Located, names: Mapping[str, str]) -> bool:
        """A pinned name without a revision means the one that the name stands for now."""
        for name, revision in _resolved(self._pinned, names):
            if name == located.name and located.commit is not None:
                wanted = revision or self._inspector.open(name, names[name]).commit or ""
                if located.commit.startswith(wanted):
                    return True
        return False

    def _not_found(
        self, reference: str, parsed: ModelReference, offered: Sequence[str], error: ModelNotFound
    ) -> ModelNotFound:
        near = near_names(parsed.name, offered)
        mean = f"; did you mean {' or '.join(near)}?" if near else ""
        if self._allowed:
            return ModelNotFound(f"This server does not offer '{reference}'{mean or '; ' + self._offer()}")
        if parsed.exact:
            return error
        see = "See what is there" if near else "; see what is there"
        return ModelNotFound(
            f"No model in the cache matches '{reference}'{mean}{' ' if near else ''}{see} with: mlxk2 list --all,"
            f" or download it with: mlxk2 pull {reference}"
        )

    def _offer(self) -> str:
        shown = ", ".join(str(reference) for reference in self._allowed[:_SHOWN])
        return f"it offers {shown}{' and others' if len(self._allowed) > _SHOWN else ''}"


def near_names(name: str, names: Sequence[str]) -> list[str]:
    """The few of `names` that look like `name`, best first, whatever the case; the part after the slash may do."""
    whole = {known.casefold(): known for known in names}
    parts = {known.casefold().rpartition("/")[2]: known for known in names}
    wanted = name.casefold()
    close = [whole[match] for match in get_close_matches(wanted, whole, _NEAR)]
    close += [parts[match] for match in get_close_matches(wanted.rpartition("/")[2], parts, _NEAR)]
    return list(dict.fromkeys(close))[:_NEAR]


def _check(summary: ModelSummary) -> None:
    if not summary.classification.generates_text:
        kind = summary.classification.model_type.value
        raise OperationError(
            f"'{summary.name}' generates no text (its type is {kind}), and this server only generates text; ask for"
            " another model"
        )
    if summary.compatibility.reason:
        raise incompatible(summary.name, summary.compatibility.reason)


def _resolved(references: Sequence[ModelReference], names: Mapping[str, str]) -> list[tuple[str, str | None]]:
    """Names and revisions; a reference that means nothing, or several, for the moment means nothing."""
    found = []
    for reference in references:
        try:
            found.append((resolve_name(reference, list(names)), reference.revision))
        except (ModelNotFound, AmbiguousMatch):
            continue
    return found


def _is_among(located: Located, references: Sequence[tuple[str, str | None]]) -> bool:
    commit = located.commit or ""
    return any(name == located.name and commit.startswith(revision or "") for name, revision in references)
