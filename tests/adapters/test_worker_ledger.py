"""Who waits for a worker, and since when its time for the next call counts."""

import time
from concurrent.futures import Future

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.ledger import Ledger
from mlxk2.adapters.worker.wire import Reader, frame
from mlxk2.ports.errors import ValidationError


def test_a_call_has_its_time_from_the_answer_to_the_one_before_it() -> None:
    ledger = Ledger()
    futures: list[Future[str]] = [Future() for _ in range(3)]
    assert ledger.asked is None
    for number, future in enumerate(futures):
        ledger.add_call(number, protocol.DETOKENIZE.answer, future)
    made = time.monotonic()
    assert (ledger.asked or 0) <= made
    ledger.answer(0, _body("yes"))
    answered = time.monotonic()
    assert made <= (ledger.asked or 0) <= answered
    ledger.refuse(1, ValidationError("no"))
    assert answered <= (ledger.asked or 0) <= time.monotonic()
    ledger.answer(2, _body("yes"))
    assert ledger.asked is None
    assert [future.exception() is None for future in futures] == [True, False, True]


def _body(text: str) -> bytes:
    return bytes(next(Reader().feed(frame(protocol.ANSWER, 0, text))).body)
