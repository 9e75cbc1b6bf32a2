"""Nothing below the cache may lead out of it: the folders that are read and changed must be folders, not links."""

import os

from mlxk2.adapters.hfcache import layout
from mlxk2.ports.errors import AccessProblem

PARTS = (layout.BLOBS, layout.SNAPSHOTS, layout.REFS, layout.TREES, layout.NO_EXIST)


def refuse_links(root: str, folder: str) -> None:
    """Raises AccessProblem when the model's folder, a part of it, or its place among the locks is a link."""
    locks = os.path.join(root, layout.LOCKS)
    model = os.path.join(root, folder)
    parts = [os.path.join(model, part) for part in PARTS]
    for path in (model, *parts, locks, os.path.join(locks, folder), os.path.join(locks, layout.TRASH)):
        if os.path.islink(path):
            shown = os.path.relpath(path, root)
            raise AccessProblem(
                f"{shown} in the cache is a link to another place; nothing was changed, remove the link"
            )
