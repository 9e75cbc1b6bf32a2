"""What is on the Hub, and what comes from there: `search` and `pull`."""

from dataclasses import dataclass, field
from typing import Literal

from mlxk2.entrypoints.cli.records.base import LEFT_OUT
from mlxk2.entrypoints.cli.records.failures import ErrorEvent


@dataclass(frozen=True)
class UpdateObject:
    """`cached_hash` is the commit in the cache, or null; `hub_hash` the one that the Hub has now."""

    available: bool
    cached_hash: str | None
    hub_hash: str


@dataclass(frozen=True)
class PullData:
    """`expanded_name` is the full name that a short one stood for, or null.

    `hash` and `bytes_fetched` come with a success, `update` with --check-update. Beside an error, once the reference
    could be read, `download_status` is "failed".
    """

    model: str
    download_status: Literal["success", "already_exists", "failed", "error", "unknown"]
    message: str
    expanded_name: str | None
    hash: str | None = field(default=None, metadata=LEFT_OUT)
    bytes_fetched: int | None = field(default=None, metadata=LEFT_OUT)
    update: UpdateObject | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class StartEvent:
    """`--jsonl`: what is going to happen. `bytes_missing` are those that have to be fetched."""

    event: Literal["start"] = field(default="start", init=False)
    model: str
    hash: str
    files: int
    bytes_total: int
    bytes_missing: int


@dataclass(frozen=True)
class FileProgressObject:
    name: str
    bytes_done: int
    bytes_total: int


@dataclass(frozen=True)
class ProgressEvent:
    """`--jsonl`: at most two a second. `bytes_verified` are the ones whose hash is taken; `files` those under way."""

    event: Literal["progress"] = field(default="progress", init=False)
    bytes_done: int
    bytes_verified: int
    bytes_total: int
    bytes_per_second: int | None
    seconds_left: int | None
    files: list[FileProgressObject]


@dataclass(frozen=True)
class VerifyEvent:
    """`--jsonl`: a file is complete and its hash is right; `fetched` is false when it was in the cache before."""

    event: Literal["verify"] = field(default="verify", init=False)
    name: str
    fetched: bool


@dataclass(frozen=True)
class NoticeEvent:
    """`--jsonl`: why nothing happens for a while."""

    event: Literal["notice"] = field(default="notice", init=False)
    message: str


@dataclass(frozen=True)
class DoneEvent:
    """`--jsonl`: the last line of a success; `data` is what the command has under `data` with --json."""

    event: Literal["done"] = field(default="done", init=False)
    data: PullData


PullEvent = StartEvent | ProgressEvent | VerifyEvent | NoticeEvent | DoneEvent | ErrorEvent
"""One line of `pull --jsonl`."""


@dataclass(frozen=True)
class FoundObject:
    """A model on the Hub. `size_bytes` are its weights, and `fits` whether they fit into this machine's memory.

    Both are null where nobody can tell.
    """

    name: str
    size_bytes: int | None
    fits: bool | None
    downloads: int
    likes: int
    last_modified: str | None
    gated: bool
    cached: bool


@dataclass(frozen=True)
class SearchData:
    models: list[FoundObject]
    count: int
