"""Every way in which a cached model has been seen broken, one call each."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from enum import Enum

from mlxk2.adapters.memory import Placement, StoredFile, StoredModel
from mlxk2.ports.cache import ListedFile
from mlxk2.testing.files import document, lfs_pointer, safetensors
from mlxk2.testing.models import DEFAULT_NAME, commit_of, healthy_model, with_files, with_listing

_ETAG = "f" * 64
_SHARD = "model-00002-of-00002.safetensors"
_INDEX = "model.safetensors.index.json"


class Pathology(Enum):
    """Names of the damages; `sick_model` makes one."""

    MISSING_CONFIG = "config.json is not there"
    BROKEN_CONFIG = "config.json is not JSON"
    CONFIG_IS_A_LIST = "config.json is [1]"
    CONFIG_NOT_UTF8 = "config.json is not UTF-8"
    EMPTY_CONFIG_OBJECT = "config.json is {}"
    NO_WEIGHTS = "no weight file"
    ONLY_LORA = "only LoRA weights"
    MISSING_SHARD = "one of two shards is not there, the index names it"
    MISSING_SHARD_NO_INDEX = "one of two numbered shards is not there, and no index"
    TRUNCATED_SHARD = "a shard ends early"
    GARBAGE_WEIGHTS = "a weight file without a safetensors header"
    EMPTY_WEIGHTS = "a weight file of no bytes"
    LFS_POINTER = "a git-LFS pointer in place of the weights"
    DANGLING_WEIGHTS = "the weights are a dangling link"
    DANGLING_SHARED = "the payload in the shared Xet store is gone"
    LINK_OUTSIDE = "a link that leaves the model's folder"
    BLOB_OUTSIDE = "a blob that is a link out of the cache"
    LINK_TO_FOLDER = "the weights are a link to a folder"
    INDEX_OUTSIDE = "the index names a file outside the model"
    INDEX_IS_A_LIST = "the index is a list"
    NO_TOKENIZER = "no tokenizer file"
    BROKEN_TOKENIZER_CONFIG = "tokenizer_config.json is not JSON"
    BROKEN_LARGE_TOKENIZER = "a large tokenizer.json that ends early"
    LISTED_FILE_MISSING = "a file of the commit's listing is not there"
    LISTED_SIZE_DIFFERS = "a file has another size than the listing says"
    DOWNLOAD_IN_PROGRESS = "another process downloads one of its blobs"
    DOWNLOAD_INCOMPLETE = "an unfinished download was left behind"
    NO_SNAPSHOT = "refs/main names a snapshot that is not there"


def sick_model(pathology: Pathology, name: str = DEFAULT_NAME) -> StoredModel:
    """An MLX model with this one damage."""
    return _MAKERS[pathology](name)


def _files(changes: Mapping[str, StoredFile | bytes | None], *, shards: int = 1) -> Callable[[str], StoredModel]:
    return lambda name: with_files(healthy_model(name, shards=shards), changes)


def _placed(placement: Placement, path: str = "model.safetensors") -> Callable[[str], StoredModel]:
    return _files({path: StoredFile(safetensors(), lfs=True, placement=placement)})


def _listed_file_missing(name: str) -> StoredModel:
    return with_files(with_listing(healthy_model(name)), {"tokenizer_config.json": None})


def _listed_size_differs(name: str) -> StoredModel:
    model = with_listing(healthy_model(name))
    (commit,) = model.revisions
    revision = model.revisions[commit]
    rows = tuple(
        ListedFile(row.path, row.size + 5, row.blob) if row.path == "tokenizer.json" else row
        for row in revision.listing or ()
    )
    return replace(model, revisions={commit: replace(revision, listing=rows)})


def _no_snapshot(name: str) -> StoredModel:
    return StoredModel(healthy_model(name).folder, {}, {"main": commit_of(name)})


def _in_progress(name: str) -> StoredModel:
    return replace(healthy_model(name), held_locks=frozenset({_ETAG}), partials=((_ETAG, 7),))


_MAKERS: dict[Pathology, Callable[[str], StoredModel]] = {
    Pathology.MISSING_CONFIG: _files({"config.json": None}),
    Pathology.BROKEN_CONFIG: _files({"config.json": b'{"model_type": "llama"'}),
    Pathology.CONFIG_IS_A_LIST: _files({"config.json": b"[1]"}),
    Pathology.CONFIG_NOT_UTF8: _files({"config.json": b'{"model_type": "\xff\xfe"}'}),
    Pathology.EMPTY_CONFIG_OBJECT: _files({"config.json": b"{}"}),
    Pathology.NO_WEIGHTS: _files({"model.safetensors": None}),
    Pathology.ONLY_LORA: _files({"model.safetensors": None, "adapters.safetensors": safetensors()}),
    Pathology.MISSING_SHARD: _files({_SHARD: None}, shards=2),
    Pathology.MISSING_SHARD_NO_INDEX: _files({_SHARD: None, _INDEX: None}, shards=2),
    Pathology.TRUNCATED_SHARD: _files({_SHARD: safetensors()[:-3]}, shards=2),
    Pathology.GARBAGE_WEIGHTS: _files({"model.safetensors": b"\x10\x00\x00\x00\x00\x00\x00\x00 not a header at all"}),
    Pathology.EMPTY_WEIGHTS: _files({"model.safetensors": b""}),
    Pathology.LFS_POINTER: _files({"model.safetensors": lfs_pointer()}),
    Pathology.DANGLING_WEIGHTS: _placed(Placement.DANGLING),
    Pathology.DANGLING_SHARED: _placed(Placement.SHARED_DANGLING),
    Pathology.LINK_OUTSIDE: _placed(Placement.OUTSIDE),
    Pathology.BLOB_OUTSIDE: _placed(Placement.OUTSIDE_BLOB),
    Pathology.LINK_TO_FOLDER: _placed(Placement.FOLDER),
    Pathology.INDEX_OUTSIDE: _files({_INDEX: document({"weight_map": {"w": "../../../secret.safetensors"}})}, shards=2),
    Pathology.INDEX_IS_A_LIST: _files({_INDEX: b"[1, 2]"}, shards=2),
    Pathology.NO_TOKENIZER: _files({"tokenizer.json": None}),
    Pathology.BROKEN_TOKENIZER_CONFIG: _files({"tokenizer_config.json": b"{,}"}),
    Pathology.BROKEN_LARGE_TOKENIZER: _files({"tokenizer.json": b'{"vocab": "' + b"x" * 300_000}),
    Pathology.LISTED_FILE_MISSING: _listed_file_missing,
    Pathology.LISTED_SIZE_DIFFERS: _listed_size_differs,
    Pathology.DOWNLOAD_IN_PROGRESS: _in_progress,
    Pathology.DOWNLOAD_INCOMPLETE: lambda name: replace(healthy_model(name), partials=((_ETAG, 7),)),
    Pathology.NO_SNAPSHOT: _no_snapshot,
}
