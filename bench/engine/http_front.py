"""A front of the benchmark's own that puts our engine behind the transport of `mlx_lm.server`.

The same standard-library server, a thread a connection, one flushed SSE chunk a token, the same fields in it: so that
what is compared is the engines. The server of the program is another one.
"""

import argparse
import json
import queue
import socketserver
import time
import uuid
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from bench.engine.loading import KINDS, load_engine
from bench.engine.requests import parse_messages, parse_request
from mlxk2.ports.conversation import RenderOptions
from mlxk2.ports.engine import Engine
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Delta, Event, Failed, Finished, PromptProgress, TokenLogprobs

BACKLOG = 128
"""Connections that may wait to be accepted: the standard library's 5 make a volley of clients wait for a second."""


class Handler(BaseHTTPRequestHandler):
    """POST with a chat completion's body; GET for health."""

    def __init__(self, engine: Engine, *args: Any) -> None:
        self._engine = engine
        self._id = f"chatcmpl-{uuid.uuid4()}"
        self._created = int(time.time())
        super().__init__(*args)

    def do_GET(self) -> None:
        self._write_whole({"status": "ok"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        try:
            events = self._events(body)
            if body.get("stream"):
                self._stream(events)
            else:
                self._collect(events)
        except Mlxk2Error as error:
            self._write_whole({"error": error.message}, 400)

    def _events(self, body: dict[str, Any]) -> Iterator[Event]:
        thinking = False if self._engine.info().has_thinking_switch else None
        prompt = self._engine.render(parse_messages(body), options=RenderOptions(thinking=thinking))
        events: queue.SimpleQueue[Event] = queue.SimpleQueue()
        request_id = self._engine.start(parse_request(body, prompt), events.put)
        return self._follow(events, request_id)

    def _follow(self, events: "queue.SimpleQueue[Event]", request_id: int) -> Iterator[Event]:
        try:
            while True:
                event = events.get()
                if isinstance(event, Failed):
                    raise event.error
                yield event
                if isinstance(event, Finished):
                    return
        finally:
            self._engine.cancel(request_id)

    def _stream(self, events: Iterator[Event]) -> None:
        self._head(200, "text/event-stream")
        for event in events:
            match event:
                case PromptProgress(processed, total):
                    self.wfile.write(f": keepalive {processed}/{total}\n\n".encode())
                case Delta(text=text) if text:
                    self._chunk({"delta": {"role": "assistant", "content": text}}, None)
                case Finished(reason=reason):
                    self._chunk({"delta": {"role": "assistant"}}, reason.value)
                    self._write({"choices": [], "usage": _usage(event)})
                    self.wfile.write(b"data: [DONE]\n\n")

    def _collect(self, events: Iterator[Event]) -> None:
        texts: list[str] = []
        chances: list[TokenLogprobs] = []
        for event in events:
            if isinstance(event, Delta):
                texts.append(event.text)
                chances += event.logprobs
            elif isinstance(event, Finished):
                content = [_chance(chance) for chance in chances]
                message = {"role": "assistant", "content": "".join(texts)}
                choice = {"index": 0, "finish_reason": event.reason.value, "logprobs": {"content": content}}
                self._write_whole(
                    {**self._fields(), "choices": [{**choice, "message": message}], "usage": _usage(event)}
                )

    def _chunk(self, choice: dict[str, object], reason: str | None) -> None:
        self._write({"choices": [{"index": 0, "finish_reason": reason, **choice}]})

    def _write(self, document: dict[str, object]) -> None:
        self.wfile.write(f"data: {json.dumps({**self._fields(), **document})}\n\n".encode())
        self.wfile.flush()

    def _fields(self) -> dict[str, object]:
        kind = "chat.completion.chunk"
        return {"id": self._id, "system_fingerprint": "bench", "object": kind, "model": "m", "created": self._created}

    def _write_whole(self, document: dict[str, object], status: int = 200) -> None:
        self._head(status, "application/json")
        self.wfile.write(json.dumps(document).encode())

    def _head(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-type", kind)
        self.end_headers()


def _usage(event: Finished) -> dict[str, object]:
    return {
        "prompt_tokens": event.prompt_tokens,
        "completion_tokens": event.generated_tokens,
        "prompt_tokens_details": {"cached_tokens": event.cached_tokens},
    }


def _chance(chance: TokenLogprobs) -> dict[str, object]:
    top = [{"id": one.token, "token": one.text, "logprob": one.logprob} for one in chance.top]
    return {"id": chance.chosen.token, "logprob": chance.chosen.logprob, "top_logprobs": top}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.engine.http_front", description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("--engine", choices=KINDS, default="in-process")
    parser.add_argument("--port", type=int, required=True)
    args = parser.parse_args()
    engine = load_engine(args.engine, args.folder)
    socketserver.TCPServer.request_queue_size = BACKLOG
    ThreadingHTTPServer(("127.0.0.1", args.port), partial(Handler, engine)).serve_forever()


if __name__ == "__main__":
    main()
