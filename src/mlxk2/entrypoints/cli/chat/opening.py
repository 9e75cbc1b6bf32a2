"""Opening the model in the background, so that the first question can be typed meanwhile."""

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlxk2.ports.engine import Loading, Stepped, Watch

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import Chat


class Opening:
    """`stage` says with what the engine is busy. `changed` is called from other threads, also at the end."""

    def __init__(self, open_chat: "Callable[[Watch], Chat]") -> None:
        self._open_chat = open_chat
        self._done = threading.Event()
        self._thread: threading.Thread | None = None
        self._chat: Chat | None = None
        self._error: BaseException | None = None
        self._abort: Callable[[], None] | None = None
        self._given_up = False
        self.stage = ""
        self.changed: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Begins it, once."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="opening", daemon=True)
            self._thread.start()

    @property
    def done(self) -> bool:
        return self._done.is_set()

    @property
    def failed(self) -> bool:
        return self._error is not None

    def wait(self, seconds: float) -> bool:
        """Whether it is done by then."""
        return self._done.wait(seconds)

    def chat(self) -> "Chat":
        """What was opened, when it is done. Raises what opening raised."""
        if self._error is not None:
            raise self._error
        assert self._chat is not None, "it is not done"  # noqa: S101
        return self._chat

    def give_up(self) -> bool:
        """Nobody waits for the model any more. Whether nothing is left that runs."""
        self._given_up = True
        if self._abort is not None and not self.done:
            self._abort()
        return self._thread is None or self.done

    def close(self) -> None:
        """Close what was opened, if anything was."""
        if self._chat is not None:
            self._chat.close()

    def _run(self) -> None:
        try:
            self._chat = self._open_chat(self._watch)
        except BaseException as error:  # noqa: BLE001 - raised again where the chat is asked for
            self._error = error
        self._done.set()
        self.changed()

    def _watch(self, event: Loading | Stepped) -> None:
        if isinstance(event, Loading):
            self.stage, self._abort = event.stage, event.abort
            if self._given_up and event.abort is not None:
                event.abort()
            self.changed()
