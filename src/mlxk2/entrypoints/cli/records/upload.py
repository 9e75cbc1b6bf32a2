"""What `push` uploads, or would."""

from dataclasses import dataclass, field

from mlxk2.entrypoints.cli.records.base import LEFT_OUT


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
