"""The end of a text file that another program writes, and what it adds."""

import os
import time
from collections.abc import Callable, Iterator
from typing import BinaryIO

from mlxk2.domain.names import printable

_BLOCK = 1 << 16
_PAUSE = 0.2
"""Seconds between two looks at a file that has nothing new."""


class Tail:
    """Reads whole lines; raises OSError when the file cannot be read. What would steer a terminal is spelled out.

    While it is followed the file may be replaced by a new one of its name, as a log is that has grown large.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._file: BinaryIO = open(path, "rb")  # noqa: SIM115 - closed by `close`
        self._rest = b""

    def close(self) -> None:
        self._file.close()

    def last(self, count: int) -> list[str]:
        """The last finished lines there are, at most `count`; `rest` and `follow` go on behind them."""
        start = end = self._file.seek(0, os.SEEK_END)
        content = b""
        while start > 0 and content.count(b"\n") <= count:
            before = max(0, start - _BLOCK)
            self._file.seek(before)
            content = self._file.read(start - before) + content
            start = before
        self._file.seek(end)
        *lines, self._rest = content.split(b"\n")
        return [_text(line) for line in lines[max(0, len(lines) - count) :]]

    def rest(self) -> str:
        """What stands behind the last finished line."""
        return _text(self._rest)

    def follow(self, is_over: Callable[[], bool] = lambda: False) -> Iterator[str]:
        """Lines as they are finished, until `is_over`, which is asked whenever nothing is new; then what is left."""
        while True:
            if piece := self._file.read(_BLOCK):
                yield from self._lines(piece)
            elif self._is_replaced():
                yield from self._left()
                self._file.close()
                self._file = open(self._path, "rb")  # noqa: SIM115
            elif is_over():
                yield from self._left()
                return
            else:
                time.sleep(_PAUSE)

    def _lines(self, piece: bytes) -> list[str]:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        return [_text(line) for line in lines]

    def _left(self) -> list[str]:
        """What nobody adds to any more; the last line need not be finished."""
        return self._lines(self._file.read() + b"\n" * bool(self._rest))

    def _is_replaced(self) -> bool:
        """Another file has the name, or this one was emptied."""
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False  # on its way
        here = os.fstat(self._file.fileno())
        return (there.st_dev, there.st_ino) != (here.st_dev, here.st_ino) or here.st_size < self._file.tell()


def _text(line: bytes) -> str:
    return printable(line.decode("utf-8", "replace").rstrip("\r").expandtabs())
