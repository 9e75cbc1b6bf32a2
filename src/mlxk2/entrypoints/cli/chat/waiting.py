"""A sign of life while this thread waits for the model: a server may be loading it again."""

import contextlib
import threading
import time
from typing import Self

from mlxk2.entrypoints.cli.chat.display.area import Area
from mlxk2.entrypoints.cli.chat.display.styled import styled
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal
from mlxk2.ports.errors import AccessProblem

_NOTE_AFTER = 0.5
_TICK = 0.1


class Waiting:
    """Used as a context manager. Within it nothing else writes to the terminal; afterwards the note is gone."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._area = Area(terminal)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._tell, name="waiting", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self._area.draw([])

    def _tell(self) -> None:
        since = time.monotonic()
        if self._over.wait(_NOTE_AFTER):
            return
        with contextlib.suppress(BrokenPipeError, AccessProblem):  # whoever writes next is told
            if not self._terminal.moves:
                self._terminal.write("Waiting for the model ...\n")
                return
            while not self._over.is_set():
                self._draw(f"Waiting for the model … {time.monotonic() - since:.0f} s")
                self._over.wait(_TICK)

    def _draw(self, text: str) -> None:
        shown = self._terminal.harmless(text)[: max(self._terminal.size().columns - 1, 1)]
        self._area.draw([styled(shown, "dim")])
