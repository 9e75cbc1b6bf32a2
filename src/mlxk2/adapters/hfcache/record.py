"""Facts of one model in the form in which the index keeps them: JSON on one line.

```
model     [refs, folders in refs, [[commit, modified], ...], {blob: [size, payload], ...}, modified, locks, mark,
           {commit: snapshot, ...}]
snapshot  [edition, [[path, blob, size, kind, content...], ...], listing, places, mark]
```

A `mark` says how all the files and folders looked of which the facts tell (`witnesses.py`). A `size` of -1 is that of a
link to a blob that is not there; `kind` is a place in `_CONTENTS`, -1 for no content. `listing` is null where there is
none, true where it names just the files that are there, else its rows. `places` are folders and files of which the
snapshot's facts tell, but links and blobs; relative to the snapshot's folder.
"""

import json
from collections.abc import Callable, Iterable, Iterator
from typing import Any, NamedTuple

from mlxk2.ports.cache import BlobFact, FileFact, LinkState, ListedFile, RepoFacts, SnapshotEntry, SnapshotFacts
from mlxk2.ports.contents import (
    Broken,
    Content,
    GgufHeader,
    Json,
    LargeJson,
    LfsPointer,
    ModelCard,
    SafetensorsHeader,
    ShardIndex,
)

_CONTENTS: tuple[type[Content], ...] = (
    Json,
    LargeJson,
    ShardIndex,
    SafetensorsHeader,
    GgufHeader,
    ModelCard,
    LfsPointer,
    Broken,
)


_DECODE = json.JSONDecoder().raw_decode
"""`json.loads` without what it does before and after, which for a short line takes as long."""


class SnapshotRecord(NamedTuple):
    """As in the line; `edition` is that of the reader whose contents these are."""

    edition: str
    files: list[list[Any]]
    listing: list[list[Any]] | bool | None
    places: list[str]
    mark: int


class RepoRecord(NamedTuple):
    """As in the line; `locks` are those whose blobs are not here, which a download may take at any time."""

    refs: dict[str, str]
    ref_folders: list[str]
    snapshots: list[list[Any]]
    blobs: dict[str, list[Any]]
    modified: float
    locks: list[str]
    mark: int
    revisions: dict[str, list[Any]]


def encode(record: RepoRecord) -> bytes | None:
    """None when it is nested too deeply."""
    try:
        return json.dumps(record, separators=(",", ":")).encode("ascii")
    except (ValueError, RecursionError):
        return None


def decode(line: bytes) -> RepoRecord | None:
    """None of what has another shape."""
    try:
        return RepoRecord(*_DECODE(line.decode("ascii"))[0])
    except (ValueError, TypeError, RecursionError):
        return None


def repo_facts(folder: str, record: RepoRecord, used: Iterable[float]) -> RepoFacts:
    """`used` tells of every blob when it was last read."""
    return RepoFacts(
        folder=folder,
        refs=record.refs,
        snapshots=tuple(SnapshotEntry(commit, modified) for commit, modified in record.snapshots),
        blobs={
            name: BlobFact(size, LinkState.FILE, payload, when)
            for (name, (size, payload)), when in zip(record.blobs.items(), used, strict=True)
        },
        modified=record.modified,
    )


def snapshot_facts(commit: str, record: SnapshotRecord) -> SnapshotFacts:
    files = tuple([_file(path, blob, size, kind, fields) for path, blob, size, kind, *fields in record.files])
    if record.listing is True:
        return SnapshotFacts(commit, files, tuple(_listed(files)))
    rows = record.listing or ()
    return SnapshotFacts(commit, files, None if record.listing is None else tuple(ListedFile(*row) for row in rows))


def record_snapshot(facts: SnapshotFacts, edition: str, places: list[str], mark: int) -> SnapshotRecord:
    rows = [[file.path, file.blob, _size(file), *_flat(file.content)] for file in facts.files]
    if facts.listing is None:
        return SnapshotRecord(edition, rows, None, places, mark)
    whole = sorted(facts.listing) == sorted(_listed(facts.files))
    return SnapshotRecord(edition, rows, whole or [list(row) for row in facts.listing], places, mark)


def _listed(files: Iterable[FileFact]) -> Iterator[ListedFile]:
    """What a listing says of files that are just what they should be."""
    return (ListedFile(file.path, file.size, file.blob or "") for file in files)


def _size(file: FileFact) -> int:
    return file.size if file.state is LinkState.FILE else -1


def _file(path: str, blob: str | None, size: int, kind: int, fields: list[Any]) -> FileFact:
    if size < 0:
        return FileFact(path, LinkState.DANGLING, 0, blob)
    return FileFact(path, LinkState.FILE, size, blob, None if kind < 0 else _MAKE[kind](*fields))


def _flat(content: Content | None) -> list[Any]:
    return [-1] if content is None else [_CONTENTS.index(type(content)), *content]


def _shard_index(shards: list[str]) -> ShardIndex:
    return ShardIndex(tuple(shards))


def _model_card(library_name: str, pipeline_tag: str, tags: list[str]) -> ModelCard:
    return ModelCard(library_name, pipeline_tag, tuple(tags))


_WITH_TUPLES: dict[type[Content], Callable[..., Content]] = {ShardIndex: _shard_index, ModelCard: _model_card}
_MAKE: list[Callable[..., Content]] = [_WITH_TUPLES.get(kind, kind) for kind in _CONTENTS]
"""What makes each kind of content from its fields, of which JSON gives tuples back as lists."""
