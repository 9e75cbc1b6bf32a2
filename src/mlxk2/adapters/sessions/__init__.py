"""The `SessionStore` port over JSON files, one a conversation."""

from mlxk2.adapters.sessions.files import FileSessions

__all__ = ["FileSessions"]
