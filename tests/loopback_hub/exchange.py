"""One request and its answer, with whatever goes wrong between them."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from . import faults
from .answer import Answer
from .byteranges import Part, part_of
from .connection import Connection
from .content import Body, Flipped, InMemory, Shortened
from .log import Port, Request, RequestLog


class Front:
    """The application of one port: logs the request, lets faults interrupt it, else passes it on."""

    def __init__(self, app: ASGIApp, port: Port, log: RequestLog, rules: faults.FaultRules) -> None:
        self._app = app
        self._port = port
        self._log = log
        self._rules = rules

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = {name.decode(): value.decode("latin-1") for name, value in scope["headers"]}
        request = Request(
            port=self._port,
            method=scope["method"],
            path=scope["path"],
            query=scope["query_string"].decode("ascii"),
            range=headers.get("range"),
            has_authorization="authorization" in headers,
        )
        self._log.add(request)
        # A revision such as "refs%2Fpr%2F1" is one segment of a path: endpoints decode after the path is split.
        scope["path"] = scope["raw_path"].decode("ascii").removeprefix(faults.HOP)
        exchange = scope["exchange"] = Exchange(request, headers, self._rules, scope["state"]["connection"])

        async def counted() -> Message:
            message = await receive()
            request.bytes_received += len(message.get("body", b""))
            return message

        fault = self._rules.interruption(request)
        if fault is None:
            with suppress(ClientDisconnect):  # a client that leaves is nothing unusual here
                await self._app(scope, counted, send)
        else:
            await exchange.interrupt(fault, scope, send)


@dataclass(frozen=True)
class _Delivery:
    """How the bytes of one answer leave: where they pause, where they end, how fast they are."""

    end: int | None
    reset: bool
    stalls: Sequence[faults.Stall]
    bytes_per_second: int | None


class Exchange:
    def __init__(
        self, request: Request, headers: dict[str, str], rules: faults.FaultRules, connection: Connection
    ) -> None:
        self._request = request
        self._headers = headers
        self._rules = rules
        self._connection = connection

    async def interrupt(self, fault: faults.Interruption, scope: Scope, send: Send) -> None:
        match fault:
            case faults.DropConnect():
                await self._connection.hang_up()
            case faults.Redirect():
                origin = f"http://{self._headers['host']}" if fault.absolute else ""
                query = f"?{self._request.query}" if self._request.query else ""
                location = f"{origin}{faults.HOP}{scope['path']}{query}"
                await self.deliver(Answer(InMemory(b""), fault.code, {"Location": location}), send)
            case faults.Status():
                headers = dict(fault.headers)
                if fault.error_code is not None:
                    headers["X-Error-Code"] = fault.error_code
                if fault.message is not None:
                    headers["X-Error-Message"] = fault.message
                await self.deliver(Answer(InMemory(fault.body), fault.code, headers), send)

    async def deliver(self, answer: Answer, send: Send) -> None:
        has_content = self._request.method != "HEAD" and answer.status == 200
        found = self._rules.body_faults(self._request) if has_content else []
        body, announced = _spoilt(answer.body, found)
        part = self._part(answer, announced, found)
        headers = {**answer.headers, **part.headers}
        for fault in self._rules.headers(self._request):
            headers.update({name: value for name, value in fault.changes.items() if value is not None})
            headers = {name: value for name, value in headers.items() if fault.changes.get(name, "") is not None}
        self._request.status = part.status or answer.status
        head = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await send({"type": "http.response.start", "status": self._request.status, "headers": head})
        if self._request.method != "HEAD":
            try:
                await self._send(body, part, _delivery(found))
            except ConnectionError:
                await self._connection.hang_up()
                return
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _part(self, answer: Answer, size: int, found: Sequence[faults.Fault]) -> Part:
        wanted = self._request.range
        if answer.etag is None or any(isinstance(fault, faults.IgnoreRange) for fault in found):
            wanted = None
        if self._headers.get("if-range", answer.etag) != answer.etag:
            wanted = None
        return part_of(wanted, size)

    async def _send(self, body: Body, part: Part, delivery: _Delivery) -> None:
        available = max(0, min(part.count, body.size - part.start))
        end = available if delivery.end is None else min(available, delivery.end)
        sent = 0
        for stall in sorted(delivery.stalls, key=lambda each: each.after):
            stop = min(end, stall.after)
            await self._push(body, part.start + sent, stop - sent, delivery.bytes_per_second)
            sent = max(sent, stop)
            if stall.after <= end:
                await asyncio.sleep(stall.seconds)
        await self._push(body, part.start + sent, end - sent, delivery.bytes_per_second)
        if end < part.count:
            await self._connection.hang_up(reset=delivery.reset)
            raise ConnectionAbortedError
        self._connection.finish(part.count)

    async def _push(self, body: Body, offset: int, count: int, bytes_per_second: int | None) -> None:
        if bytes_per_second is None:
            await self._connection.push(body, offset, count, self._request)
            return
        step = max(1, bytes_per_second // 50)
        for start in range(offset, offset + count, step):
            size = min(step, offset + count - start)
            await self._connection.push(body, start, size, self._request)
            await asyncio.sleep(size / bytes_per_second)


def _spoilt(body: Body, found: Sequence[faults.Fault]) -> tuple[Body, int]:
    """The body with its faults, and the size that the header announces."""
    announced = body.size
    for fault in found:
        if isinstance(fault, faults.Flip):
            body = Flipped(body, fault.offset)
        elif isinstance(fault, faults.Short):
            body = Shortened(body, fault.missing)
            announced = announced if fault.announce_full_length else body.size
    return body, announced


def _delivery(found: Sequence[faults.Fault]) -> _Delivery:
    cuts = [fault.at for fault in found if isinstance(fault, faults.Cut)]
    cuts += [fault.size for fault in found if isinstance(fault, faults.CutEvery)]
    drips = [fault.bytes_per_second for fault in found if isinstance(fault, faults.Drip)]
    return _Delivery(
        end=min(cuts, default=None),
        reset=any(isinstance(fault, faults.Cut) and fault.reset for fault in found),
        stalls=[fault for fault in found if isinstance(fault, faults.Stall)],
        bytes_per_second=min(drips, default=None),
    )
