"""Score a demo model on the held-out wordings: python evaluate.py [model_dir]; exit status 1 below 64 of 78."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from blas import use_fast_blas

use_fast_blas()

import mlx.core as mx  # noqa: E402
from heldout import MAX_TOKENS, PASS, Item, load_items, score  # noqa: E402
from mlx_lm import load, stream_generate  # noqa: E402

DEMO = Path(__file__).resolve().parents[2] / "src" / "mlxk2" / "assets" / "demo"


def evaluate(folder: Path) -> int:
    """The number of right answers of the model in a folder, greedy, computed in float32."""
    loaded: Any = load(str(folder))
    model, tokenizer = loaded[0], loaded[1]
    model.set_dtype(mx.float32)

    def answer(item: Item) -> tuple[str, bool]:
        prompt = tokenizer.apply_chat_template(
            item.messages(),
            tools=item.tool_schemas(),
            add_generation_prompt=True,
            enable_thinking=item.thinking,
        )
        parts = list(stream_generate(model, tokenizer, prompt, max_tokens=MAX_TOKENS))
        return "".join(part.text for part in parts), parts[-1].finish_reason == "stop"

    return score(answer, load_items())


def main() -> int:
    """Run the evaluation."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else DEMO
    return 0 if evaluate(folder) >= PASS else 1


if __name__ == "__main__":
    sys.exit(main())
