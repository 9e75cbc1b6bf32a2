"""Work that waits for one model's engine holds up no other, and does not pile up."""

import threading

import pytest

from mlxk2.entrypoints.http.threads import ModelThreads
from mlxk2.ports.errors import Overloaded

_PATIENCE = 20.0


def test_a_model_that_stands_still_holds_up_no_other() -> None:
    threads, go, done = ModelThreads(), threading.Event(), threading.Event()
    try:
        for _ in range(100):
            threads.run("slow", lambda: go.wait(_PATIENCE))
        threads.run("other", done.set)
        assert done.wait(_PATIENCE)
    finally:
        go.set()
        threads.close()


def test_what_waits_is_done_in_order_once_there_is_a_thread() -> None:
    threads, go, done = ModelThreads(), threading.Event(), threading.Event()
    order: list[int] = []
    lock = threading.Lock()

    def work(number: int) -> None:
        with lock:
            order.append(number)
            if len(order) == 40:
                done.set()

    for _ in range(3):  # one of four threads is left
        threads.run("model", lambda: go.wait(_PATIENCE))
    for number in range(40):
        threads.run("model", lambda number=number: work(number))  # type: ignore[misc]
    assert done.wait(_PATIENCE)
    go.set()
    threads.close()
    assert order == list(range(40))


def test_a_line_that_is_full_takes_nobody_else() -> None:
    threads, go = ModelThreads(line=3), threading.Event()
    try:
        for _ in range(7):
            threads.run("model", lambda: go.wait(_PATIENCE))
        with pytest.raises(Overloaded, match="3 requests already wait"):
            threads.run("model", lambda: None)
        threads.run("other", lambda: None)
    finally:
        go.set()
        threads.close()


def test_a_model_that_is_idle_again_has_all_its_threads() -> None:
    threads = ModelThreads()
    for _ in range(20):
        done = threading.Barrier(5)
        for _ in range(4):
            threads.run("model", lambda done=done: done.wait(_PATIENCE))  # type: ignore[misc]
        done.wait(_PATIENCE)
    threads.close()
