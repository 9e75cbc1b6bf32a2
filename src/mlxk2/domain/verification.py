"""Which hash every file of a revision should have, and what is wrong when it has another.

Blobs are named by the hash of their content: sha256 (64 hexadecimal digits) for large files, git's blob sha1 (40) for
the others; what counts is the name after the first hop, since a blob may be a link into the shared store. A file whose
blob has no such name, or that is no blob, is held against the commit's listing. What has neither cannot be checked.
"""

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from mlxk2.domain.health import DAMAGED, of_files
from mlxk2.domain.names import printable
from mlxk2.ports.cache import FileFact, LinkState, SnapshotFacts
from mlxk2.ports.verifying import Hashed, Target

_GIT = re.compile(r"[0-9a-f]{40}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNREACHABLE = {
    LinkState.DANGLING: "is a dangling link",
    LinkState.OUTSIDE: "is a link that leaves the model's folder",
    LinkState.UNREADABLE: "cannot be read",
    LinkState.NOT_A_FILE: "is not a file",
}


class Wanted(NamedTuple):
    """A file of a revision, its content, and a hash that this should have."""

    path: str
    target: Target
    expected: str


class Revision(NamedTuple):
    """What can be checked of a snapshot: `unknown` are files without a known hash, `broken` those without content."""

    commit: str
    wanted: tuple[Wanted, ...]
    unknown: tuple[str, ...]
    broken: tuple["Damage", ...]


class Damage(NamedTuple):
    """A file that is not what it should be; `why` as half a sentence, both hashes as far as there are any."""

    commit: str
    path: str
    why: str
    expected: str | None = None
    found: str | None = None


def expectations(folder: str, facts: SnapshotFacts, blobs: dict[tuple[str, bool], Target]) -> Revision:
    """What there is to check in a snapshot.

    `blobs` are the targets of the folder's blobs so far: each has one, whatever files of whatever revisions hold it.
    """
    listed = {row.path: row.blob for row in facts.listing or ()}
    wanted: list[Wanted] = []
    unknown: list[str] = []
    broken: list[Damage] = []
    for file in facts.files:
        if file.state in _UNREACHABLE:
            broken.append(Damage(facts.commit, file.path, _UNREACHABLE[file.state]))
            continue
        hashes = [name for name in dict.fromkeys((file.blob, listed.get(file.path))) if name and _is_hash(name)]
        if hashes:
            wanted += (Wanted(file.path, _target(folder, facts.commit, file, name, blobs), name) for name in hashes)
        else:
            unknown.append(file.path)
    return Revision(facts.commit, tuple(wanted), tuple(unknown), tuple(broken))


def damage_of(commit: str, wanted: Wanted, hashed: Hashed) -> Damage | None:
    """What the hash of a file's content says of it."""
    if hashed.problem:
        return Damage(commit, wanted.path, hashed.problem, wanted.expected)
    if hashed.hash == wanted.expected:
        return None
    return Damage(commit, wanted.path, _why(wanted), wanted.expected, hashed.hash)


def damages(revision: Revision, found: Mapping[Target, Hashed]) -> tuple[Damage, ...]:
    """Every file of the revision that is wrong, once each, sorted by path."""
    wrong = {damage.path: damage for damage in revision.broken}
    for wanted in revision.wanted:
        damage = damage_of(revision.commit, wanted, found[wanted.target])
        if damage:
            wrong.setdefault(damage.path, damage)
    return tuple(wrong[path] for path in sorted(wrong))


def reason(found: Iterable[Damage], chosen: str | None) -> str | None:
    """In words, for the row of a model whose snapshot `chosen` stands for it; None where there is no damage.

    A content that several revisions share is named once.
    """
    distinct: dict[tuple[str, str | None], Damage] = {}
    for damage in sorted(found, key=lambda one: (one.commit != chosen, one.commit, one.path)):
        distinct.setdefault((damage.path, damage.expected), damage)
    if not distinct:
        return None
    parts: dict[tuple[str, str], list[str]] = {}
    for damage in distinct.values():
        parts.setdefault((damage.commit, damage.why), []).append(damage.path)
    sentences = (
        of_files(paths, why, "" if commit == chosen else f" (revision {commit[:12]})")
        for (commit, why), paths in parts.items()
    )
    return printable("; ".join(sentences))


def _why(wanted: Wanted) -> str:
    blob = wanted.target.blob
    if blob and _is_hash(blob) and blob != wanted.expected:
        return "is not the file that the commit has under this name"
    return DAMAGED


def _target(folder: str, commit: str, file: FileFact, expected: str, blobs: dict[tuple[str, bool], Target]) -> Target:
    sha256 = _SHA256.fullmatch(expected) is not None
    if file.blob is None:
        return Target(folder, None, commit, file.path, file.size, sha256)
    return blobs.setdefault((file.blob, sha256), Target(folder, file.blob, None, file.path, file.size, sha256))


def _is_hash(name: str) -> bool:
    return _SHA256.fullmatch(name) is not None or _GIT.fullmatch(name) is not None
