"""Where files are made before they get their names.

A folder for each commit beside its lock, used by the lock's holder alone: what a kill leaves in it is in nobody's way,
and the next holder clears it. In the model's folder it would be taken for a ref or a file of the snapshot. Within it
everyone has a folder of their own: who deletes a model takes its locks along, and one that is pulled again at once has
two holders, who must not write into the same file.
"""

import contextlib
import os
import secrets
import shutil

from mlxk2.adapters.hfcache.trees import delete_tree

_NAME = "made"


class Workshop:
    """Makes one file at a time."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        delete_tree(folder)
        own = os.path.join(folder, secrets.token_hex(4))
        os.makedirs(own)
        self._made = os.path.join(own, _NAME)

    def write(self, path: str, content: bytes) -> None:
        """A file with this content, there at once or not at all."""
        with open(self._made, "wb") as file:
            file.write(content)
        self._name(path)

    def link(self, path: str, goal: str) -> None:
        """A symbolic link. Raises OSError where the file system has none."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._made)
        os.symlink(goal, self._made)
        self._name(path)

    def copy(self, path: str, source: str) -> None:
        shutil.copyfile(source, self._made)
        self._name(path)

    def close(self) -> None:
        delete_tree(self._folder)

    def _name(self, path: str) -> None:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.replace(self._made, path)
