"""An error as scripts see it."""

from dataclasses import dataclass, field
from typing import Literal

from mlxk2.entrypoints.cli.records.base import LEFT_OUT


@dataclass(frozen=True)
class ErrorObject:
    """`matches` comes with `ambiguous_match`, `available_hashes` when a revision is ambiguous.

    The numbers of tokens come with `context_length_exceeded`, those of bytes with `not_enough_memory`.
    """

    type: str
    message: str
    matches: list[str] | None = field(default=None, metadata=LEFT_OUT)
    available_hashes: list[str] | None = field(default=None, metadata=LEFT_OUT)
    prompt_tokens: int | None = field(default=None, metadata=LEFT_OUT)
    context_length: int | None = field(default=None, metadata=LEFT_OUT)
    needed_bytes: int | None = field(default=None, metadata=LEFT_OUT)
    limit_bytes: int | None = field(default=None, metadata=LEFT_OUT)
    details: str | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class ErrorEvent:
    """`--jsonl`: the last line of a failure; `error` is what the command has under `error` with --json."""

    event: Literal["error"] = field(default="error", init=False)
    error: "ErrorObject"
