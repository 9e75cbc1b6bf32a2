"""How the Hub names a file's content, in the cache and over the wire."""

import hashlib


class BlobHash:
    """Takes a file's hash piece by piece: sha256 for large (LFS) files, git's blob sha1 for the rest."""

    def __init__(self, size: int, *, lfs: bool) -> None:
        self._digest = hashlib.sha256() if lfs else hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)

    def update(self, piece: bytes | memoryview) -> None:
        self._digest.update(piece)

    def name(self) -> str:
        return self._digest.hexdigest()


def blob_name(content: bytes, *, lfs: bool) -> str:
    """The name of content that is all in memory."""
    digest = BlobHash(len(content), lfs=lfs)
    digest.update(content)
    return digest.name()
