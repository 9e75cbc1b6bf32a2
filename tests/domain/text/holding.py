"""Helpers of these tests: the demo model's vocabulary with a format's special tokens, and llguidance on top of it."""

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import tokenizers
from llguidance import LLMatcher, LLTokenizer

import mlxk2
from mlxk2.ports.engine import Markers
from mlxk2.ports.generation import Structure

_DEMO = Path(mlxk2.__file__).parent / "assets" / "demo" / "tokenizer.json"
_EOS = 2

SPECIAL: dict[str, tuple[str, ...]] = {
    "function_gemma": ("<start_function_call>", "<end_function_call>", "<escape>"),
    "gemma4": ("<|tool_call>", "<tool_call|>", '<|"|>', "<|channel>", "<channel|>"),
    "glm47": ("<arg_key>", "</arg_key>", "<arg_value>", "</arg_value>"),
    "harmony": ("<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|call|>", "<|return|>", "<|constrain|>"),
    "kimi_k2": (
        "<|tool_calls_section_begin|>",
        "<|tool_calls_section_end|>",
        "<|tool_call_begin|>",
        "<|tool_call_argument_begin|>",
        "<|tool_call_end|>",
    ),
    "llama3": ("<|python_tag|>",),
    "minimax_m2": ("<minimax:tool_call>", "</minimax:tool_call>"),
    "mistral": ("[TOOL_CALLS]", "[ARGS]"),
    "pythonic": ("<|tool_call_start|>", "<|tool_call_end|>"),
}


_CLOSERS = (
    *('"', ":", "1", "}", "]", "<escape>", '<|"|>', "\n</parameter>\n", "</parameter>", "</param>"),
    *("</atem:parameter>", "</arg_value>", "</longcat_arg_value>", "<|end|><|start|>assistant"),
)


@dataclass(frozen=True)
class Vocabulary:
    """A tokenizer, as text and as llguidance sees it; `special` as in Markers."""

    tokenizer: tokenizers.Tokenizer
    guide: LLTokenizer
    special: tuple[tuple[str, int], ...]

    def markers(self, tool_format: str | None, *, thinks: bool = True) -> Markers:
        start, end = ("<think>", "</think>") if thinks else (None, None)
        return Markers(start, end, tool_format=tool_format, special=self.special)

    def takes(self, structure: Structure, text: str) -> bool:
        """Whether the text has this form, to its end."""
        matcher = self.matcher(structure)
        tokens = self.tokenizer.encode(text, add_special_tokens=False).ids
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    def matcher(self, structure: Structure) -> LLMatcher:
        assert structure.kind == "lark"
        matcher = LLMatcher(self.guide, LLMatcher.grammar_from_lark(structure.text))
        assert not matcher.is_error(), matcher.get_error()
        return matcher

    def sample(self, structure: Structure, seed: int) -> str:
        """An answer drawn from the form; what closes a value is drawn often, so that it ends."""
        matcher, draw = self.matcher(structure), random.Random(seed)  # noqa: S311
        tokens: list[int] = []
        for step in range(500):
            if matcher.is_stopped():
                break
            closers = [] if draw.random() < 0.5 and step < 200 else self._closers(matcher)
            chosen = draw.choice(closers or [(token,) for token in self._allowed(matcher)])
            if chosen == (_EOS,):
                break
            assert matcher.consume_tokens(list(chosen)), matcher.get_error()
            tokens += chosen
        assert matcher.is_accepting(), self.tokenizer.decode(tokens, skip_special_tokens=False)
        return str(self.tokenizer.decode(tokens, skip_special_tokens=False))

    def _allowed(self, matcher: LLMatcher) -> list[int]:
        mask = matcher.compute_bitmask()
        return [token for token in range(self.guide.vocab_size) if mask[token // 8] >> (token % 8) & 1]

    def _closers(self, matcher: LLMatcher) -> list[tuple[int, ...]]:
        """Those of the texts with which values end that may come now."""
        written = [self.tokenizer.encode(text, add_special_tokens=False).ids for text in _CLOSERS]
        return [tuple(ids) for ids in written if matcher.validate_tokens(ids) == len(ids)]


@cache
def vocabulary(*special: str) -> Vocabulary:
    tokenizer = tokenizers.Tokenizer.from_file(str(_DEMO))
    tokenizer.add_special_tokens(list(special))
    guide = LLTokenizer(tokenizer.to_str(), eos_token=_EOS)
    added = {token.content: number for number, token in tokenizer.get_added_tokens_decoder().items()}
    return Vocabulary(tokenizer, guide, tuple(pair for pair in added.items() if guide.is_special_token(pair[1])))
