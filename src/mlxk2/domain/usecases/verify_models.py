"""`verify`: health, and the hash of every content of the chosen models.

A model is all its revisions, for each of them may be used; `name@hash` is that one alone. Contents of all models are
read in one go, so that no core waits for the end of a model.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from mlxk2.domain.health import Health
from mlxk2.domain.inspection import Inspector, Located, ModelSummary
from mlxk2.domain.names import parse_reference
from mlxk2.domain.verification import Damage, Revision, Wanted, damage_of, damages, expectations, reason
from mlxk2.ports.cache import READ_NOTHING, ModelCache
from mlxk2.ports.errors import ModelNotFound
from mlxk2.ports.system import Clock
from mlxk2.ports.verifying import ContentHasher, Event, Hashed, Hashing, Settled, Target


class VerifiedModel(NamedTuple):
    """One model: `summary` with the verdict on its content, too.

    `files` and `size` (bytes) are of the contents whose hash is known now; `unknown` are the files (commit, path) that
    nothing tells the hash of.
    """

    summary: ModelSummary
    commits: tuple[str, ...]
    files: int
    size: int
    unknown: tuple[tuple[str, str], ...]
    damages: tuple[Damage, ...]


@dataclass(frozen=True, slots=True)
class VerifyReport:
    """Models sorted by name; `read` are the bytes that were read, `remembered` the number of hashes from before."""

    models: tuple[VerifiedModel, ...]
    read: int
    remembered: int

    @property
    def healthy(self) -> tuple[VerifiedModel, ...]:
        return tuple(model for model in self.models if model.summary.health.healthy)

    @property
    def unhealthy(self) -> tuple[VerifiedModel, ...]:
        return tuple(model for model in self.models if not model.summary.health.healthy)

    @property
    def files(self) -> int:
        return sum(model.files for model in self.models)

    @property
    def size(self) -> int:
        return sum(model.size for model in self.models)


class Planned(NamedTuple):
    """What is going to be checked, before anything is read: contents, not names of them."""

    models: int
    files: int
    size: int


class Found(NamedTuple):
    """A damaged file, as soon as it is found."""

    name: str
    damage: Damage


Watch = Callable[[Planned | Event | Found], None]


class _Case(NamedTuple):
    summary: ModelSummary
    revisions: tuple[Revision, ...]


class _Use(NamedTuple):
    """A file of a model that has a content."""

    name: str
    commit: str
    wanted: Wanted


class VerifyModels:
    def __init__(self, cache: ModelCache, inspector: Inspector, hasher: ContentHasher, clock: Clock) -> None:
        self._cache = cache
        self._inspector = inspector
        self._hasher = hasher
        self._clock = clock

    def __call__(self, pattern: str | None, max_age: float | None, watch: Watch) -> VerifyReport:
        """A pattern as in `health`. Hashes that were taken up to `max_age` seconds ago are good enough (None: none)."""
        cases = [self._case(located, every=every) for located, every in self._located(pattern)]
        users = _users(cases)
        told: set[tuple[str, str]] = set()
        read = 0

        def watch_all(event: Event) -> None:
            nonlocal read
            watch(event)
            if isinstance(event, Hashing):
                read = event.done
                return
            for found in _found(event, users[event.target]):
                if (found.name, found.damage.path) not in told:
                    told.add((found.name, found.damage.path))
                    watch(found)

        now = self._clock.now()
        watch(Planned(len(cases), len(users), sum(target.size for target in users)))
        hashes = self._hasher.hashes(tuple(users), now, math.inf if max_age is None else now - max_age, watch_all)
        remembered = sum(not hashed.fresh for hashed in hashes.values())
        return VerifyReport(tuple(_verified(case, hashes) for case in cases), read, remembered)

    def _located(self, pattern: str | None) -> list[tuple[Located, bool]]:
        """What to look at, and whether it is every revision of it."""
        if pattern and "@" in pattern:
            try:
                return [(self._inspector.locate(parse_reference(pattern)), False)]
            except ModelNotFound:
                return []
        return [(located, True) for located in self._inspector.open_all(pattern)]

    def _case(self, located: Located, *, every: bool) -> _Case:
        repo = located.repo
        summary, _ = self._inspector.judge(located)
        chosen = [located.commit] if located.commit else []
        others = [entry.commit for entry in repo.snapshots if entry.commit != located.commit] if every else []
        facts = (self._cache.snapshot(repo, commit, READ_NOTHING) for commit in chosen + others)
        blobs: dict[tuple[str, bool], Target] = {}
        return _Case(summary, tuple(expectations(repo.folder, one, blobs) for one in facts))


def _users(cases: Iterable[_Case]) -> dict[Target, list[_Use]]:
    """Every content once, with the files that hold it."""
    users: dict[Target, list[_Use]] = {}
    for case in cases:
        for revision in case.revisions:
            for wanted in revision.wanted:
                users.setdefault(wanted.target, []).append(_Use(case.summary.name, revision.commit, wanted))
    return users


def _found(event: Settled, uses: Iterable[_Use]) -> Iterator[Found]:
    for name, commit, wanted in uses:
        damage = damage_of(commit, wanted, event.hashed)
        if damage:
            yield Found(name, damage)


def _verified(case: _Case, hashes: Mapping[Target, Hashed]) -> VerifiedModel:
    summary = case.summary
    wrong = tuple(damage for revision in case.revisions for damage in damages(revision, hashes))
    in_content = [damage for damage in wrong if damage.expected]
    words = reason(in_content, summary.commit) or summary.health.reason or reason(wrong, summary.commit)
    targets = {wanted.target for revision in case.revisions for wanted in revision.wanted}
    known = [hashes[target] for target in targets if hashes[target].hash]
    return VerifiedModel(
        summary._replace(health=Health(words)),
        tuple(revision.commit for revision in case.revisions),
        len(known),
        sum(hashed.size for hashed in known),
        tuple((revision.commit, path) for revision in case.revisions for path in revision.unknown),
        wrong,
    )
