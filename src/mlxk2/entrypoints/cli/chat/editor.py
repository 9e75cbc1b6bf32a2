"""A question written in the user's own editor: `VISUAL`, else `EDITOR`, else one that is there.

The file lies in a folder that only the user may enter, since editors put copies beside the file that they change.
"""

import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from mlxk2.ports.errors import AccessProblem, OperationError, ValidationError

_USUAL = ("nano", "vim", "vi")


def edit(text: str, environ: Mapping[str, str] = os.environ) -> str | None:
    """The text as the editor leaves it; None when that is empty.

    Raises ValidationError where there is no editor, or the file is no UTF-8 text afterwards; OperationError when the
    editor gives up; AccessProblem when there is no place for the file.
    """
    command = _command(environ)
    try:
        with tempfile.TemporaryDirectory(prefix="mlxk2-", ignore_cleanup_errors=True) as folder:
            file = Path(folder, "question.md")
            with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as opened:
                opened.write(text.encode("utf-8", "replace"))
            _run([*command, str(file)])
            content = file.read_bytes()
    except OSError as error:
        raise AccessProblem(
            f"The question cannot be edited: {(error.strerror or str(error)).lower()}; mend that, or name another"
            " place for temporary files with TMPDIR"
        ) from error
    try:
        written = content.decode().strip("\r\n")
    except UnicodeDecodeError as error:
        raise ValidationError("What the editor has left is not UTF-8 text; have it write UTF-8") from error
    return written if written.strip() else None


def _command(environ: Mapping[str, str]) -> list[str]:
    """The editor's words. No shell reads them: what stands in a variable is split and no more."""
    variable = "VISUAL" if environ.get("VISUAL", "").strip() else "EDITOR"
    chosen = environ.get(variable, "").strip() or next(filter(shutil.which, _USUAL), "")
    if not chosen:
        raise ValidationError("There is no editor; name one with the variable EDITOR")
    try:
        return shlex.split(chosen)
    except ValueError as error:
        raise ValidationError(f"{variable} is {chosen!r}, where a quotation mark is not closed; correct it") from error


def _run(command: list[str]) -> None:
    try:
        with _ctrl_c_is_the_editors():
            ended = subprocess.run(command, check=False)  # noqa: S603 - the user's own choice
    except (FileNotFoundError, PermissionError) as error:
        raise ValidationError(
            f"The editor {command[0]!r} cannot be started; name another one with the variable EDITOR"
        ) from error
    if ended.returncode != 0:
        raise OperationError(f"The editor {command[0]!r} gave up (exit code {ended.returncode}); nothing is asked")


@contextmanager
def _ctrl_c_is_the_editors() -> Iterator[None]:
    """A handler that does nothing, and not SIG_IGN: the editor would inherit that."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
