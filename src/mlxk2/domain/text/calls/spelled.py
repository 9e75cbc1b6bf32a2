"""Calls that are spelled like source code: `[name(key=value)]`, or `call:name{key:value}` with quotes of their own."""

from functools import partial

from mlxk2.domain.text.calls.form import CallForm, Malformed
from mlxk2.domain.text.calls.jsons import write_json
from mlxk2.domain.text.calls.literals import PYTHON, Literals
from mlxk2.domain.text.calls.quoting import Dialect, InQuotes
from mlxk2.domain.text.calls.schemas import ToolSchemas
from mlxk2.ports.conversation import ToolCall

_FUNCTION_GEMMA = Dialect(("<escape>",), escapes=False)
_GEMMA4 = Dialect(('<|"|>',), escapes=False)


def _read_pythonic(text: str, _: ToolSchemas) -> tuple[ToolCall, ...]:
    here = Literals(text, PYTHON)
    here.expect("[")
    calls: list[ToolCall] = []
    while not calls or here.skip(","):
        name = here.name()
        here.expect("(")
        calls.append(ToolCall(name, write_json(here.pairs(")", "="))))
    here.expect("]")
    return _whole(here, calls)


def _read_gemma(text: str, dialect: Dialect) -> tuple[ToolCall, ...]:
    here = Literals(text, dialect)
    calls: list[ToolCall] = []
    while not calls or not here.ended():
        here.expect("call:")
        name = here.name()
        here.expect("{")
        calls.append(ToolCall(name, write_json(here.pairs("}", ":"))))
    return tuple(calls)


def _whole(here: Literals, calls: list[ToolCall]) -> tuple[ToolCall, ...]:
    if not here.ended():
        raise Malformed("more than calls")
    return tuple(calls)


PYTHONIC = CallForm("<|tool_call_start|>", "<|tool_call_end|>", _read_pythonic, partial(InQuotes, PYTHON))
FUNCTION_GEMMA = CallForm(
    "<start_function_call>",
    "<end_function_call>",
    lambda text, _: _read_gemma(text, _FUNCTION_GEMMA),
    partial(InQuotes, _FUNCTION_GEMMA),
)
GEMMA4 = CallForm(
    "<|tool_call>",
    "<tool_call|>",
    lambda text, _: _read_gemma(text, _GEMMA4),
    partial(InQuotes, _GEMMA4),
)
