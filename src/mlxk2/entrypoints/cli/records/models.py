"""A model as `list`, `show` and `health` tell of it."""

from dataclasses import dataclass, field
from typing import Any, Literal

from mlxk2.entrypoints.cli.records.base import LEFT_OUT

Framework = Literal["MLX", "GGUF", "PyTorch", "Unknown"]
ModelType = Literal["chat", "embedding", "base", "unknown"]
Capability = Literal["text-generation", "chat", "embeddings", "vision", "audio"]
HealthWord = Literal["healthy", "unhealthy"]


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
