"""What `version` says."""

from dataclasses import dataclass


@dataclass(frozen=True)
class SystemObject:
    memory_total_bytes: int


@dataclass(frozen=True)
class VersionData:
    cli_version: str
    json_api_spec_version: str
    system: SystemObject | None
