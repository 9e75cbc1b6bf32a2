"""The log as a file, beside standard error: it can be read when nobody watches the server, and after it has ended.

It goes on where an earlier server on the same port stopped, begins anew by itself when it has grown large, and keeps
one older file. Only the user may read it.
"""

import contextlib
import logging
import os
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler

from mlxk2.entrypoints.http.logs import LOGGERS, LogFormat, form_of

LARGEST = 10 * 1024 * 1024
"""Bytes from which on a new file is begun."""
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


class LogFile:
    """Everything that is logged goes to this file too, until `close`. Making it raises OSError when that cannot be."""

    def __init__(self, path: str, form: LogFormat, largest: int = LARGEST) -> None:
        self._handler = _Handler(path, maxBytes=largest, backupCount=1, encoding="utf-8", errors="backslashreplace")
        self._handler.setFormatter(form_of(form))
        for name in LOGGERS:
            logging.getLogger(name).addHandler(self._handler)

    def note(self, message: str) -> None:
        """For this file alone."""
        self._handler.handle(logging.LogRecord("mlxk2", logging.INFO, "", 0, message, None, None))

    def close(self) -> None:
        for name in LOGGERS:
            logging.getLogger(name).removeHandler(self._handler)
        with contextlib.suppress(OSError):  # the disk is full, and has not taken the last lines
            self._handler.close()


class _Handler(RotatingFileHandler):
    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, _FLAGS, 0o600)
        os.fchmod(descriptor, 0o600)
        return TextIOWrapper(os.fdopen(descriptor, "ab"), encoding=self.encoding, errors=self.errors)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the standard library's name
        """A full disk does not stop the server: standard error has the line."""
