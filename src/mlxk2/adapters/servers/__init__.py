"""The `Servers` port over record files (docs/ADR/0015): each server writes one while it runs."""

from mlxk2.adapters.servers.records import RecordedServers

__all__ = ["RecordedServers"]
