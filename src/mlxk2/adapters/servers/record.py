"""One record: a server as JSON text, and back."""

import json
from dataclasses import asdict
from typing import Any

from mlxk2.ports.servers import RunningServer

_KINDS: dict[str, type | tuple[type, ...]] = {
    "url": str,
    "key": str,
    "pid": int,
    "port": int,
    "cache": str,
    "version": str,
    "started": (int, float),
    "log": str,
}


def write_record(server: RunningServer) -> bytes:
    """A path whose name is no UTF-8 comes back as it was."""
    return json.dumps(asdict(server)).encode()


def read_record(content: bytes) -> RunningServer | None:
    """None for what is no record; fields that are not known are left aside."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict) or not all(_fits(found.get(name), kind) for name, kind in _KINDS.items()):
        return None
    return RunningServer(**{name: found[name] for name in _KINDS})


def _fits(value: Any, kind: type | tuple[type, ...]) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
