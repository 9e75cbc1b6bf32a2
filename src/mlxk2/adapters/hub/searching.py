"""Looking for models on the Hub.

huggingface_hub's own search tries again by rules of its own, and prints addresses while it does; its record is used.
"""

from typing import Any

from huggingface_hub import ModelInfo, get_session, hf_raise_for_status

from mlxk2.ports.hub import FoundModel

_EXPANDED = ("downloads", "gated", "lastModified", "likes", "safetensors", "tags")
_BITS = {"BOOL": 8, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6, "C64": 64}
"""Of the types whose name does not end in their number of bits."""


def find(
    endpoint: str, headers: dict[str, str], words: str, *, author: str | None, tag: str | None, limit: int
) -> list[FoundModel]:
    """As many pages as the limit takes, most often one."""
    wanted = {"search": words, "author": author, "filter": tag, "sort": "downloads", "limit": limit}
    params = {name: value for name, value in wanted.items() if value is not None}
    response = get_session().get(f"{endpoint}/api/models", params={**params, "expand": _EXPANDED}, headers=headers)
    found: list[FoundModel] = []
    while True:
        hf_raise_for_status(response)
        page = response.json()
        found += [_found_model(item) for item in page]
        following = response.links.get("next", {}).get("url", "")
        if not page or len(found) >= limit or not following.startswith(f"{endpoint}/"):
            return found[:limit]
        response = get_session().get(following, headers=headers)


def _found_model(item: dict[str, Any]) -> FoundModel:
    """The Hub's record, read by huggingface_hub, as ours."""
    info: Any = ModelInfo(**item)  # type: ignore[no-untyped-call]
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
