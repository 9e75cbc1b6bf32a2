"""Which files of a repo a pull takes.

Many repos hold the same weights in several formats. MLX reads safetensors, so by default the best format that is there
is taken and its duplicates are left; everything that is not weights comes along.
"""

import re
from collections.abc import Sequence
from enum import IntEnum
from fnmatch import fnmatchcase
from typing import NamedTuple

from mlxk2.domain.names import printable
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.sources import SourceFile

_SHOWN = 4


class _Format(IntEnum):
    """Formats of weights, the one that MLX prefers first."""

    SAFETENSORS = 0
    NPZ = 1
    PYTORCH = 2
    GGUF = 3
    OTHER = 4


_FORMATS = (
    (re.compile(r"(.*/)?consolidated[^/]*\.safetensors|(onnx|openvino|coreml|original)/.*"), _Format.OTHER),
    (re.compile(r".*\.safetensors"), _Format.SAFETENSORS),
    (re.compile(r"[^/]*weights[^/]*\.npz"), _Format.NPZ),
    (re.compile(r".*\.(bin|pth|pt|ckpt)"), _Format.PYTORCH),
    (re.compile(r".*\.gguf"), _Format.GGUF),
    (re.compile(r".*\.(h5|msgpack|onnx|onnx_data|ot|tflite|mlmodel|pb|nemo|engine|llamafile)"), _Format.OTHER),
)


class Wanted(NamedTuple):
    """What the user asked for; `include` takes the place of the default choice."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    all_files: bool = False

    @property
    def is_default(self) -> bool:
        return not (self.include or self.exclude or self.all_files)


def choose(name: str, files: Sequence[SourceFile], wanted: Wanted) -> tuple[SourceFile, ...]:
    """The files to take. Raises ValidationError when nothing is left, or when the choice is the user's to make."""
    if wanted.include:
        chosen = [file for file in files if _matches(file.path, wanted.include)]
    elif wanted.all_files:
        chosen = list(files)
    else:
        chosen = _without_duplicates(name, files, wanted)
    taken = tuple(file for file in chosen if not _matches(file.path, wanted.exclude))
    if not taken:
        patterns = ", ".join(f"'{pattern}'" for pattern in (*wanted.include, *wanted.exclude))
        if not patterns:
            raise ValidationError(f"'{name}' has no files")
        shown = _some([file.path for file in files])
        raise ValidationError(f"Nothing of '{name}' is left with {patterns}; its files are {shown}")
    return taken


def _without_duplicates(name: str, files: Sequence[SourceFile], wanted: Wanted) -> list[SourceFile]:
    formats = {file.path: _format(file.path) for file in files}
    best = min((kind for kind in formats.values() if kind is not None), default=None)
    if best is _Format.GGUF:
        _check_one_gguf(name, [path for path, kind in formats.items() if kind is best], wanted)
    return [file for file in files if formats[file.path] in (None, best)]


def _check_one_gguf(name: str, paths: list[str], wanted: Wanted) -> None:
    left = [path for path in paths if not _matches(path, wanted.exclude)]
    if len(left) > 1:
        raise ValidationError(
            f"'{name}' has no weights for MLX, but {len(left)} GGUF files ({_some(left)}); choose with --include, such"
            f" as --include '{printable(left[0])}', or take all with --all-files"
        )


def _some(paths: list[str]) -> str:
    """The names, or the first of many."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(printable(path) for path in paths[:_SHOWN]) + more


def _format(path: str) -> _Format | None:
    return next((kind for pattern, kind in _FORMATS if pattern.fullmatch(path)), None)


def _matches(path: str, patterns: tuple[str, ...]) -> bool:
    """As huggingface_hub matches: `*` crosses folders, and a pattern that ends in '/' means all below it."""
    return any(fnmatchcase(path, f"{pattern}*" if pattern.endswith("/") else pattern) for pattern in patterns)
