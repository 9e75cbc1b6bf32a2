"""One conversation as JSON text, and back."""

import json
from dataclasses import asdict
from typing import Any

from mlxk2.ports.conversation import Message, ToolCall
from mlxk2.ports.sessions import Conversation

_FORMAT = 1
_ROLES = ("system", "user", "assistant", "tool")


class Unreadable(ValueError):
    """Why a file cannot be used, as the end of a sentence about it."""


_DAMAGED = "is damaged; delete the file, or load another one"
_NEWER = "was saved by a newer version of mlxk2; update mlxk2 to load it"


def write_record(conversation: Conversation) -> bytes:
    """Text that is no Unicode comes back as it was."""
    return json.dumps({"format": _FORMAT, **asdict(conversation)}, indent=1).encode()


def read_record(content: bytes) -> Conversation:
    """Fields that are not known are left aside. Raises Unreadable."""
    try:
        found = json.loads(content)
        if _whole(found["format"]) > _FORMAT:
            raise Unreadable(_NEWER)
        return Conversation(
            title=_text(found["title"]),
            model=_text(found["model"]),
            system=_text_or_none(found["system"]),
            messages=tuple(map(_message, _list(found["messages"]))),
            settings=tuple((_text(name), _text(value)) for name, value in map(_list, _list(found["settings"]))),
            saved=float(found["saved"]),
        )
    except Unreadable:
        raise
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise Unreadable(_DAMAGED) from None


def _message(found: Any) -> Message:
    if found["role"] not in _ROLES:
        raise Unreadable(_DAMAGED)
    return Message(
        role=found["role"],
        content=_text(found["content"]),
        reasoning=_text_or_none(found["reasoning"]),
        tool_calls=tuple(
            ToolCall(_text(call["name"]), _text(call["arguments"]), _text(call["id"]))
            for call in _list(found["tool_calls"])
        ),
        tool_call_id=_text_or_none(found["tool_call_id"]),
    )


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise Unreadable(_DAMAGED)
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise Unreadable(_DAMAGED)
    return value


def _text_or_none(value: Any) -> str | None:
    return None if value is None else _text(value)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise Unreadable(_DAMAGED)
    return value
