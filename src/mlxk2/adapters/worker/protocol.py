"""The vocabulary of parent and worker: which kinds of packets there are, and what type of body each has.

A conversation: the worker says HELLO; the parent LOAD; the worker LOADING as often as it likes, then LOADED or REFUSED.
After LOADED the parent sends START, CANCEL and calls, in any order; the worker sends EVENTS, and ANSWER or REFUSED with
a call's id. From its beginning on the worker sends a BEAT every second, and one when its last request has ended. CLOSE
is the parent's last word; the worker sends the last events and ends.
"""

from collections.abc import Iterable, Iterator
from typing import Generic, NamedTuple, TypeVar, get_args

import msgspec

from mlxk2.adapters.worker.wire import Body, BrokenStream
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo, EngineStats, LoadOptions, RequestId
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Event, GenerationRequest

T = TypeVar("T")

PROTOCOL = 3
"""Raised with every change of this file or of a type that it names; parent and worker must have the same."""

HELLO = "hello"
LOAD = "load"
LOADING = "loading"
LOADED = "loaded"
REFUSED = "refused"
START = "start"
CANCEL = "cancel"
EVENTS = "events"
ANSWER = "answer"
BEAT = "beat"
CLOSE = "close"


class Hello(NamedTuple):
    """This one never changes, so that any two versions can tell that they do not belong together."""

    protocol: int
    version: str
    pid: int


class Load(NamedTuple):
    """`location` is a path as bytes, because its name may be no UTF-8."""

    location: bytes
    options: LoadOptions


class Loaded(NamedTuple):
    """What `Engine.info` and `Engine.stats` say when the model has been loaded."""

    info: EngineInfo
    stats: EngineStats


class Beat(NamedTuple):
    """`steps` and told parts of steps since the model was loaded, `busy` requests in the worker."""

    steps: int
    busy: int
    stats: EngineStats


class Happened(NamedTuple):
    """Events in order; `busy` is None where they came between two steps, else the step's (`ports.engine.Stepped`).

    `stats` come along when requests came or went, so that whoever hears of an end finds it counted, and a few times a
    second while the engine steps.
    """

    busy: int | None
    stats: EngineStats | None
    events: list[tuple[RequestId, int, msgspec.Raw]]


hello = Body(Hello)
load = Body(Load)
stage = Body(str)
loaded = Body(Loaded)
refused = Body(Mlxk2Error)
beat = Body(Beat)
happened = Body(Happened)
request = Body(GenerationRequest)

_EVENT_TYPES: tuple[type[Event], ...] = get_args(Event)
_EVENT_KINDS = {kind: number for number, kind in enumerate(_EVENT_TYPES)}
_EVENT_BODIES: tuple[Body[Event], ...] = tuple(map(Body, _EVENT_TYPES))


def write_events(
    events: Iterable[tuple[RequestId, Event]], busy: int | None, stats: EngineStats | None
) -> tuple[object, ...]:
    """The body of an EVENTS packet."""
    return (busy, stats, [(request_id, _EVENT_KINDS[type(event)], event) for request_id, event in events])


def read_events(body: Happened) -> Iterator[tuple[RequestId, Event]]:
    """Raises BrokenStream for what is no event."""
    for request_id, kind, raw in body.events:
        if not 0 <= kind < len(_EVENT_BODIES):
            raise BrokenStream(f"event kind {kind}")
        yield request_id, _EVENT_BODIES[kind].read(raw)


class Render(NamedTuple):
    messages: list[Message]
    tools: list[Tool]
    options: RenderOptions


class Call(Generic[T]):
    """A question that waits for its answer: the packet's kind, and how both bodies are read."""

    def __init__(self, kind: str, answer: type[T]) -> None:
        self.kind = kind
        self.answer = Body(answer)


RENDER = Call("render", RenderedPrompt)
TOKENIZE = Call("tokenize", list[int])
DETOKENIZE = Call("detokenize", str)

render = Body(Render)
text = Body(str)
tokens = Body(list[int])
