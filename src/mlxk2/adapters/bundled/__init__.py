"""The demo model, whose files ship inside the package."""

from mlxk2.adapters.bundled.demo import BundledDemo

__all__ = ["BundledDemo"]
