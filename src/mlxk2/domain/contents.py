"""What is inside a model's files, boiled down from the few bytes that an adapter read.

Formats: safetensors (u64 header length, JSON header, data; https://github.com/huggingface/safetensors), GGUF
("GGUF", u32 version, u64 tensors, u64 metadata), git-LFS pointers, JSON, and the front matter of a model card.
`READER` tells adapters which bytes these rules need, and what to keep of them, so that reading stays cheap on a large
cache.
"""

import json
import re
from collections.abc import Callable

from mlxk2.ports.cache import ContentReader, Ends, Head, LengthPrefixed, Reading
from mlxk2.ports.contents import (
    Broken,
    Content,
    GgufHeader,
    Json,
    JsonValue,
    LargeJson,
    LfsPointer,
    ModelCard,
    SafetensorsHeader,
    ShardIndex,
)

FULL_PARSE_LIMIT = 256 * 1024
"""JSON files up to this many bytes are parsed whole; of larger ones only both ends are looked at."""

INDEX_FILE = "model.safetensors.index.json"
PYTORCH_INDEX_FILE = "pytorch_model.bin.index.json"
LOADER_JSON = frozenset(
    {
        "config.json",
        "generation_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "added_tokens.json",
        "vocab.json",
        "chat_template.json",
        "hf_quant_config.json",
    }
)
"""Top-level JSON files that mlx-lm and the tokenizer library read when they load a model."""
_OTHER_JSON = frozenset({"modules.json"})

_RAW_DECODE = json.JSONDecoder().raw_decode
_SAFETENSORS_HEADER_LIMIT = 100 * 1000 * 1000
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_CARD_LENGTH = 16 * 1024
_INDICES = frozenset({INDEX_FILE, PYTORCH_INDEX_FILE})
_ALWAYS_WHOLE = _INDICES | {"config.json"}
_LARGEST_WHOLE = 16 * 1024 * 1024  # per-layer quantization and many shards make files of a megabyte
_ENDS_LENGTH = 16 * 1024  # the end of a large tokenizer_config.json still shows its chat_template key
NO_JSON = Broken("is not valid JSON")
NO_SAFETENSORS = Broken("is not a safetensors file")
NO_GGUF = Broken("is not a GGUF file")
_WEIGHT_ENDINGS = (".bin", ".pth", ".pt", ".npz")


def probe(path: str, size: int) -> Reading | None:
    """Which bytes of a file the rules want; of files in sub-folders only weights are looked at."""
    if path.endswith(".gguf"):
        return Head(64)
    if path.endswith(".safetensors"):
        return LengthPrefixed(_SAFETENSORS_HEADER_LIMIT)
    if "/" in path:
        return None
    if path in _ALWAYS_WHOLE:
        return Head(_LARGEST_WHOLE)
    if path in LOADER_JSON or path in _OTHER_JSON:
        return Head(FULL_PARSE_LIMIT) if size <= FULL_PARSE_LIMIT else Ends(_ENDS_LENGTH)
    if path == "README.md":
        return Head(_CARD_LENGTH)
    if path.endswith(_WEIGHT_ENDINGS) or path in ("tokenizer.model", "merges.txt", "vocab.txt", "chat_template.jinja"):
        return Head(64)
    return None


def digest(path: str, size: int, head: bytes, tail: bytes) -> Content | None:
    """What the rules need of a file of `size` bytes, from what `probe` asked for; None when its bytes say nothing."""
    if size < 1024 and _LFS_POINTER in head:
        return LfsPointer()
    if path.endswith(".gguf"):
        return _gguf(head)
    if path.endswith(".safetensors"):
        return _safetensors(size, head)
    if path == "README.md":
        return _card(head)
    if path in _INDICES:
        return _json(size, head, tail, _shards)
    if path in LOADER_JSON or path in _OTHER_JSON:
        return _json(size, head, tail, _KEPT.get(path, _nothing_of))
    return None


def _json(size: int, head: bytes, tail: bytes, keep: Callable[[JsonValue], Content]) -> Content:
    """The document as the loader would read it (strict UTF-8, no byte-order mark); by its ends when not read whole."""
    if len(head) < size:
        return _check_ends(head, tail)
    try:
        return keep(_loads(head.decode("utf-8")))
    except (ValueError, RecursionError):
        return NO_JSON


def _whole(document: JsonValue) -> Json:
    return Json(document if isinstance(document, dict) else None)


def _nothing_of(document: JsonValue) -> Json:
    return Json({} if isinstance(document, dict) else None)


def _whether_it_has(key: str) -> Callable[[JsonValue], Json]:
    """Keeps of one key no more than whether its value counts as true."""

    def keep(document: JsonValue) -> Json:
        if not isinstance(document, dict):
            return Json(None)
        return Json({key: bool(document[key])} if key in document else {})

    return keep


def _paths_of_modules(document: JsonValue) -> Json:
    modules = document if isinstance(document, list) else []
    return Json([{"path": module.get("path")} for module in modules if isinstance(module, dict)])


def _shards(document: JsonValue) -> ShardIndex | Broken:
    """The files that an index names, when it is a map from tensors to names."""
    shards = document.get("weight_map") if isinstance(document, dict) else None
    names = list(shards.values()) if isinstance(shards, dict) else [None]
    if not all(isinstance(name, str) for name in names):
        return Broken("has no weight_map")
    return ShardIndex(tuple(sorted({name for name in names if isinstance(name, str)})))


_KEPT: dict[str, Callable[[JsonValue], Content]] = {
    "config.json": _whole,
    "generation_config.json": _whole,
    "tokenizer.json": _whether_it_has("model"),
    "tokenizer_config.json": _whether_it_has("chat_template"),
    "chat_template.json": _whether_it_has("chat_template"),
    "modules.json": _paths_of_modules,
}
"""What is kept of a JSON file; of the others only whether they are objects."""


def _loads(text: str) -> JsonValue:
    """`json.loads` without what it does before and after decoding, which for small files takes as long."""
    try:
        value, end = _RAW_DECODE(text)
    except (ValueError, StopIteration):
        value, end = json.loads(text), len(text)  # leading white space, or the error in full
    if text[end:].strip(" \t\n\r"):
        raise ValueError("something follows the document")
    result: JsonValue = value
    return result


def _check_ends(head: bytes, tail: bytes) -> Broken | LargeJson:
    first, last = head.lstrip()[:1], tail.rstrip()[-1:]
    if (first, last) == (b"[", b"]"):
        return Broken("is not a JSON object")
    if (first, last) != (b"{", b"}"):
        return NO_JSON
    return LargeJson(any(b'"chat_template"' in end for end in (head, tail)))


def _safetensors(size: int, head: bytes) -> SafetensorsHeader | Broken:
    """Check that the file is complete: 8 + header + the end of the last tensor is exactly its size."""
    length = int.from_bytes(head[:8], "little")
    if size < 8 or length > _SAFETENSORS_HEADER_LIMIT:
        return NO_SAFETENSORS
    if 8 + length > size:
        return Broken(f"is truncated: {size} bytes, less than its header needs ({8 + length})")
    header = head[8 : 8 + length]
    found = _read_plain_header(header) or _read_any_header(header)
    if found is None:
        return Broken("has a damaged safetensors header")
    end, format_name = found
    expected = 8 + length + end
    if size != expected:
        word = "is truncated" if size < expected else "is too long"
        return Broken(f"{word}: {size} of {expected} bytes")
    return SafetensorsHeader(format_name, is_empty=end == 0)


def _read_any_header(header: bytes) -> tuple[int, str | None] | None:
    """(end of the last tensor, format) of any valid header, None of a damaged one."""
    try:
        tensors = json.loads(header)
        metadata = tensors.pop("__metadata__", None)
        end = max([int(tensor["data_offsets"][1]) for tensor in tensors.values()], default=0)
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError, OverflowError):
        return None
    format_name = metadata.get("format") if isinstance(metadata, dict) else None
    return end, format_name if isinstance(format_name, str) else None


_PLAIN_TENSOR = re.compile(
    rb'(?<=[{,])"[^"\\\x00-\x1f\x80-\xff]+":'
    rb'\{"dtype":"[A-Z0-9_]+","shape":\[[0-9,]*\],"data_offsets":\[[0-9]+,([0-9]+)\]\}(?=[,}])'
)
_PLAIN_REST = re.compile(rb'\{(?:"__metadata__":\{"format":"([a-z]*)"\})?(,*)\} *')


def _read_plain_header(header: bytes) -> tuple[int, str | None] | None:
    """The same for a header exactly as the safetensors library writes it, in half the time; None of any other.

    Cuts out every tensor in that form; what remains must be the braces, the metadata and one comma between any two.
    """
    parts = _PLAIN_TENSOR.split(header)
    rest = _PLAIN_REST.fullmatch(b"".join(parts[::2]))
    tensors = len(parts) // 2
    if rest is None or not tensors or len(rest[2]) != tensors - (rest[1] is None):
        return None
    return max(map(int, parts[1::2])), None if rest[1] is None else rest[1].decode()


def _gguf(head: bytes) -> GgufHeader | Broken:
    """A readable GGUF header: magic, a known version (1 to 3), at least one tensor."""
    if head[:4] != b"GGUF":
        return NO_GGUF
    if len(head) < 24 or not 1 <= int.from_bytes(head[4:8], "little") <= 3:
        return Broken("has a GGUF header that cannot be read")
    return GgufHeader() if int.from_bytes(head[8:16], "little") else Broken("holds no tensors")


_FRONT_MATTER = re.compile(r"\A---\r?\n(.*?)(?:\r?\n---|\Z)", re.DOTALL)
_SCALAR = re.compile(r"^(library_name|pipeline_tag):[ \t]*['\"]?([\w.-]+)", re.MULTILINE)
_TAGS = re.compile(r"^tags:[ \t]*(?:\[([^\]]*)\]|((?:\r?\n[ \t]*- .*)*))", re.MULTILINE)


def _card(head: bytes) -> ModelCard:
    """Never fails: a card without readable front matter says nothing."""
    match = _FRONT_MATTER.match(head.decode("utf-8", "replace"))
    if not match:
        return ModelCard()
    matter = match[1]
    scalars = dict(_SCALAR.findall(matter))
    tags = _TAGS.search(matter)
    words = re.split(r",|\r?\n[ \t]*- ", tags[1] or tags[2] or "") if tags else []
    return ModelCard(
        scalars.get("library_name", ""),
        scalars.get("pipeline_tag", ""),
        tuple(word.strip(" \t\r\n'\"").lower() for word in words if word.strip()),
    )


READER = ContentReader(probe, digest, edition="1")
