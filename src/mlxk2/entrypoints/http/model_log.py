"""Tells the log which models came and went, as the server's regular look at them finds it."""

import time

from mlxk2.domain.usecases.serve_models import PoolStatus
from mlxk2.entrypoints.http.logs import log_note

_Key = tuple[str, str]


class ModelLog:
    """`look` is called about once a second, so that times are as exact as that."""

    def __init__(self) -> None:
        self._states: dict[_Key, str] = {}
        self._since: dict[_Key, float] = {}

    def look(self, status: PoolStatus) -> None:
        now = time.monotonic()
        states = {(model.offer.name, model.offer.commit): model.offer.state for model in status.models}
        for key, state in states.items():
            if state != self._states.get(key):
                self._tell(key, state, now)
        for key in self._states.keys() - states.keys():
            log_note(f"Model {_name(key)} is unloaded")
            self._since.pop(key, None)
        self._states = dict(states)

    def _tell(self, key: _Key, state: str, now: float) -> None:
        if state == "loading":
            self._since[key] = now
            log_note(f"Model {_name(key)} is being loaded")
        elif state == "loaded":
            began = self._since.pop(key, None)
            log_note(f"Model {_name(key)} is loaded" + (f", after about {now - began:.0f} s" if began else ""))


def _name(key: _Key) -> str:
    return f"{key[0]}@{key[1][:12]}"
