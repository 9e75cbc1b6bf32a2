"""Facts of one snapshot: how each entry reaches its bytes, and as much of the bytes as the caller asked for.

A link is followed only when it stays in its model's folder (or, through a blob, in the shared Xet store); whatever
points elsewhere is reported and never opened.
"""

import os
import stat
from collections.abc import Iterator
from operator import itemgetter

from mlxk2.adapters.hfcache import layout
from mlxk2.adapters.hfcache.listings import Listings
from mlxk2.adapters.reading import excerpt
from mlxk2.ports.cache import (
    ContentReader,
    FileFact,
    LinkState,
    RepoFacts,
    SnapshotFacts,
)


class Trail:
    """What was come by on the way through a snapshot: the folders within, and whether other links than those of
    huggingface_hub's form."""

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.has_odd_links = False


def read_snapshot(
    root: str, repo: RepoFacts, commit: str, reader: ContentReader, listings: Listings, trail: Trail | None = None
) -> SnapshotFacts:
    """Read `snapshots/<commit>` of the model, and the listing of the commit; `trail` is filled on the way."""
    model = os.path.join(root, repo.folder)
    base = os.path.join(model, layout.SNAPSHOTS, commit)
    files = tuple(sorted(_walk(model, base, repo, reader, trail or Trail()), key=itemgetter(0)))
    listing = listings.read(repo.folder, commit)
    undecided = listing is None and (repo.partials or repo.held_locks)
    return SnapshotFacts(commit, files, listing, listings.named_blobs(repo.folder) if undecided else frozenset())


def _walk(model: str, base: str, repo: RepoFacts, reader: ContentReader, trail: Trail) -> Iterator[FileFact]:
    waiting = [(base, "")]
    while waiting:
        folder, prefix = waiting.pop()
        try:
            with os.scandir(folder) as scan:
                entries = list(scan)
        except OSError:
            yield FileFact(prefix.rstrip("/") or ".", LinkState.UNREADABLE)
            continue
        to_blobs = "../" * (prefix.count("/") + 2) + f"{layout.BLOBS}/"
        for entry in entries:
            path = prefix + entry.name
            if entry.is_symlink():
                link, name = _link(entry, to_blobs)
                trail.has_odd_links |= name is None
                fact = _linked_file(path, name, repo) if name else _other_link(model, entry, path, link, repo)
                yield _read(fact, f"{model}/{layout.BLOBS}/{fact.blob}" if fact.blob else entry.path, reader)
            elif entry.is_dir(follow_symlinks=False):
                trail.folders.append(path)
                waiting.append((entry.path, f"{path}/"))
            else:
                yield _read(_plain_file(entry, path), entry.path, reader)


def _link(entry: os.DirEntry[str], to_blobs: str) -> tuple[str | None, str | None]:
    """Where a link leads, and the blob that it names when it is of huggingface_hub's form, which begins so."""
    try:
        link = os.readlink(entry.path)
    except OSError:
        return None, None
    name = link[len(to_blobs) :]
    return link, name if link.startswith(to_blobs) and "/" not in name else None


def _linked_file(path: str, name: str, repo: RepoFacts) -> FileFact:
    blob = repo.blobs.get(name)
    if blob is None:
        return FileFact(path, LinkState.DANGLING, blob=name)
    return FileFact(path, blob.state, blob.size, name)


def _plain_file(entry: os.DirEntry[str], path: str) -> FileFact:
    try:
        info = entry.stat(follow_symlinks=False)
    except OSError:
        return FileFact(path, LinkState.UNREADABLE)
    state = LinkState.FILE if stat.S_ISREG(info.st_mode) else LinkState.NOT_A_FILE
    return FileFact(path, state, info.st_size)


def _other_link(model: str, entry: os.DirEntry[str], path: str, link: str | None, repo: RepoFacts) -> FileFact:
    """A link that is not of huggingface_hub's form: fine when it ends at a blob or file inside the model's folder."""
    if link is None:
        return FileFact(path, LinkState.UNREADABLE)
    goal = os.path.normpath(os.path.join(os.path.dirname(entry.path), link))
    known = repo.blobs.get(os.path.basename(goal)) if os.path.dirname(goal) == f"{model}/{layout.BLOBS}" else None
    if known is not None:
        return FileFact(path, known.state, known.size, os.path.basename(goal))
    real = os.path.realpath(entry.path)
    inside = os.path.realpath(model)
    if os.path.commonpath([real, inside]) != inside:
        return FileFact(path, LinkState.OUTSIDE)
    try:
        info = os.stat(real)
    except OSError:
        return FileFact(path, LinkState.DANGLING)
    if not stat.S_ISREG(info.st_mode):
        return FileFact(path, LinkState.NOT_A_FILE)
    blob = os.path.basename(real) if os.path.dirname(real) == os.path.join(inside, layout.BLOBS) else None
    return FileFact(path, LinkState.FILE, info.st_size, blob)


def _read(fact: FileFact, full_path: str, reader: ContentReader) -> FileFact:
    reading = reader.probe(fact.path, fact.size) if fact.state is LinkState.FILE and fact.size else None
    if reading is None:
        return fact
    try:
        head, tail = excerpt(full_path, fact.size, reading)
    except FileNotFoundError:
        return FileFact(fact.path, LinkState.DANGLING, blob=fact.blob)
    except OSError:
        return FileFact(fact.path, LinkState.UNREADABLE, fact.size, fact.blob)
    content = reader.digest(fact.path, fact.size, head, tail)
    return FileFact(fact.path, fact.state, fact.size, fact.blob, content)
