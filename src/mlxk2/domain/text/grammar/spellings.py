"""How a tool call is written in each format, as a grammar: its trigger, and what follows on it.

Spellings are those of the models' chat templates, to the space: a model should be made to write what it was trained on.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from mlxk2.domain.text.calls.jsons import write_json
from mlxk2.domain.text.grammar.bare_values import bare_object
from mlxk2.domain.text.grammar.lark import Grammar, in_order, one_of, quoted
from mlxk2.domain.text.grammar.parameters import parameters
from mlxk2.domain.text.grammar.parts import Parts
from mlxk2.domain.text.json_schema import Schema

_LINE = "\n"


@dataclass(frozen=True, slots=True)
class NamedSchema:
    """A tool's name and the schema of its arguments."""

    name: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Wanted:
    """The tools that may be called, and whether there may be several calls."""

    tools: tuple[NamedSchema, ...]
    several: bool


Block = Callable[[Grammar, Wanted], str]


@dataclass(frozen=True, slots=True)
class Spelling:
    """`trigger` begins a block of calls, `block` gives what follows on it, with several calls where they are allowed.

    `one_each`: every call has a block of its own, and several calls are several blocks.
    """

    trigger: str
    block: Block
    one_each: bool = True


def json_call(grammar: Grammar, tool: NamedSchema, key: str = "arguments") -> str:
    """`{"name": …, "arguments": {…}}`."""
    return f'{grammar.literal(json_head(tool, key))} {grammar.json(tool.schema)} "}}"'


def json_head(tool: NamedSchema, key: str) -> str:
    """Such a call up to its arguments."""
    return f'{{"name": {write_json(tool.name)}, "{key}": '


def _json_tools(grammar: Grammar, wanted: Wanted) -> str:
    calls = one_of([json_call(grammar, tool) for tool in wanted.tools])
    return f"{quoted(_LINE)} {calls} {grammar.literal(_LINE + '</tool_call>')}"


def _kimi(grammar: Grammar, wanted: Wanted) -> str:
    calls = [
        f"{grammar.literal(f'<|tool_call_begin|>functions.{tool.name}:')} /[0-9]{{1,3}}/"
        f" {grammar.literal('<|tool_call_argument_begin|>')} {grammar.json(tool.schema)}"
        f" {grammar.literal('<|tool_call_end|>')}"
        for tool in wanted.tools
    ]
    return f"{one_of(calls)}{'+' if wanted.several else ''} {grammar.literal('<|tool_calls_section_end|>')}"


def _mistral(grammar: Grammar, wanted: Wanted) -> str:
    calls = [f"{grammar.literal(f'{tool.name}[ARGS]')} {grammar.json(tool.schema)}" for tool in wanted.tools]
    return one_of(calls)


def _mistral_list(grammar: Grammar, wanted: Wanted) -> str:
    call = grammar.rule("call", one_of([json_call(grammar, tool) for tool in wanted.tools]))
    return f'"[" {call} {_more(call, wanted)} "]"'


def _pythonic(grammar: Grammar, wanted: Wanted) -> str:
    def call(tool: NamedSchema) -> str:
        parts = Parts(grammar, tool.schema)
        pairs = [
            (f"{quoted(f'{one.name}=')} {parts.once(one.schema, parts.json)}", one.required)
            for one in parameters(tool.schema)
        ]
        return f"{quoted(tool.name + '(')} {in_order(grammar, pairs, ', ')} {quoted(')')}"

    calls = grammar.rule("call", one_of([call(tool) for tool in wanted.tools]))
    return f"{quoted('[')} {calls} {_more(calls, wanted)} {grammar.literal(']<|tool_call_end|>')}"


def _more(call: str, wanted: Wanted) -> str:
    return f"({quoted(', ')} {call})*" if wanted.several else ""


def _gemma(quote: str, end: str) -> Block:
    def block(grammar: Grammar, wanted: Wanted) -> str:
        calls = [f"{quoted(f'call:{tool.name}')} {bare_object(grammar, tool.schema, quote)}" for tool in wanted.tools]
        return f"{one_of(calls)} {grammar.literal(end)}"

    return block


@dataclass(frozen=True, slots=True)
class _Tagged:
    """The texts around a call, its arguments and its block; `{}` stands for a name.

    Without `block_end` the block is over with the call.
    """

    begin: str
    key: str
    value_end: str
    end: str
    block_end: str = ""
    value_line: str = ""
    """What stands on both sides of a value, inside its tags."""

    def block(self, grammar: Grammar, wanted: Wanted) -> str:
        calls = grammar.rule("call", one_of([self._call(grammar, tool) for tool in wanted.tools]))
        more = "+" if wanted.several and self.block_end else ""
        return f"{calls}{more} {grammar.literal(self.block_end)}"

    def _call(self, grammar: Grammar, tool: NamedSchema) -> str:
        parts = Parts(grammar, tool.schema)
        write = partial(self._value, grammar, parts)
        values = [
            (
                f"{grammar.literal(self.key.format(one.name) + self.value_line)} {parts.once(one.schema, write)}",
                one.required,
            )
            for one in parameters(tool.schema)
        ]
        begin, end = grammar.literal(self.begin.format(tool.name)), grammar.literal(self.end)
        return f"{begin} {in_order(grammar, values, '')} {end}"

    def _value(self, grammar: Grammar, parts: Parts, schema: Schema) -> str:
        """Texts stand for themselves, so that of their schema only the allowed values can be asked for."""
        end = grammar.literal(self.value_line + self.value_end)
        allowed = parts.allowed(schema)
        if allowed:
            words = [value if isinstance(value, str) else write_json(value) for value in allowed]
            choice = one_of([grammar.literal(word) for word in words if word]) if any(words) else ""
            return f"{choice}{'?' if choice and '' in words else ''} {end}"
        types = parts.types(schema)
        if not types or "string" in types:
            return grammar.until(self.value_end)
        return f"{parts.json(schema)} {end}"


_QWEN = _Tagged("\n<function={}>", "\n<parameter={}>", "</parameter>", "\n</function>\n</tool_call>", value_line="\n")
_GLM = _Tagged("{}", "\n<arg_key>{}</arg_key>\n<arg_value>", "</arg_value>", "\n</tool_call>")
_LONGCAT = _Tagged(
    "{}",
    "\n<longcat_arg_key>{}</longcat_arg_key>\n<longcat_arg_value>",
    "</longcat_arg_value>",
    "\n</longcat_tool_call>",
)
_MINIMAX = _Tagged(
    '\n<invoke name="{}">', '\n<parameter name="{}">', "</parameter>", "\n</invoke>", "\n</minimax:tool_call>"
)
_MUSE = _Tagged(
    '\n<atem:invoke name="{}">',
    '\n<atem:parameter name="{}">',
    "</atem:parameter>",
    "\n</atem:invoke>",
    "\n</atem:function_calls>",
)
_MINICPM = _Tagged('"{}">', '<param name="{}">', "</param>", "</function>")

SPELLINGS: dict[str, Spelling] = {
    "function_gemma": Spelling("<start_function_call>", _gemma("<escape>", "<end_function_call>")),
    "gemma4": Spelling("<|tool_call>", _gemma('<|"|>', "<tool_call|>")),
    "glm47": Spelling("<tool_call>", _GLM.block),
    "json_tools": Spelling("<tool_call>", _json_tools),
    "kimi_k2": Spelling("<|tool_calls_section_begin|>", _kimi, one_each=False),
    "laguna": Spelling("<tool_call>", _GLM.block),
    "longcat": Spelling("<longcat_tool_call>", _LONGCAT.block),
    "minicpm5": Spelling("<function name=", _MINICPM.block),
    "minimax_m2": Spelling("<minimax:tool_call>", _MINIMAX.block, one_each=False),
    "mistral": Spelling("[TOOL_CALLS]", _mistral),
    "muse_spark": Spelling("<atem:function_calls>", _MUSE.block, one_each=False),
    "pythonic": Spelling("<|tool_call_start|>", _pythonic, one_each=False),
    "qwen3_coder": Spelling("<tool_call>", _QWEN.block),
}
MISTRAL_LIST = Spelling("[TOOL_CALLS]", _mistral_list, one_each=False)
"""Mistral's older models, whose vocabulary has no `[ARGS]`."""
