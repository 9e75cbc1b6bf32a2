"""`mlxk2 show`."""

import json
import re
from argparse import Namespace
from collections.abc import Callable
from typing import Literal

from mlxk2.domain.inspection import ModelSummary
from mlxk2.domain.metadata import ModelMetadata
from mlxk2.domain.names import printable
from mlxk2.domain.sizes import size
from mlxk2.domain.usecases.show_model import ModelDetails
from mlxk2.entrypoints.cli import human, model_view
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.models import FileObject, MetadataObject, ShowData
from mlxk2.ports.cache import FileFact, LinkState

FileType = Literal["config", "weights", "tokenizer", "document", "code", "other"]

_FILE_TYPES: tuple[tuple[re.Pattern[str], FileType], ...] = (
    (re.compile(r".*\.(safetensors|gguf|pth|pt|npz)|.*pytorch_model.*\.bin"), "weights"),
    (re.compile(r"(.*/)?(tokenizer.*|vocab.*|merges\.txt|special_tokens_map\.json|added_tokens\.json)"), "tokenizer"),
    (re.compile(r".*(\.tiktoken|\.jinja|spiece\.model|bpe\.model|chat_template\.json)"), "tokenizer"),
    (re.compile(r".*\.json"), "config"),
    (re.compile(r".*\.(md|txt|pdf)|(.*/)?(LICENSE|NOTICE).*"), "document"),
    (re.compile(r".*\.py"), "code"),
)


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    details = services().show_model()(args.model)
    if out.json:
        out.document(success("show", _data(details, args)))
        return 0
    for line in _lines(details, args, services().clock().now(), out):
        out.result(line)
    return 0


def file_type(path: str) -> FileType:
    return next((kind for pattern, kind in _FILE_TYPES if pattern.fullmatch(path)), "other")


def _data(details: ModelDetails, args: Namespace) -> ShowData:
    strict = model_view.is_strict(args.json_spec)
    config = dict(details.config) if args.config and details.config else None
    return ShowData(
        model=model_view.strict_object(details.summary) if strict else model_view.model_object(details.summary),
        metadata=_metadata(details.metadata),
        files=[_file(file) for file in details.files] if args.files else None,
        config=config,
        model_config=config,
    )


def _metadata(metadata: ModelMetadata | None) -> MetadataObject | None:
    if metadata is None:
        return None
    return MetadataObject(
        model_type=metadata.model_type,
        quantization=metadata.quantization,
        quantization_group_size=metadata.quantization_group_size,
        context_length=metadata.context_length,
        vocab_size=metadata.vocab_size,
        hidden_size=metadata.hidden_size,
        intermediate_size=metadata.intermediate_size,
        num_attention_heads=metadata.num_attention_heads,
        num_key_value_heads=metadata.num_key_value_heads,
        num_hidden_layers=metadata.num_hidden_layers,
        torch_dtype=metadata.torch_dtype,
        architectures=list(metadata.architectures),
    )


def _file(file: FileFact) -> FileObject:
    return FileObject(file.path, size(file.size, space=""), file_type(file.path))


def _lines(details: ModelDetails, args: Namespace, now: float, out: Output) -> list[str]:
    lines = human.facts(_facts(details.summary, now, out) + _numbers(details.metadata))
    if args.files:
        rows = [[printable(file.path), size(file.size), _state(file)] for file in details.files]
        lines += ["", *human.table(["FILE", "SIZE", "TYPE"], rows, width=out.width, right=frozenset({"SIZE"}))]
    if args.config:
        missing = "config.json is missing or cannot be read"
        lines += ["", json.dumps(details.config, indent=2) if details.config else missing]
    return lines


def _facts(summary: ModelSummary, now: float, out: Output) -> list[tuple[str, str]]:
    kind = summary.classification
    health, runtime = summary.health, summary.compatibility
    broken = f": {health.reason}" if health.reason else ""
    able = "yes" if health.healthy else "yes, once its files are repaired"
    return [
        ("Name", out.styled(summary.name, "bold")),
        ("Revision", summary.commit or "none"),
        ("Size", size(summary.size)),
        ("Modified", f"{human.utc(summary.modified)} ({human.age(summary.modified, now)})"),
        ("Framework", kind.framework.value),
        ("Type", kind.model_type.value),
        ("Capabilities", ", ".join(capability.value for capability in kind.capabilities) or "none known"),
        ("Health", f"{model_view.styled_health(summary, out)}{broken}"),
        ("Runs here", f"no: {runtime.reason}" if runtime.reason else able),
    ]


def _numbers(metadata: ModelMetadata | None) -> list[tuple[str, str]]:
    if metadata is None:
        return []
    found = (
        ("Architecture", metadata.model_type),
        ("Quantization", metadata.quantization),
        ("Context", f"{metadata.context_length:,} tokens" if metadata.context_length else None),
        ("Vocabulary", f"{metadata.vocab_size:,} tokens" if metadata.vocab_size else None),
        ("Layers", metadata.num_hidden_layers),
        ("Hidden size", metadata.hidden_size),
        ("Heads", metadata.num_attention_heads),
    )
    return [(label, printable(str(value))) for label, value in found if value is not None]


def _state(file: FileFact) -> str:
    return file_type(file.path) if file.state is LinkState.FILE else file.state.value
