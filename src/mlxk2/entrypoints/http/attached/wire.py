"""The bodies of `ports/attachment.py` as JSON. A line names the one field that it sets, and no other."""

from typing import TypeVar

import msgspec

from mlxk2.entrypoints.http.errors import refusal
from mlxk2.ports.attachment import Opened
from mlxk2.ports.generation import Delta, Finished, PromptProgress, Queued

T = TypeVar("T")

ALIVE = b"{}\n"
"""The server is there, and nothing else."""
_NAMES = {Queued: "queued", PromptProgress: "progress", Delta: "delta", Finished: "finished", Opened: "opened"}

_ENCODER = msgspec.json.Encoder()


def encoded(value: object) -> bytes:
    return _ENCODER.encode(value)


def line(news: Queued | PromptProgress | Delta | Finished | Opened) -> bytes:
    return _ENCODER.encode({_NAMES[type(news)]: news}) + b"\n"


def stage_line(stage: str) -> bytes:
    """What goes on while the model is loaded."""
    return _ENCODER.encode({"stage": stage}) + b"\n"


def read(body: bytes, kind: type[T]) -> T:
    """Raises Refusal for what is no such body."""
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.DecodeError, RecursionError) as error:
        raise refusal(f"The body is not what this version of mlxk2 sends: {error}") from None
