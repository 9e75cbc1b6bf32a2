"""The texts with which a model marks reasoning and tool calls, as its tokenizer and chat template show them."""

from typing import Any

from mlxk2.ports.engine import Markers

_HARMONY = "<|channel|>"
_LLAMA_3 = "<|python_tag|>"


def markers_of(tokenizer: Any) -> Markers:
    """mlx-lm recognises most formats; the two that it has no parser for are recognised here by their own tokens."""
    start, end, form = tokenizer.tool_call_start, tokenizer.tool_call_end, _format(tokenizer)
    vocabulary = tokenizer.get_vocab()
    if form is None and _HARMONY in vocabulary:
        form = "harmony"
    elif form is None and _LLAMA_3 in vocabulary:
        start, form = _LLAMA_3, "llama3"
    return Markers(
        think_start=tokenizer.think_start,
        think_end=tokenizer.think_end,
        tool_start=start or None,
        tool_end=end or None,
        tool_format=form,
        special=_special(tokenizer),
    )


def _format(tokenizer: Any) -> str | None:
    """mlx-lm's name for it: that of the module with its parser."""
    parser = tokenizer.tool_parser
    return None if parser is None else str(parser.__module__).rpartition(".")[2]


def _special(tokenizer: Any) -> tuple[tuple[str, int], ...]:
    """Those that llguidance counts as special: what is marked so, and what stands in angle brackets."""
    added = getattr(tokenizer, "added_tokens_decoder", {})
    known = [(str(token.content), int(index), bool(token.special)) for index, token in sorted(added.items())]
    return tuple((text, index) for text, index, special in known if special or (text[:1], text[-1:]) == ("<", ">"))
