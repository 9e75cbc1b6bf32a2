"""The model card of the demo model."""

from __future__ import annotations

from pathlib import Path

CARD = """---
license: mit
library_name: mlx
pipeline_tag: text-generation
language: en
tags:
- mlx
- demo
---

# The demo model of mlxk2

A toy. It exists so that every command of mlxk2 can be tried and tested at once,
without a download of gigabytes. It has {parameters:,} parameters, stored as float16,
in the Qwen3 architecture, with its own byte-level BPE tokenizer.

**What it can do:** answer short questions about the commands of this program,
make a little small talk, add two single digits, write a short `<think>` block when
thinking is enabled, and call a simple tool such as `get_weather(city)`.

**What it cannot do:** anything else. It knows nothing about the world, invents
answers when a question is new to it, and must not be used for real questions.

**How it was trained:** {trained}, generated from the question and answer pairs in
`tools/train_demo_model` of the mlxk2 repository. No other text and no other model
was used. `python tools/train_demo_model/train.py` makes such a model on an ordinary
CPU.

**Held-out score:** {right} of 78 wordings that are not in the training data are
answered rightly (greedy; a list of required and forbidden terms decides). The
training wordings were widened in general after earlier versions had been scored on
these, so take the figure as a regression check rather than as a measurement. Three
of the first fifty expected what has since become false, that `pull` knows only the
demo, that there is no `push` and that there is no server: "Can pull fetch other
models from the hub?", "how do i upload my own model to hugging face" and "Can I
start a server with an OpenAI style API?". These questions are unchanged, but other
terms are now required in their answers. Ten more ask about `serve` and `config`,
twelve about the chat, `ps`, `stop`, `logs`, `fit`, `doctor` and `completion`, and six
about `verify`, `prune` and `du`; each set was written before the first training on
its commands.

**Known weaknesses:** place names with repeated syllables may be copied wrongly, and
answers get worse while tools are offered and in chats of more than about 500 tokens.
Some plain wordings are missed too, even trained ones.
"""


FROM_NOTHING = """from random weights, first on lists of invented names to
copy, then on {chats:,} chats"""
ONWARD = """the first version came from random weights, from lists of invented
names to copy and 90,000 chats. The others went on from the one before
(`--onward`), this one with {chats:,} chats"""


def write_card(folder: Path, parameters: int, trained: str, right: int) -> None:
    """Write README.md; `trained` says on what."""
    text = CARD.format(parameters=parameters, trained=trained, right=right)
    (folder / "README.md").write_text(text, encoding="utf-8")
