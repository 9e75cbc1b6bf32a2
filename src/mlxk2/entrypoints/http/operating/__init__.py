"""The door for whoever runs the server: is it alive, can it answer, its numbers, and which models it holds."""

from mlxk2.entrypoints.http.operating.routes import OPERATIONS, routes

__all__ = ["OPERATIONS", "routes"]
