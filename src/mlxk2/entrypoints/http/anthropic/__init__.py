"""Anthropic's Messages API (docs/server-anthropic.md).

`wire` and `blocks` are the bodies that come in, `replies` what goes out; `parse`, `conversation`, `tools` and
`thinking` translate the one, `writer` and `content` the other.
"""

from mlxk2.entrypoints.http.anthropic.routes import OPERATIONS, routes

__all__ = ["OPERATIONS", "routes"]
