"""The `CacheSweeper` port on a real Hugging Face cache."""

import os
from collections.abc import Sequence

from mlxk2.adapters.hfcache.access import access
from mlxk2.adapters.hfcache.leftovers import read_contents
from mlxk2.adapters.hfcache.listings import Listings
from mlxk2.adapters.hfcache.sweeping import sweep
from mlxk2.ports.pruning import CacheContents, Leftover, Swept


class HfSweeper:
    """Of one cache folder, which need not exist. `state_dir` as for `HfCache`."""

    def __init__(self, root: str, state_dir: str | None = None) -> None:
        self._root = os.path.abspath(root)
        self._listings = Listings(self._root, state_dir)

    def contents(self) -> CacheContents:
        with access(f"the cache folder {self._root}"):
            return read_contents(self._root)._replace(records=tuple(self._listings.stored()))

    def sweep(self, leftovers: Sequence[Leftover]) -> Swept:
        with access(f"the cache folder {self._root}"):
            return sweep(self._root, self._listings, leftovers)
