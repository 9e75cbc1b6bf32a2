"""Events from other threads reach the loop in order, together, and wake it once."""

import asyncio
import gc
import threading
import weakref
from typing import Any

from mlxk2.entrypoints.http.mailbox import Inbox, Mailbox

_LONG = 60.0


def test_what_threads_post_arrives_in_each_threads_order() -> None:
    async def gather() -> list[tuple[int, int]]:
        inbox: Inbox[tuple[int, int]] = Inbox(Mailbox(asyncio.get_running_loop()))

        def write(writer: int) -> None:
            for number in range(200):
                inbox.put((writer, number))

        writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
        for thread in writers:
            thread.start()
        items: list[tuple[int, int]] = []
        while len(items) < 800:
            items += await inbox.take(_LONG)
        for thread in writers:
            thread.join()
        return items

    items = asyncio.run(gather())
    for writer in range(4):
        assert [number for who, number in items if who == writer] == list(range(200))


def test_what_was_posted_together_is_taken_together() -> None:
    async def gather() -> list[int]:
        inbox: Inbox[int] = Inbox(Mailbox(asyncio.get_running_loop()))
        for number in range(32):
            inbox.put(number)
        return await inbox.take(_LONG)

    assert asyncio.run(gather()) == list(range(32))


def test_a_step_of_many_rows_wakes_the_loop_once() -> None:
    async def count() -> int:
        loop = asyncio.get_running_loop()
        calls: list[object] = []
        call = loop.call_soon_threadsafe

        def counted(*args: Any, **kwargs: Any) -> asyncio.Handle:
            calls.append(args)
            return call(*args, **kwargs)

        loop.call_soon_threadsafe = counted  # type: ignore[method-assign,assignment]
        mailbox = Mailbox(loop)
        inboxes: list[Inbox[int]] = [Inbox(mailbox) for _ in range(32)]

        def step() -> None:
            for inbox in inboxes:
                inbox.put(1)

        engine = threading.Thread(target=step)
        engine.start()
        engine.join()  # the loop stands still meanwhile, so that it cannot have been woken and come back
        for inbox in inboxes:
            assert await inbox.take(_LONG) == [1]
        return len(calls)

    assert asyncio.run(count()) == 1


def test_the_loop_itself_needs_no_waking() -> None:
    async def take() -> list[int]:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(Mailbox(loop))
        inbox.put(1)
        return await inbox.take(0.0)

    assert asyncio.run(take()) == [1]


def test_nothing_comes_when_the_patience_is_over() -> None:
    async def wait() -> list[int]:
        inbox: Inbox[int] = Inbox(Mailbox(asyncio.get_running_loop()))
        return await inbox.take(0.01)

    assert asyncio.run(wait()) == []


def test_after_the_loop_has_gone_posting_harms_nobody() -> None:
    async def make() -> Mailbox:
        return Mailbox(asyncio.get_running_loop())

    mailbox = asyncio.run(make())
    told: list[int] = []
    mailbox.post(lambda: told.append(1))
    mailbox.post(lambda: told.append(2))
    assert told == []


def test_patience_is_counted_from_the_last_wait() -> None:
    async def wait() -> tuple[list[int], list[int], float]:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(Mailbox(loop))
        loop.call_later(0.05, inbox.drop, 1)
        first = await inbox.take(0.1)
        began = loop.time()
        return first, await inbox.take(0.2), loop.time() - began

    first, second, seconds = asyncio.run(wait())
    assert (first, second) == ([1], [])
    assert seconds >= 0.2


def test_patience_may_become_shorter() -> None:
    async def wait() -> list[int]:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(Mailbox(loop))
        loop.call_later(0.01, inbox.drop, 1)
        await inbox.take(_LONG)
        return await asyncio.wait_for(inbox.take(0.01), _LONG / 2)

    assert asyncio.run(wait()) == []


def test_a_closed_inbox_leaves_nothing_in_the_loop() -> None:
    async def gone() -> bool:
        loop = asyncio.get_running_loop()
        inbox: Inbox[int] = Inbox(Mailbox(loop))
        loop.call_later(0.01, inbox.drop, 1)
        await inbox.take(_LONG)
        inbox.close()
        remembered = weakref.ref(inbox)
        del inbox
        await asyncio.sleep(0)
        gc.collect()
        return remembered() is None

    assert asyncio.run(gone())
