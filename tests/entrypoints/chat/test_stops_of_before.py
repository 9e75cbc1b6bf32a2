"""What `--continue` does with stop texts, of which there may be several."""

import pytest

from mlxk2.adapters.memory import MemorySessions
from tests.entrypoints.chat.test_converse import chatted, program


def test_stop_texts_of_the_command_line_take_the_place_of_those_of_before(monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = MemorySessions()
    services = program(lambda _: "Yes.", sessions=sessions)
    chatted(monkeypatch, "one\n", services, "--stop", "END", "--stop", "FIN")
    chatted(monkeypatch, "two\n", services, "--continue", model="")
    assert sessions.load("last").settings == (("stop", "END"), ("stop", "FIN"))
    chatted(monkeypatch, "three\n", services, "--continue", "--stop", "END", model="")
    assert sessions.load("last").settings == (("stop", "END"),)
