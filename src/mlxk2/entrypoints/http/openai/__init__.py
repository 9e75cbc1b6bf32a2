"""OpenAI's API (docs/server-openai.md).

`chat` and `completions` are its two ways to ask a model; `models` lists them, `tokens` counts and shows their tokens.
`complaints` words what is wrong with a body, `absent` what this server has not.
"""

from mlxk2.entrypoints.http.openai.operations import OPERATIONS
from mlxk2.entrypoints.http.openai.routes import routes

__all__ = ["OPERATIONS", "routes"]
