"""Which of a cache's contents are left over: what no ref, no snapshot, no download and no lock has a use for.

A revision that a ref names is live, and so is whatever a live revision links to. Locks tell of most downloads; between
two files huggingface_hub holds none, so a revision or a folder that has just changed is left alone as well.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from mlxk2.ports.cache import COMMIT_LOCK
from mlxk2.ports.pruning import CacheContents, Kind, Leftover, ModelContents, Payload, RevisionUse

QUIET_SECONDS = 600.0
"""How long a revision or an empty folder must not have changed."""
_BUSY = "a download of it is running"
_IN_FUTURE = "its time of change lies in the future, so nobody can tell whether it is being downloaded"
_JUST_CHANGED = "it changed in the last 10 minutes and may be being downloaded"


class PruneChoice(NamedTuple):
    """`older_than` seconds must have passed since a thing changed; `keep_last` revisions of each model stay."""

    older_than: float = 0.0
    keep_last: int = 0


class Kept(NamedTuple):
    """A model of which something was left alone that might have gone, and why.

    `is_unclear`: nobody could tell what of it is left over.
    """

    folder: str
    reason: str
    is_unclear: bool = False


class PrunePlan(NamedTuple):
    leftovers: tuple[Leftover, ...]
    kept: tuple[Kept, ...]

    @property
    def is_unclear(self) -> bool:
        """Of some model nobody could tell what is left over."""
        return any(kept.is_unclear for kept in self.kept)

    @property
    def frees(self) -> int:
        return sum(leftover.size for leftover in self.leftovers)


def plan_of(contents: CacheContents, choice: PruneChoice, now: float) -> PrunePlan:
    """What goes, sorted by kind, folder and name."""
    kept: list[Kept] = []
    found: list[Leftover] = []
    for model in contents.models:
        if model.problem:
            kept.append(Kept(model.folder, model.problem, is_unclear=True))
            continue
        leftovers, reasons = _Model(model, choice, now).judge()
        found += leftovers
        kept += [Kept(model.folder, reason) for reason in reasons]
    found += (leftover for leftover in _beside(contents) if _is_old(leftover.modified, choice.older_than, now))
    counted = _with_payloads(found, contents)
    order = {kind: number for number, kind in enumerate(Kind)}
    return PrunePlan(tuple(sorted(counted, key=lambda one: (order[one.kind], one.folder or "", one.name))), tuple(kept))


def _is_old(modified: float, seconds: float, now: float) -> bool:
    return seconds <= 0 or now - modified >= seconds


class _Model:
    """One model whose contents can be told."""

    def __init__(self, model: ModelContents, choice: PruneChoice, now: float) -> None:
        self._model = model
        self._choice = choice
        self._now = now
        self._held = {lock.guard for lock in model.locks if lock.held}
        self._reasons: dict[str, None] = {}

    def judge(self) -> tuple[list[Leftover], list[str]]:
        """What goes, and why something stays that else would go."""
        revisions = self._revisions()
        blobs = self._blobs()
        partials = self._partials()
        gone = {leftover.name for leftover in (*revisions, *blobs, *partials)}
        gone |= {blob for leftover in revisions for blob in leftover.blobs}
        return [*revisions, *blobs, *partials, *self._folder(gone), *self._locks(gone)], list(self._reasons)

    def _revisions(self) -> list[Leftover]:
        model = self._model
        newest = sorted(model.revisions, key=lambda one: (-one.modified, one.commit))[: self._choice.keep_last]
        spare = [one for one in model.revisions if one.commit not in model.refs and one not in newest]
        going = [one for one in spare if self._may_go(one.modified, quiet=True)]
        live = set[str]().union(*(one.blobs for one in model.revisions if one not in going))
        return list(self._leaving(going, live))

    def _leaving(self, going: Iterable[RevisionUse], taken: set[str]) -> Iterator[Leftover]:
        """Revisions with the blobs that go with each: those of none that stays, and of none before it."""
        sizes = {blob.name: blob.size for blob in self._model.blobs}
        for one in going:
            blobs = sorted(name for name in one.blobs - taken if name in sizes)
            taken.update(blobs)
            size = one.size + sum(sizes[name] for name in blobs)
            yield Leftover(Kind.REVISION, self._model.folder, one.commit, size, one.modified, tuple(blobs))

    def _blobs(self) -> list[Leftover]:
        model = self._model
        linked = set[str]().union(*(one.blobs for one in model.revisions))
        return [
            Leftover(Kind.BLOB, model.folder, blob.name, blob.size, blob.modified)
            for blob in model.blobs
            if blob.name not in linked and self._may_go(blob.modified)
        ]

    def _partials(self) -> list[Leftover]:
        installing = any(guard.endswith(COMMIT_LOCK) for guard in self._held)
        return [
            Leftover(Kind.PARTIAL, self._model.folder, piece.name, piece.size, piece.modified, guard=piece.guard)
            for piece in self._model.partials
            if piece.guard not in self._held and not installing and self._is_old(piece.modified)
        ]

    def _folder(self, gone: set[str]) -> list[Leftover]:
        model = self._model
        names = (
            *(one.commit for one in model.revisions),
            *(blob.name for blob in model.blobs),
            *(piece.name for piece in model.partials),
        )
        if not model.there or model.other or not gone.issuperset(names) or not self._may_go(model.modified, quiet=True):
            return []
        return [Leftover(Kind.FOLDER, model.folder, "", model.size, model.modified)]

    def _locks(self, gone: set[str]) -> list[Leftover]:
        """Nobody holds them; where a partial file stays, its lock stays with it."""
        guarding = {piece.guard for piece in self._model.partials if piece.name not in gone}
        return [
            Leftover(Kind.LOCK, self._model.folder, f"{lock.guard}.lock", 0, lock.modified, guard=lock.guard)
            for lock in self._model.locks
            if not lock.held and lock.guard not in guarding and self._is_old(lock.modified)
        ]

    def _may_go(self, modified: float, *, quiet: bool = False) -> bool:
        """Old enough, and no business of a download; a reason is noted only for what is old enough."""
        if not self._is_old(modified):
            return False
        if self._held:
            self._reasons[_BUSY] = None
            return False
        if quiet and self._now - modified < QUIET_SECONDS:
            self._reasons[_JUST_CHANGED if modified <= self._now else _IN_FUTURE] = None
            return False
        return True

    def _is_old(self, modified: float) -> bool:
        return _is_old(modified, self._choice.older_than, self._now)


def _beside(contents: CacheContents) -> Iterator[Leftover]:
    """What belongs to no model, or to none that is there."""
    yield from (Leftover(Kind.TRASH, None, one.name, one.size, one.modified) for one in contents.trash)
    yield from (
        Leftover(Kind.PAYLOAD, None, one.name, one.size, one.modified)
        for one in contents.payloads
        if one.users is not None and not one.users
    )
    yield from (
        Leftover(Kind.LOCK, None, f"{one.guard}.lock", 0, one.modified, guard=one.guard)
        for one in contents.payload_locks
        if not one.held
    )
    commits = {(model.folder, one.commit) for model in contents.models for one in model.revisions}
    unclear = {model.folder for model in contents.models if model.problem}
    yield from (
        Leftover(Kind.RECORD, one.folder, one.commit, one.size, one.modified)
        for one in contents.records
        if one.folder not in unclear and (one.folder, one.commit) not in commits
    )


def _with_payloads(found: Iterable[Leftover], contents: CacheContents) -> list[Leftover]:
    """Add the size of every payload whose users all go, to the first leftover that takes one of them."""
    leftovers = list(found)
    links = {(model.folder, blob.name): blob.payload for model in contents.models for blob in model.blobs}
    leaving = {(one.folder or "", name) for one in leftovers for name in _blobs_of(one)}
    sizes = {payload.name: payload.size for payload in contents.payloads if _goes(payload, leaving)}
    counted: list[Leftover] = []
    for one in leftovers:
        payloads = {links.get((one.folder or "", name)) for name in _blobs_of(one)}
        counted.append(one._replace(size=one.size + sum(sizes.pop(name, 0) for name in payloads if name)))
    return counted


def _blobs_of(leftover: Leftover) -> tuple[str, ...]:
    return (leftover.name,) if leftover.kind is Kind.BLOB else leftover.blobs


def _goes(payload: Payload, leaving: set[tuple[str, str]]) -> bool:
    users = payload.users
    return bool(users) and users is not None and users <= {f"{folder}/{name}" for folder, name in leaving}
