"""Reads, locks, installs into and deletes from the Hugging Face cache; the only adapter that writes there."""

from mlxk2.adapters.hfcache.cache import HfCache

__all__ = ["HfCache"]
