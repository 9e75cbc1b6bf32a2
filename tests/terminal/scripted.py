"""The program on memory adapters, for a terminal: answers that a test needs word for word, at a reader's pace.

The question names the answer: a key of ANSWERS.
"""

import os
import sys
import time

from mlxk2.adapters.memory import MEMORY_INFO, MemoryCache, MemoryEngine
from mlxk2.entrypoints.cli.app import run
from mlxk2.ports.engine import Loading, LoadOptions, Markers, RequestId, Watch, unwatched
from mlxk2.ports.generation import Delta, Event, GenerationRequest, Sink
from mlxk2.testing import healthy_model, memory_program

WORDS = 125
PROSE = " ".join(f"word{number} runs on" for number in range(WORDS))
MARKDOWN = """\
# Three models

They are **small**, and `tiny` is the smallest of all of them.

- one that is long enough to be wrapped
- two

| Name | Size |
|------|-----:|
| tiny | 1 MB |
| big | 1.5 GB |

```python
print("code that is longer than this window is")
```
"""
EVIL = "A \x1b]0;stolen\x07title, \x1b[2J\x1b[Ha cleared screen and \x9b31mred; \u202etxet\r\nafter"
ANSWERS = {
    "prose": PROSE,
    "markdown": MARKDOWN,
    "evil": EVIL,
    "think": "<think>Two and three,\nthat makes five.</think>\n\nIt is **five**.",
    "wide": "漢字と仮名の混ざった文章は空白がなくても折り返される。" * 2,
}
_PACE = 0.03


class PacedEngine(MemoryEngine):
    """Whole words, one after the other, as a reader of the screen would see them come.

    While the file that LOADS_WHILE names is there, it goes on loading.
    """

    def load(self, options: LoadOptions, watch: Watch = unwatched) -> None:
        watch(Loading("weights"))
        while os.path.exists(os.environ.get("LOADS_WHILE", "")):
            time.sleep(_PACE)
        super().load(options, watch)

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        held = ""

        def paced(event: Event) -> None:
            nonlocal held
            if not isinstance(event, Delta):
                if held:
                    sink(Delta(held, len(held)))
                sink(event)
                return
            held += event.text
            if held.endswith((" ", "\n")):
                sink(Delta(held, event.generated_tokens, event.tokens))
                held = ""
                time.sleep(_PACE)

        return super().start(request, paced)


def answer(prompt: str) -> str:
    """To the last question of the conversation."""
    asked = [line.removeprefix("user: ") for line in prompt.splitlines() if line.startswith("user: ")]
    return ANSWERS.get(asked[-1], f"You asked: {asked[-1]}")


if __name__ == "__main__":
    info = MEMORY_INFO._replace(markers=Markers(think_start="<think>", think_end="</think>"), context_length=100_000)
    sys.exit(
        run(sys.argv[1:], memory_program(MemoryCache([healthy_model()]), PacedEngine(answer, info=info)), os.environ)
    )
