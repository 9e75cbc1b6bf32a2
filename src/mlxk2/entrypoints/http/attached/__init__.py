"""The door for this user's other programs: an engine and its pool, as `ports/attachment.py` writes them down."""

from mlxk2.entrypoints.http.attached.routes import routes

__all__ = ["routes"]
