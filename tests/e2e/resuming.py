"""Whether pulls go on from where others ended, at whatever speed: what the cache has is not asked for again."""

import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from tests.e2e.pulling import FOLDER, OWN_PARTIAL, etag
from tests.loopback_hub import LoopbackHub

_HEADER = struct.Struct("<8sIIQ")
_COUNT = struct.Struct("<Q")


class Span(NamedTuple):
    """Bytes of a file."""

    path: str
    start: int
    stop: int

    def overlaps(self, other: "Span") -> bool:
        return self.path == other.path and max(self.start, other.start) < min(self.stop, other.stop)


class Repeated(NamedTuple):
    """What was asked for although some of it was there."""

    asked: Span
    there: Span


class Resuming:
    """Watches a cache between pulls, each of which may have ended anywhere."""

    def __init__(self, hub: LoopbackHub, root: Path, files: Mapping[str, bytes]) -> None:
        self._hub = hub
        self._blobs = {path: root / FOLDER / "blobs" / etag(path, content) for path, content in files.items()}
        self._sizes = {path: len(content) for path, content in files.items()}
        self._looks: list[tuple[int, list[Span]]] = []
        """How many requests there had been, and what was on the disk by then."""

    def look(self) -> int:
        """Remember what the cache has while nobody works on it. Returns how many bytes that is.

        A request of a killed pull may be counted late; it is for bytes that were missing, or resuming is broken.
        """
        found = [
            Span(path, start, stop)
            for path, blob in self._blobs.items()
            for start, stop in _on_disk(blob, self._sizes[path])
        ]
        self._looks.append((len(self._hub.requests), found))
        return sum(span.stop - span.start for span in found)

    def repeated(self) -> list[Repeated]:
        """Every request for bytes that were there at an earlier look, whatever has become of them since then."""
        asked = list(self._asked())
        return [
            Repeated(span, there)
            for before, found in self._looks
            for number, span in asked
            for there in found
            if number >= before and span.overlaps(there)
        ]

    def _asked(self) -> Iterator[tuple[int, Span]]:
        """What the requests for content asked for, with their numbers."""
        for number, request in enumerate(self._hub.requests):
            if request.is_for_content:
                for path, size in self._sizes.items():
                    if request.path.endswith(f"/{path}"):
                        part = request.part(size)
                        yield number, Span(path, part.start, part.start + part.count)


def _on_disk(blob: Path, size: int) -> Iterator[tuple[int, int]]:
    """The parts of a blob that are there: all of a finished one, else what the map of its partial file counts.

    The form of the map is the one that its documentation gives. Raises AssertionError for any other.
    """
    partial = blob.with_name(f"{blob.name}{OWN_PARTIAL}")
    length = partial.stat().st_size if partial.exists() else 0
    if blob.exists() or length == size:
        yield 0, size
    elif length:
        assert length >= size + _HEADER.size, f"{partial.name} has {length} bytes, and no map behind {size} of content"
        with partial.open("rb") as file:
            file.seek(size)
            magic, _, segment, mapped = _HEADER.unpack(file.read(_HEADER.size))
            assert (magic, mapped) == (b"MLXK2MAP", size)
            for number, (count,) in enumerate(_COUNT.iter_unpack(file.read())):
                if count:
                    yield number * segment, number * segment + count
