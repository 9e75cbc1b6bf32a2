"""How the Hub describes a model, a file and a folder in JSON."""

import hashlib
import json
from collections.abc import Collection, Iterator
from datetime import datetime
from math import prod
from typing import Any

from .content import Blob
from .repository import Commit, File, Model

Json = dict[str, Any]

_CONFIG_KEYS = ("architectures", "model_type", "quantization_config", "quantization")
_LARGEST_HEADER = 25_000_000


def timestamp(date: datetime) -> str:
    return date.strftime("%Y-%m-%dT%H:%M:%S.") + f"{date.microsecond // 1000:03d}Z"


def describe_model(model: Model, commit: Commit, names: Collection[str] | None = None, *, blobs: bool = False) -> Json:
    """All that is known about a model at a commit, or only the named properties and the id."""
    everything: Json = {
        "modelId": model.id,
        "author": model.namespace,
        "sha": commit.oid,
        "lastModified": timestamp(commit.date),
        "createdAt": timestamp(model.created_at),
        "private": model.private,
        "gated": "manual" if model.gated is True else model.gated,
        "disabled": False,
        "downloads": model.downloads,
        "downloadsAllTime": model.downloads,
        "likes": model.likes,
        "trendingScore": 0,
        "tags": list(model.tags),
        "pipeline_tag": model.pipeline_tag,
        "library_name": model.library_name,
        "siblings": [_sibling(path, file, blobs=blobs) for path, file in commit.files.items()],
        "usedStorage": sum(file.blob.size for file in commit.files.values()),
        "config": _config(commit),
        "safetensors": _safetensors(model, commit),
    }
    known = {name: value for name, value in everything.items() if value is not None}
    if names is not None:
        known = {name: value for name, value in known.items() if name in names}
    return {"_id": _object_id(model.id), "id": model.id, **known}


def describe_file(path: str, file: File) -> Json:
    described: Json = {"type": "file", "oid": file.oid, "size": file.blob.size, "path": path}
    if file.is_lfs:
        described["lfs"] = {"oid": file.blob.sha256, "size": file.blob.size, "pointerSize": len(file.pointer)}
    if file.xet_hash is not None:
        described["xetHash"] = file.xet_hash
    return described


def describe_folder(path: str, commit: Commit) -> Json:
    content = "".join(file.oid for name, file in commit.files.items() if name.startswith(f"{path}/"))
    return {"type": "directory", "oid": _sha1(content), "size": 0, "path": path}


def describe_change(commit: Commit) -> Json:
    return {"id": commit.oid, "title": commit.title, "date": timestamp(commit.date)}


def _sibling(path: str, file: File, *, blobs: bool) -> Json:
    described: Json = {"rfilename": path}
    if blobs:
        described |= {"size": file.blob.size, "blobId": file.oid}
        if file.is_lfs:
            described["lfs"] = {"sha256": file.blob.sha256, "size": file.blob.size, "pointerSize": len(file.pointer)}
    return described


def _config(commit: Commit) -> Json | None:
    file = commit.files.get("config.json")
    try:
        config = json.loads(file.blob.read()) if file else None
    except ValueError:
        return None
    return {key: config[key] for key in _CONFIG_KEYS if key in config} if isinstance(config, dict) else None


def _safetensors(model: Model, commit: Commit) -> Json | None:
    parameters = dict(model.parameters or {})
    if model.parameters is None:
        for path, file in commit.files.items():
            if path.endswith(".safetensors"):
                for kind, count in _tensors(file.blob):
                    parameters[kind] = parameters.get(kind, 0) + count
    return {"parameters": parameters, "total": sum(parameters.values())} if parameters else None


def _tensors(blob: Blob) -> Iterator[tuple[str, int]]:
    length = int.from_bytes(blob.body.piece(0, 8), "little")
    if blob.size < 8 + length or length > _LARGEST_HEADER:
        return
    try:
        header = json.loads(blob.body.piece(8, length))
    except ValueError:
        return
    for name, tensor in header.items():
        if name != "__metadata__":
            yield tensor["dtype"], prod(tensor["shape"])


def _object_id(text: str) -> str:
    return _sha1(text)[:24]


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()
