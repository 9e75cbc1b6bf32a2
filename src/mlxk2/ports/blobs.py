"""How the Hub names a file's content, in the cache and over the wire."""

import hashlib


def blob_name(content: bytes, *, lfs: bool) -> str:
    """sha256 of the content for large (LFS) files, git's blob sha1 for the rest."""
    if lfs:
        return hashlib.sha256(content).hexdigest()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()
