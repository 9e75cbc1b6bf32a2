"""Tool calls held to their schemas: the grammar of an answer by the request's tool choice.

- Where the model may choose, its text is free until it begins a call; from there on the call's form and arguments are
  held. Keywords of a schema that the grammar engine does not know are passed over, unless the tool is strict.
- Where a call is required it comes at once, after reasoning if the model thinks; such keywords are refused.
- A format that is not known cannot be held. Then only the free choice is possible, of tools that are not strict, and no
  grammar comes out.
"""

from collections.abc import Sequence

from mlxk2.domain.text.grammar.lark import GAP, Grammar, one_of, quoted
from mlxk2.domain.text.grammar.parameters import root_schema
from mlxk2.domain.text.grammar.reasoning import HARMONY_ANALYSIS, HARMONY_FINAL, HARMONY_NEXT, reasoning
from mlxk2.domain.text.grammar.spellings import (
    MISTRAL_LIST,
    SPELLINGS,
    NamedSchema,
    Spelling,
    Wanted,
    json_call,
    json_head,
)
from mlxk2.domain.text.tool_choice import ToolChoice
from mlxk2.domain.text.tools import check_tools
from mlxk2.ports.conversation import Tool
from mlxk2.ports.engine import Markers
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Structure

__all__ = ["ToolChoice", "tool_structure"]


def tool_structure(
    markers: Markers, tools: Sequence[Tool], choice: ToolChoice, *, opens_reasoning: bool
) -> Structure | None:
    """The form of an answer that may, or must, call these tools; None where nothing is to be held.

    Raises ValidationError for a choice that this model's format cannot be held to, for a name that is not among the
    tools, for parameters that are no schema, and for more of all that than a request may bring.
    """
    check_tools(tools)
    forced = choice.required or choice.name is not None
    named = [tool for tool in tools if choice.name in (None, tool.name)]
    _check(markers, named, choice)
    if not named or markers.tool_format not in _KNOWN:
        return None
    grammar = Grammar(markers.special)
    schemas = tuple(NamedSchema(tool.name, root_schema(tool, lenient=not (forced or tool.strict))) for tool in named)
    wanted = Wanted(schemas, several=choice.parallel and choice.name is None)
    if markers.tool_format == "harmony":
        return _harmony(grammar, wanted, markers, forced=forced)
    before = reasoning(grammar, markers, opens_reasoning=opens_reasoning)
    if markers.tool_format == "llama3":
        return _llama(grammar, wanted, before, forced=forced, opened=bool(before) and opens_reasoning)
    spelling = _spelling(markers)
    block = grammar.rule("block", spelling.block(grammar, wanted))
    if not forced:
        return _Free(grammar, markers, spelling).structure(block, wanted, opens_reasoning=opens_reasoning)
    call = grammar.rule("called", f"{grammar.literal(spelling.trigger)} {block}")
    more = f"({GAP} {call})*" if wanted.several and spelling.one_each else ""
    return grammar.structure(f"{before} {GAP} {call} {more}")


_KNOWN = (*SPELLINGS, "harmony", "llama3")


def _check(markers: Markers, named: Sequence[Tool], choice: ToolChoice) -> None:
    if choice.name is not None and not named:
        raise ValidationError(
            f"tool_choice names '{choice.name}', which is not among the tools; name one of them",
            parameter="tool_choice",
        )
    if choice.required and not named:
        raise ValidationError(
            "tool_choice requires a call, but there are no tools; give at least one", parameter="tool_choice"
        )
    if (choice.required or choice.name is not None) and markers.tool_format not in _KNOWN:
        raise ValidationError(
            "tool_choice cannot be enforced with this model's way of calling tools; use 'auto'", parameter="tool_choice"
        )
    strict = next((tool for tool in named if tool.strict), None)
    if strict is not None and markers.tool_format not in _KNOWN:
        raise ValidationError(
            f"The tool '{strict.name[:80]}' is strict, and this model's way of calling tools cannot be held to one;"
            " leave strict out",
            parameter="tools",
        )


def _spelling(markers: Markers) -> Spelling:
    if markers.tool_format == "mistral" and not any(text == "[ARGS]" for text, _ in markers.special):
        return MISTRAL_LIST
    return SPELLINGS[markers.tool_format or ""]


class _Free:
    """Free text with calls in it. The model may stop anywhere but inside a call."""

    def __init__(self, grammar: Grammar, markers: Markers, spelling: Spelling) -> None:
        self._grammar = grammar
        self._trigger = spelling.trigger
        special = grammar.is_special(markers.think_start or "") and grammar.is_special(markers.think_end or "")
        self._start = markers.think_start if special else None
        self._end = markers.think_end or ""

    def structure(self, block: str, wanted: Wanted, *, opens_reasoning: bool) -> Structure:
        thinking = self._grammar.rule("thinking", self._grammar.free((self._end,)))
        flow, lead = self._flow(thinking)
        call = self._grammar.rule("called", f"{lead} {block}")
        unclosed = f"({self._grammar.literal(self._start)} {thinking})?" if self._start else ""
        turn = f"{call}* {flow} {unclosed}" if wanted.several else f"({call} | {flow} {unclosed})"
        if not opens_reasoning or not self._end:
            return self._grammar.structure(turn)
        if self._grammar.is_special(self._end):
            return self._grammar.structure(f"{thinking} ({self._grammar.literal(self._end)} {turn})?")
        return self._grammar.structure(f"TEXT | {self._grammar.until(self._end)} {turn}")

    def _flow(self, thinking: str) -> tuple[str, str]:
        """Text and reasoning to the end, and the same up to and with the trigger."""
        if not self._grammar.is_special(self._trigger):
            return "TEXT", self._grammar.until(self._trigger)
        barred = (self._trigger, self._start) if self._start else (self._trigger,)
        flow = self._grammar.rule("free", self._grammar.free(barred))
        if self._start:
            start, end = self._grammar.literal(self._start), self._grammar.literal(self._end)
            flow = self._grammar.rule("flow", f"{flow} ({start} {thinking} {end} {flow})*")
        return flow, f"{flow} {self._grammar.literal(self._trigger)}"


def _llama(grammar: Grammar, wanted: Wanted, before: str, *, forced: bool, opened: bool) -> Structure:
    """Calls are the whole answer: a text that begins like one has to be one.

    What begins a call and what begins a text are told apart by the lexer, which does not go back: the space before a
    call belongs to its first terminal.
    """
    call = grammar.rule("call", one_of([json_call(grammar, tool, "parameters") for tool in wanted.tools]))
    more = f'("; " {call})*' if wanted.several else ""
    tagged = f"{grammar.literal('<|python_tag|>')} {call} {more}"
    space = "/[ \\t\\r\\n]{0,8}/"
    heads = [quoted(json_head(tool, "parameters")) for tool in wanted.tools]
    terminals = "".join(f"HEAD_{place}: {space} {head}\n" for place, head in enumerate(heads))
    first = one_of([f'HEAD_{place} {grammar.json(tool.schema)} "}}"' for place, tool in enumerate(wanted.tools)])
    if forced:
        return grammar.structure(f"{before} ({first} {more} | {tagged})", terminals)
    keys = "name|type|function|parameters"
    terminals += f'ANSWER: /(.|\\n)*/ & ~/[ \\t\\r\\n]*\\{{"({keys})"(.|\\n)*/\n'
    unclosed = "TEXT | " if opened else ""
    return grammar.structure(f"{unclosed}{before} ({first} {more} | {tagged} | ANSWER)", terminals)


def _harmony(grammar: Grammar, wanted: Wanted, markers: Markers, *, forced: bool) -> Structure:
    """One call ends the answer. What ends it is an end token of the model, and stands in no grammar."""
    heads = [f"<|channel|>commentary to=functions.{tool.name} <|constrain|>json<|message|>" for tool in wanted.tools]
    calls = one_of(
        [f"{grammar.literal(head)} {grammar.json(tool.schema)}" for head, tool in zip(heads, wanted.tools, strict=True)]
    )
    if forced:
        return grammar.structure(f"{reasoning(grammar, markers, opens_reasoning=False)} {calls}")
    preamble = "<|channel|>commentary<|message|>"
    said = [f"{grammar.literal(head)} {grammar.until(HARMONY_NEXT)}" for head in (HARMONY_ANALYSIS, preamble)]
    last = [f"{grammar.literal(head)} TEXT" for head in (HARMONY_ANALYSIS, preamble, HARMONY_FINAL)]
    return grammar.structure(f"{one_of(said)}* {one_of([calls, *last])}")
