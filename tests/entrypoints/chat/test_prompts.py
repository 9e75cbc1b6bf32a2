"""Plain lines, where the terminal cannot move its cursor."""

import sys
from typing import NoReturn

import pytest

from mlxk2.entrypoints.cli.chat.prompts import LinePrompt


class Keyboard:
    def isatty(self) -> bool:
        return True

    def readline(self) -> str:
        return ""


class Interrupting(Keyboard):
    def readline(self) -> NoReturn:
        raise KeyboardInterrupt


@pytest.mark.parametrize(("keyboard", "raised"), [(Keyboard(), EOFError), (Interrupting(), KeyboardInterrupt)])
def test_what_comes_after_ctrl_d_and_ctrl_c_has_a_line_of_its_own(
    keyboard: Keyboard, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", keyboard)
    shown: list[str] = []
    with pytest.raises(raised):
        LinePrompt(shown.append).read()
    assert "".join(shown) == ">>> \n"
