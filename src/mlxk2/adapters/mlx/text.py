"""Between text and tokens: what callers' threads do with a model's tokenizer, one at a time, and what the engine's.

The engine's thread only decodes, which changes nothing in the tokenizer and needs no lock.
"""

import threading
from collections.abc import Sequence
from typing import Any

from mlxk2.adapters.mlx.rendering import render
from mlxk2.ports.checking import check_tokens
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.engine import EngineInfo
from mlxk2.ports.errors import OperationError, ValidationError

_BEFORE = "\n"
"""Stands for the prompt before an answer: mlx-lm's detokenizers drop a space that nothing stands before."""


def new_detokenizer(tokenizer: Any) -> Any:
    """For one answer, whose text is exactly what its tokens spell."""
    detokenizer = tokenizer.detokenizer
    if isinstance(getattr(type(detokenizer), "text", None), property):
        return detokenizer  # it decodes whole lines at once, and has no text to stand behind
    detokenizer.text, detokenizer.offset = _BEFORE, len(_BEFORE)
    return detokenizer


class TextSide:
    """`with_borders`: the places where messages end are wanted along with a rendered conversation."""

    def __init__(self, tokenizer: Any, info: EngineInfo, *, with_borders: bool) -> None:
        self._tokenizer = tokenizer
        self._info = info
        self._with_borders = with_borders
        self._one_at_a_time = threading.Lock()
        self._texts: dict[int, str] = {}

    def render(self, messages: Sequence[Message], tools: Sequence[Tool], options: RenderOptions) -> RenderedPrompt:
        with self._one_at_a_time:
            return render(self._tokenizer, messages, tools, options, with_borders=self._with_borders)

    def tokenize(self, text: str) -> list[int]:
        if any("\ud800" <= char <= "\udfff" for char in text):
            raise ValidationError("The text holds half a character (a lone surrogate); send valid Unicode")
        try:
            with self._one_at_a_time:
                return [int(token) for token in self._tokenizer.encode(text)]
        except Exception as error:
            raise OperationError(f"The model's tokenizer does not accept this text: {error}") from error

    def detokenize(self, tokens: Sequence[int]) -> str:
        check_tokens("tokens", list(tokens), self._info.vocab_size)
        try:
            with self._one_at_a_time:
                return str(self._tokenizer.decode(list(tokens)))
        except Exception as error:
            raise OperationError(f"The model's tokenizer does not know these tokens: {error}") from error

    def of_token(self, token: int) -> str:
        """A token's text alone, for the engine's thread; remembered, for the same few come again and again.

        A model may know more tokens than its tokenizer has texts for: these have none.
        """
        text = self._texts.get(token)
        if text is None:
            try:
                text = str(self._tokenizer.decode([token]))
            except BaseException:  # noqa: BLE001 - a tokenizer in Rust may panic
                text = ""
            self._texts[token] = text
        return text
