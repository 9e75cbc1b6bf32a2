"""What a file of a model holds, boiled down to what the rules of health and classification ask.

`domain/contents.py` makes these from the bytes that an adapter read. They are small and plain, whatever the size of
the file, so that an adapter may keep them.
"""

from typing import NamedTuple

JsonValue = None | bool | int | float | str | list["JsonValue"] | dict[str, "JsonValue"]


class Json(NamedTuple):
    """A JSON document; of those that can be large, only the keys that a rule asks for."""

    value: JsonValue


class LargeJson(NamedTuple):
    """A JSON object too large to parse in passing; both ends look right. `has_template`: one of them names one."""

    has_template: bool = False


class ShardIndex(NamedTuple):
    """The files that an index of weights names, sorted."""

    shards: tuple[str, ...]


class SafetensorsHeader(NamedTuple):
    """The header of a complete file; `format` is its `__metadata__.format`, such as "mlx" or "pt"."""

    format: str | None
    is_empty: bool


class GgufHeader(NamedTuple):
    """A header of a known version with at least one tensor."""


class ModelCard(NamedTuple):
    """The keys of README.md's front matter that classify a model; `tags` in small letters."""

    library_name: str = ""
    pipeline_tag: str = ""
    tags: tuple[str, ...] = ()


class LfsPointer(NamedTuple):
    """A git-LFS pointer stands where the file should be (git clone without LFS)."""


class Broken(NamedTuple):
    """Why a file's content is not what its name promises, as the second half of a sentence about the file."""

    why: str


Content = Json | LargeJson | ShardIndex | SafetensorsHeader | GgufHeader | ModelCard | LfsPointer | Broken
