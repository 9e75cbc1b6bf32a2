"""Which files are a model's weights, and which of them should be there.

mlx-lm loads every top-level `model*.safetensors` and reads no index; transformers reads the index. What makes a set
whole is known from the commit's recorded listing, else from the index, else from the numbers in `-00001-of-0000N`.
"""

import re
from collections.abc import Iterable
from enum import Enum
from typing import NamedTuple

from mlxk2.domain.contents import INDEX_FILE, NO_JSON, PYTORCH_INDEX_FILE
from mlxk2.domain.snapshot import Snapshot
from mlxk2.ports.contents import Broken, LargeJson, ShardIndex

LOADER_GLOB = re.compile(r"model[^/]*\.safetensors")
_LORA = frozenset({"adapters.safetensors", "adapter_model.safetensors"})
_SAFETENSORS = re.compile(r"[^/]+\.safetensors")
_GGUF = re.compile(r"(?:.+/)?(?!mmproj|.*imatrix)[^/]+\.gguf")
_NPZ = re.compile(r"[^/]+\.npz")
_PYTORCH = re.compile(r"pytorch_model(-\d{5}-of-\d{5})?\.bin|consolidated(\.\d+)?\.pth|model\.(pt|pth|bin)")
_NUMBERED = re.compile(r"(?P<stem>.+)-(?P<number>\d{5})-of-(?P<total>\d{5})(?P<ending>\.safetensors|\.bin|\.gguf)")
_MOST_SHARDS = 10_000


class WeightFormat(Enum):
    """The kinds of weight file, in the order in which a loader would prefer them."""

    SAFETENSORS = "safetensors"
    GGUF = "GGUF"
    NPZ = "NPZ"
    PYTORCH = "PyTorch"


class WeightSet(NamedTuple):
    """`expected` are the names that make the model whole, sorted; `index_problem` says why the index is unusable."""

    format: WeightFormat
    expected: tuple[str, ...]
    index_problem: str | None = None


def find_weights(snapshot: Snapshot) -> WeightSet | None:
    """The weights a loader would use, or None when the snapshot neither has nor expects any.

    Safetensors that are there or listed come first, since they are what the loader wants. Of other formats, what is
    there decides; a GGUF repo offers many quantizations of one model, so its listing is asked only when none is there.
    """
    present, listed = tuple(snapshot.files), tuple(snapshot.listing or ())
    whole = {*present, *listed}
    if INDEX_FILE in present or any(_is_safetensors(name) for name in whole):
        return _safetensors(snapshot, whole)
    for names in (present, listed):
        if gguf := [name for name in names if _GGUF.fullmatch(name)]:
            return WeightSet(WeightFormat.GGUF, _complete(gguf))
        if npz := [name for name in names if _NPZ.fullmatch(name)]:
            return WeightSet(WeightFormat.NPZ, tuple(sorted(npz)))
        if PYTORCH_INDEX_FILE in names or any(_PYTORCH.fullmatch(name) for name in names):
            pytorch = [name for name in whole if _PYTORCH.fullmatch(name)]
            return _with_index(snapshot, WeightFormat.PYTORCH, pytorch, PYTORCH_INDEX_FILE)
    return None


def loaded_bytes(snapshot: Snapshot) -> int:
    """The bytes on disk of what mlx-lm loads."""
    return sum(file.size for name, file in snapshot.files.items() if LOADER_GLOB.fullmatch(name))


def expected_bytes(snapshot: Snapshot, weights: WeightSet | None) -> int | None:
    """The bytes of what mlx-lm will load once all of it is here; None when it would load nothing.

    The commit's listing knows the size of what is missing. Without a listing what is here counts as it is.
    """
    listing = snapshot.listing or {}
    wanted = {name for name in (*snapshot.files, *(weights.expected if weights else ())) if LOADER_GLOB.fullmatch(name)}
    sizes = [(listing.get(name) or snapshot.files.get(name)) for name in wanted]
    return sum(entry.size for entry in sizes if entry) if wanted else None


def _is_safetensors(name: str) -> bool:
    return bool(_SAFETENSORS.fullmatch(name)) and name not in _LORA


def _safetensors(snapshot: Snapshot, names: set[str]) -> WeightSet:
    """Those that mlx-lm's glob finds, with what the index adds; other safetensors where there are none of these."""
    loadable = [name for name in names if LOADER_GLOB.fullmatch(name)]
    other = [name for name in names if _is_safetensors(name)]
    if loadable or not other:
        return _with_index(snapshot, WeightFormat.SAFETENSORS, loadable, INDEX_FILE)
    return WeightSet(WeightFormat.SAFETENSORS, _complete(other))


def has_only_lora(snapshot: Snapshot) -> bool:
    """LoRA weights without the model that they belong to."""
    return any(name in _LORA for name in snapshot.top_level)


def _with_index(snapshot: Snapshot, kind: WeightFormat, names: list[str], index: str) -> WeightSet:
    if not snapshot.has(index):
        return WeightSet(kind, _complete(names))
    content = snapshot.files[index].content
    if isinstance(content, LargeJson):
        return WeightSet(kind, _complete(names))
    if not isinstance(content, ShardIndex):
        why = (content if isinstance(content, Broken) else NO_JSON).why
        return WeightSet(kind, _complete(names), f"{index} {why}")
    indexed = content.shards
    if not indexed:
        return WeightSet(kind, _complete(names), f"{index} names no file")
    outside = [shard for shard in indexed if not _stays_inside(shard)]
    if outside:
        return WeightSet(kind, _complete(names), f"{index} names a file outside the model: {outside[0]}")
    listed = snapshot.listing
    known = _complete(indexed) if listed is None or not names else [name for name in indexed if name in listed]
    return WeightSet(kind, tuple(sorted({*names, *known})))


def _stays_inside(shard: str) -> bool:
    return "\\" not in shard and not any(part in ("", ".", "..") for part in shard.split("/"))


def _complete(names: Iterable[str]) -> tuple[str, ...]:
    """The names, with every missing number of a numbered set filled in; sets that count from 0 are left as they are."""
    whole = set(names)
    matches = [match for name in whole if (match := _NUMBERED.fullmatch(name))]
    from_zero = {match["stem"] for match in matches if int(match["number"]) == 0}
    for match in matches:
        if match["stem"] not in from_zero and int(match["total"]) <= _MOST_SHARDS:
            pattern = f"{match['stem']}-%05d-of-{match['total']}{match['ending']}"
            whole.update(pattern % number for number in range(1, int(match["total"]) + 1))
    return tuple(sorted(whole))
