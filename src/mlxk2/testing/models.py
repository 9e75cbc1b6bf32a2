"""Healthy models of each kind, as descriptions for `MemoryCache` or `write_cache`."""

import hashlib
from collections.abc import Mapping
from dataclasses import replace

from mlxk2.adapters.memory import StoredFile, StoredModel, StoredRevision
from mlxk2.ports.cache import ListedFile
from mlxk2.testing.files import document, gguf, safetensors

DEFAULT_NAME = "mlx-community/tiny-4bit"
CONFIG: dict[str, object] = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "quantization": {"group_size": 64, "bits": 4},
    "max_position_embeddings": 2048,
    "vocab_size": 1000,
    "hidden_size": 64,
    "num_attention_heads": 4,
    "num_hidden_layers": 2,
}
TOKENIZER_CONFIG: dict[str, object] = {"chat_template": "{{ messages }}"}


def healthy_model(
    name: str = DEFAULT_NAME, *, shards: int = 1, indexed: bool = True, files: Mapping[str, bytes] | None = None
) -> StoredModel:
    """An MLX chat model; several `shards` come with their index unless `indexed` is False. `files` are added."""
    return _model(name, {**_text_files(), **_weights(shards, indexed=indexed), **(files or {})})


def gguf_model(name: str = "bartowski/tiny-GGUF") -> StoredModel:
    """A repo that holds one GGUF file and nothing else."""
    return _model(name, {"tiny-Q4_K_M.gguf": gguf()})


def pytorch_model(name: str = "org/tiny-pt") -> StoredModel:
    """A transformers repo with `.bin` weights."""
    config = {key: value for key, value in CONFIG.items() if key != "quantization"}
    return _model(name, {"config.json": document(config), "pytorch_model.bin": b"PK\x03\x04 weights"})


def encoder_model(name: str = "mlx-community/tiny-encoder") -> StoredModel:
    """A sentence encoder in MLX format."""
    return _model(
        name,
        {
            "config.json": document({"model_type": "bert", "architectures": ["BertModel"]}),
            "model.safetensors": safetensors(),
            "vocab.txt": b"[PAD]\n[UNK]\n",
            "modules.json": document([{"path": ""}, {"path": "1_Pooling"}]),
            "1_Pooling/config.json": document({"pooling_mode_mean_tokens": True}),
        },
    )


def with_files(model: StoredModel, changes: Mapping[str, StoredFile | bytes | None]) -> StoredModel:
    """The same model with files replaced, added, or (None) taken away, in every revision."""
    return replace(
        model,
        revisions={
            commit: replace(revision, files=_changed(revision.files, changes))
            for commit, revision in model.revisions.items()
        },
    )


def with_listing(model: StoredModel) -> StoredModel:
    """The same model with each commit's full listing recorded, as `snapshot_download` does."""
    return replace(
        model,
        revisions={
            commit: replace(revision, listing=listing_of(revision.files))
            for commit, revision in model.revisions.items()
        },
    )


def listing_of(files: Mapping[str, StoredFile]) -> tuple[ListedFile, ...]:
    return tuple(ListedFile(path, len(file.content), file.etag) for path, file in sorted(files.items()))


def commit_of(name: str, number: int = 1) -> str:
    """A commit (40 hex) that depends on nothing but its arguments."""
    return hashlib.sha1(f"{name}#{number}".encode(), usedforsecurity=False).hexdigest()


def stored(files: Mapping[str, bytes]) -> dict[str, StoredFile]:
    """Contents as stored files, weights by sha256 and the rest by git's hash."""
    large = (".safetensors", ".gguf", ".bin")
    return {path: StoredFile(content, path.endswith(large)) for path, content in files.items()}


def _model(name: str, files: Mapping[str, bytes]) -> StoredModel:
    commit = commit_of(name)
    folder = "models--" + name.replace("/", "--")
    return StoredModel(folder, {commit: StoredRevision(stored(files), 1_700_000_000.0)}, {"main": commit})


def _text_files() -> dict[str, bytes]:
    return {
        "config.json": document(CONFIG),
        "tokenizer.json": document({"version": "1.0", "model": {"type": "BPE"}}),
        "tokenizer_config.json": document(TOKENIZER_CONFIG),
        "README.md": b"---\nlibrary_name: mlx\ntags:\n- mlx\n---\n# tiny\n",
    }


def _weights(shards: int, *, indexed: bool) -> dict[str, bytes]:
    if shards == 1:
        return {"model.safetensors": safetensors()}
    names = [f"model-{number:05d}-of-{shards:05d}.safetensors" for number in range(1, shards + 1)]
    weights = {name: safetensors(tensors={f"weight{number}": number + 3}) for number, name in enumerate(names)}
    index = {"metadata": {}, "weight_map": {f"weight{number}": name for number, name in enumerate(names)}}
    return {**weights, "model.safetensors.index.json": document(index)} if indexed else weights


def _changed(
    files: Mapping[str, StoredFile], changes: Mapping[str, StoredFile | bytes | None]
) -> dict[str, StoredFile]:
    changed = dict(files)
    for path, change in changes.items():
        if change is None:
            changed.pop(path, None)
        else:
            changed[path] = stored({path: change})[path] if isinstance(change, bytes) else change
    return changed
