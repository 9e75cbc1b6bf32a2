"""The JSON API's records: what `data` and `error` hold, field by field.

`docs/json-api-schema.json` is generated from these classes. A field that `LEFT_OUT` marks is absent, not null, when it
has no value. Sizes are bytes, times UTC in `YYYY-MM-DDTHH:MM:SSZ`.
"""

from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache
from typing import Any, Literal

Framework = Literal["MLX", "GGUF", "PyTorch", "Unknown"]
ModelType = Literal["chat", "embedding", "base", "unknown"]
Capability = Literal["text-generation", "chat", "embeddings", "vision", "audio"]
HealthWord = Literal["healthy", "unhealthy"]


LEFT_OUT = {"left_out": True}
"""Marks a field that is absent from the JSON object while it is None."""


@dataclass(frozen=True)
class StrictModelObject:
    """A model, in the form of JSON API 0.1.3."""

    name: str
    hash: str | None
    size_bytes: int
    last_modified: str
    framework: Framework
    model_type: ModelType
    capabilities: list[Capability]
    health: HealthWord
    cached: bool


@dataclass(frozen=True)
class ModelObject:
    """A model: `reason` is the first problem in words, integrity before runtime, or null."""

    name: str
    hash: str | None
    size_bytes: int
    last_modified: str
    framework: Framework
    model_type: ModelType
    capabilities: list[Capability]
    health: HealthWord
    runtime_compatible: bool
    reason: str | None
    cached: bool


@dataclass(frozen=True)
class ListData:
    models: list[ModelObject] | list[StrictModelObject]
    count: int


@dataclass(frozen=True)
class FileObject:
    """`size` is for people, such as "1.2KB"."""

    name: str
    size: str
    type: Literal["config", "weights", "tokenizer", "document", "code", "other"]


@dataclass(frozen=True)
class MetadataObject:
    """Numbers of config.json, null where it does not say; `quantization` is such as "4bit"."""

    model_type: str | None
    quantization: str | None
    quantization_group_size: int | None
    context_length: int | None
    vocab_size: int | None
    hidden_size: int | None
    intermediate_size: int | None
    num_attention_heads: int | None
    num_key_value_heads: int | None
    num_hidden_layers: int | None
    torch_dtype: str | None
    architectures: list[str]


@dataclass(frozen=True)
class ShowData:
    """`config` and `model_config` are the same document; absent when not asked for, or when it is missing or broken."""

    model: ModelObject | StrictModelObject
    metadata: MetadataObject | None
    files: list[FileObject] | None = field(default=None, metadata=LEFT_OUT)
    config: dict[str, Any] | None = field(default=None, metadata=LEFT_OUT)
    model_config: dict[str, Any] | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class HealthRow:
    name: str
    status: HealthWord
    reason: str | None


@dataclass(frozen=True)
class HealthSummary:
    total: int
    healthy_count: int
    unhealthy_count: int


@dataclass(frozen=True)
class HealthData:
    healthy: list[HealthRow]
    unhealthy: list[HealthRow]
    summary: HealthSummary


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


@dataclass(frozen=True)
class ErrorEvent:
    """`--jsonl`: the last line of a failure; `error` is what the command has under `error` with --json."""

    event: Literal["error"] = field(default="error", init=False)
    error: "ErrorObject"


PullEvent = StartEvent | ProgressEvent | VerifyEvent | NoticeEvent | DoneEvent | ErrorEvent


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


@dataclass(frozen=True)
class RemovalPlanObject:
    """What goes, and the bytes freed. `refs` and `blobs` are named for a revision; a whole model takes them all."""

    whole_model: bool
    revisions: list[str]
    refs: list[str]
    blobs: list[str]
    frees_bytes: int
    lock_files: list[str]


@dataclass(frozen=True)
class RemoveResult:
    """`action` is "planned" for a dry run, and then `plan` is there; "failed" occurs only in the results of a glob."""

    model: str
    action: Literal["deleted", "planned", "failed"]
    message: str
    plan: RemovalPlanObject | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class RemoveManyData:
    """The answer to a glob."""

    results: list[RemoveResult]


@dataclass(frozen=True)
class LocksData:
    """`data` of a `locks_present` error; names are relative to the cache folder."""

    model: str
    locks_detected: Literal[True]
    lock_files: list[str]


@dataclass(frozen=True)
class PromptTokensObject:
    """`cached_tokens` of the prompt were not computed again."""

    cached_tokens: int


@dataclass(frozen=True)
class UsageObject:
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptTokensObject


@dataclass(frozen=True)
class TimingsObject:
    """Seconds; `tokens_per_second` is the speed after the first token, 0 when there was no second one."""

    load_seconds: float
    first_token_seconds: float
    total_seconds: float
    tokens_per_second: float


@dataclass(frozen=True)
class RunData:
    model: str
    prompt: str
    response: str
    usage: UsageObject
    finish_reason: Literal["stop", "length"]
    timings: TimingsObject


@dataclass(frozen=True)
class ChangeSummary:
    added: int
    modified: int
    deleted: int


@dataclass(frozen=True)
class IgnoredObject:
    """A file, or (its name ends in "/") a folder that stays at home, and why in words."""

    name: str
    reason: str


@dataclass(frozen=True)
class WorkspaceHealth:
    """The verdict on the folder as a model: what `health` would say of it in the cache."""

    healthy: bool
    reason: str | None


@dataclass(frozen=True)
class PushData:
    """Fields about the commit are null when none was made."""

    repo_id: str
    branch: str
    repo_url: str
    commit_sha: str | None
    commit_url: str | None
    uploaded_files_count: int
    local_files_count: int
    no_changes: bool | None
    created_repo: bool
    change_summary: ChangeSummary | None
    message: str
    experimental: bool
    disclaimer: str
    hf_logs: list[str] | None = field(default=None, metadata=LEFT_OUT)
    local_files: list[str] | None = field(default=None, metadata=LEFT_OUT)
    ignored_files: list[IgnoredObject] | None = field(default=None, metadata=LEFT_OUT)
    workspace_health: WorkspaceHealth | None = field(default=None, metadata=LEFT_OUT)
    dry_run: bool | None = field(default=None, metadata=LEFT_OUT)
    dry_run_summary: ChangeSummary | None = field(default=None, metadata=LEFT_OUT)
    added_files: list[str] | None = field(default=None, metadata=LEFT_OUT)
    modified_files: list[str] | None = field(default=None, metadata=LEFT_OUT)
    deleted_files: list[str] | None = field(default=None, metadata=LEFT_OUT)


@dataclass(frozen=True)
class ServeData:
    """Printed once the server listens. `url` reaches it from this machine; `models` can be asked for.

    `loading` are being loaded at once; `api_key_required`: clients must send a key.
    """

    url: str
    host: str
    port: int
    pid: int
    models: list[str]
    loading: list[str]
    api_key_required: bool


@dataclass(frozen=True)
class OptionObject:
    """An option of `serve`. `value` is in bytes or seconds where it is a size or a time.

    It is null where there is no bound or the program decides, and for a secret, whose `source` alone tells that it is
    set.
    """

    name: str
    variable: str
    value: str | int | float | bool | list[str] | None
    source: Literal["environment", "file", "default"]


@dataclass(frozen=True)
class ConfigData:
    """`file` is the configuration file that was read, or null; `usual_file` the one that is looked for by itself."""

    file: str | None
    usual_file: str
    options: list[OptionObject]


@dataclass(frozen=True)
class SystemObject:
    memory_total_bytes: int


@dataclass(frozen=True)
class VersionData:
    cli_version: str
    json_api_spec_version: str
    system: SystemObject | None


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


Data = (
    ListData
    | ShowData
    | HealthData
    | PullData
    | PushData
    | SearchData
    | RemoveResult
    | RemoveManyData
    | LocksData
    | RunData
    | ServeData
    | ConfigData
    | VersionData
)

DATA_OF_COMMAND: dict[str, Any] = {
    "list": ListData,
    "show": ShowData,
    "health": HealthData,
    "pull": PullData,
    "rm": RemoveResult | RemoveManyData,
    "push": PushData,
    "search": SearchData,
    "run": RunData,
    "serve": ServeData,
    "config": ConfigData,
    "version": VersionData,
}
"""Every command's `data` on success; `rm` may carry LocksData beside an error."""


def to_json(value: Any) -> Any:
    """Records as plain JSON values, left-out fields dropped."""
    if isinstance(value, (list, tuple)):
        return [to_json(item) for item in value]
    names = _field_names(value.__class__)
    if names is None:
        return value
    return {
        name: to_json(content)
        for name, left_out in names
        if (content := getattr(value, name)) is not None or not left_out
    }


@cache
def _field_names(kind: type) -> tuple[tuple[str, bool], ...] | None:
    """(name, left out while None) of a record's fields; None for whatever is no record."""
    if not is_dataclass(kind):
        return None
    return tuple((entry.name, bool(entry.metadata.get("left_out"))) for entry in fields(kind))
