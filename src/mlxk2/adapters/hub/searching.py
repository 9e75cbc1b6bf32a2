"""What the Hub tells of a model that a search found."""

from typing import Any, Final, Literal

from mlxk2.ports.hub import FoundModel

_Property = Literal["downloads", "gated", "lastModified", "likes", "safetensors", "tags"]
SEARCHED: Final[list[_Property]] = ["downloads", "gated", "lastModified", "likes", "safetensors", "tags"]
_BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64}
"""Of the types whose name does not end in their number of bits."""


def found_model(info: Any) -> FoundModel:
    """huggingface_hub's record as ours."""
    modified = info.last_modified.timestamp() if info.last_modified else None
    tags = tuple(info.tags or ())
    return FoundModel(
        info.id, _weights(info.safetensors), info.downloads or 0, info.likes or 0, modified, bool(info.gated), tags
    )


def _weights(safetensors: Any) -> int | None:
    """Bytes of the weights, from the numbers of parameters of each type; None when they are not told."""
    parameters = getattr(safetensors, "parameters", None)
    if not parameters:
        return None
    try:
        return sum(int(count) * _bits(kind) for kind, count in parameters.items()) // 8
    except ValueError:
        return None


def _bits(kind: str) -> int:
    """`BF16` → 16, `F8_E4M3` → 8. Raises ValueError for a type that nobody knows."""
    return _BITS.get(kind) or int(kind.partition("_")[0].lstrip("BFIU"))
