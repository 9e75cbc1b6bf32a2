"""Training chats as token ids: rendered with the chat template, the answers marked for the loss."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chats import Chat
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

TEMPLATE = Path(__file__).with_name("template.jinja")


@dataclass(frozen=True)
class Sample:
    """Token ids, and for each of them whether the model should learn to write it."""

    ids: list[int]
    learned: list[bool]


class Renderer:
    """Renders chats exactly as the finished model folder will."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        fast: Any = PreTrainedTokenizerFast
        self._fast = fast(tokenizer_object=tokenizer)
        self._fast.chat_template = TEMPLATE.read_text(encoding="utf-8")
        self._tokenizer = tokenizer

    def text(self, chat: Chat, count: int, *, prompt: bool = False) -> str:
        """The first messages of a chat as text."""
        return str(
            self._fast.apply_chat_template(
                chat.messages[:count],
                tools=chat.tools,
                tokenize=False,
                add_generation_prompt=prompt,
                enable_thinking=chat.thinking,
            )
        )

    def whole(self, chat: Chat) -> str:
        """A complete chat as text."""
        return self.text(chat, len(chat.messages))

    def continuation(self, given: str, learned: str) -> Sample:
        """Plain text whose second part is learned."""
        first, second = (self._tokenizer.encode(part, add_special_tokens=False).ids for part in (given, learned))
        return Sample(first + second, [False] * len(first) + [True] * len(second))

    def sample(self, chat: Chat) -> Sample:
        """A chat as ids; each turn must continue the text of the turns before it."""
        ids: list[int] = []
        learned: list[bool] = []
        done = ""
        for index, message in enumerate(chat.messages):
            if message["role"] != "assistant" or index < chat.learn_from:
                continue
            before, after = self.text(chat, index, prompt=True), self.text(chat, index + 1).removesuffix("\n")
            if not before.startswith(done) or not after.startswith(before):
                raise ValueError(f"a turn does not continue the chat: {before!r}")
            for piece, learn in ((before[len(done) :], False), (after[len(before) :], True)):
                new = self._tokenizer.encode(piece, add_special_tokens=False).ids
                ids += new
                learned += [learn] * len(new)
            done = after
        return Sample(ids, learned)
