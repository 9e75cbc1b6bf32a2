"""An engine's sink as an iterator, for a caller that reads events in its own thread."""

import queue
from collections.abc import Callable, Iterator

from mlxk2.ports.generation import Event, Failed, Finished, Sink


def events(start: Callable[[Sink], None]) -> Iterator[Event]:
    """Start a request and yield its events until the last one. Waits in short steps, so that Ctrl-C gets through."""
    waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
    start(waiting.put)
    while True:
        try:
            event = waiting.get(timeout=0.2)
        except queue.Empty:
            continue
        yield event
        if isinstance(event, (Finished, Failed)):
            return
