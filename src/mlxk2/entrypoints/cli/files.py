"""Text that comes from the user's files and from standard input: read within bounds, and refused in one sentence."""

import sys
from codecs import BOM_UTF8, BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Sequence

from mlxk2.domain.attachments import TextFile, with_files
from mlxk2.ports.checking import LONGEST_STRUCTURE
from mlxk2.ports.errors import AccessProblem, ValidationError
from mlxk2.ports.generation import Structure

MOST_BYTES = 8 * 2**20
"""Of one file, and of standard input: more than the longest contexts have room for."""
_INPUT = "Standard input"


def attached(question: str, paths: Sequence[str]) -> str:
    """The prompt of a question that comes with files. Raises as `text_file`."""
    return with_files(question, [text_file(path) for path in paths])


def text_file(path: str) -> TextFile:
    """A file as a prompt has it, under the name that was typed.

    Raises ValidationError when it is not there, empty, no text or too large, AccessProblem when it cannot be read.
    """
    text = _text(_content(path), f"'{path}'")
    if not text.strip():
        raise ValidationError(f"'{path}' is empty; name a file with text in it, or leave it out")
    return TextFile(path, text)


def schema_file(path: str) -> Structure:
    """The JSON schema in a file, as far as it can be judged without a model. Raises as `text_file`."""
    from mlxk2.domain.text.json_schema import UnreadableSchema, read_schema

    text = text_file(path).text
    try:
        schema = read_schema(text)
    except UnreadableSchema as error:
        raise unusable_schema(path, f"it {error}") from None
    if not isinstance(schema, dict | bool):
        raise unusable_schema(path, "it must be an object")
    if len(text) > LONGEST_STRUCTURE:
        raise unusable_schema(path, f"it has {len(text)} characters, and may have at most {LONGEST_STRUCTURE}")
    return Structure("json_schema", text)


def unusable_schema(path: str, reason: str) -> ValidationError:
    return ValidationError(f"The schema in '{path}' cannot be used: {reason}", parameter="structure")


def standard_input() -> str:
    """All of it. Raises ValidationError when it is no text or too much, AccessProblem when it cannot be read."""
    try:
        content = sys.stdin.buffer.read(MOST_BYTES + 1)
    except OSError as error:
        raise _unreadable("standard input", error) from error
    return _text(content, _INPUT)


def _content(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise ValidationError(f"There is no file '{path}'; check its path") from None
    except IsADirectoryError:
        raise ValidationError(f"'{path}' is a folder; name the files in it") from None
    except ValueError:  # open() knows no better word for a null character in a path
        raise ValidationError(f"'{path}' is no path of a file") from None
    except OSError as error:
        raise _unreadable(f"'{path}'", error) from error


def _unreadable(what: str, error: OSError) -> AccessProblem:
    return AccessProblem(f"Cannot read {what}: {(error.strerror or type(error).__name__).lower()}")


def _text(content: bytes, what: str) -> str:
    if len(content) > MOST_BYTES:
        raise ValidationError(f"{what} has more than {MOST_BYTES // 2**20} MB, more than a model can read; shorten it")
    is_wide = content.startswith((BOM_UTF16_LE, BOM_UTF16_BE))
    if b"\x00" in content and not is_wide:
        raise ValidationError(f"{what} is not text but binary data; only text can be put in a prompt")
    try:
        return content.removeprefix(BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError:
        raise ValidationError(f"{what} is not UTF-8 text; convert it first, for example with iconv") from None
