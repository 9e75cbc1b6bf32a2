"""What runs on this machine: `ps`, `stop` and `logs`."""

from dataclasses import dataclass, field
from typing import Literal

from mlxk2.entrypoints.cli.records.failures import ErrorEvent


@dataclass(frozen=True)
class ServerObject:
    """A server that runs. `memory_limit_bytes` is what its models may take together, null without a bound.

    `memory_taken_bytes` of it are taken, and `waiting` requests wait for a model that has no place yet. `problem` says
    why nothing is known of its memory and models; these fields are null then.
    """

    url: str
    port: int
    pid: int
    version: str
    started: str
    memory_limit_bytes: int | None
    memory_taken_bytes: int | None
    waiting: int | None
    problem: str | None


@dataclass(frozen=True)
class HeldObject:
    """A model in the memory of the server on `port`. `stage` says what goes on while it loads.

    `memory_bytes` is what its process takes now, `memory_limit_bytes` what it may take. `running` requests are being
    answered, `waiting` ones have not begun. `tokens_per_second` over the last few seconds. `expires_in`: seconds until
    it is unloaded if nobody asks for it, null when it stays or is in use.
    """

    name: str
    hash: str
    port: int
    state: Literal["loading", "loaded", "unloading"]
    stage: str | None
    memory_bytes: int
    memory_limit_bytes: int
    running: int
    waiting: int
    tokens_per_second: float
    generated_tokens: int
    idle_seconds: float | None
    expires_in: float | None
    pinned: bool
    restarts: int
    context_length: int | None


@dataclass(frozen=True)
class PsData:
    servers: list[ServerObject]
    models: list[HeldObject]
    count: int


@dataclass(frozen=True)
class LookEvent:
    """`ps --jsonl`: one look; `data` is what the command has under `data` with --json."""

    event: Literal["look"] = field(default="look", init=False)
    data: PsData


PsEvent = LookEvent | ErrorEvent
"""One line of `ps --jsonl`."""


@dataclass(frozen=True)
class UnloadedObject:
    """A model that the server on `port` has let go of."""

    name: str
    hash: str
    port: int


@dataclass(frozen=True)
class StopData:
    models: list[UnloadedObject]
    count: int


@dataclass(frozen=True)
class LogsData:
    """The end of a log, oldest line first. `running`: the server on `port` runs now."""

    port: int | None
    running: bool
    file: str
    lines: list[str]
