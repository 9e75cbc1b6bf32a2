"""The peer in a child of its own: mlx-lm's `BatchGenerator` and a loop around it, nothing else.

It gives tokens, no text: no detokenizer, no stop texts, no events, no prefix cache. OpenBLAS and float32 are as ours.
"""

import sys
import time
from dataclasses import asdict
from typing import Any

from bench.engine.children import serve
from bench.engine.volleys import Volley, Volleyed
from mlxk2.adapters.mlx.blas import prefer_openblas


class BareLoop:
    """The batch generator is kept from volley to volley, as a server would keep it."""

    def __init__(self, folder: str) -> None:
        from mlx_lm import load
        from mlx_lm.generate import BatchGenerator

        self._model, self._tokenizer = load(folder)
        ends = [[int(token)] for token in self._tokenizer.eos_token_ids]
        self._generator = BatchGenerator(self._model, stop_tokens=ends)

    def answer(self, question: Any) -> dict[str, object]:
        volley = Volley.parse(question)
        prompts = [self._tokens(prompt) for prompt in volley.prompts]
        started, processor = time.perf_counter(), time.process_time()
        generated, first = self._loop(prompts, volley)
        ended, worked = time.perf_counter(), time.process_time() - processor
        return asdict(Volleyed(generated, first - started, ended - started, worked))

    def _tokens(self, prompt: str) -> list[int]:
        turns = [{"role": "user", "content": prompt}]
        tokens = self._tokenizer.apply_chat_template(turns, add_generation_prompt=True, enable_thinking=False)
        return [int(token) for token in tokens]

    def _loop(self, prompts: list[list[int]], volley: Volley) -> tuple[int, float]:
        """How many tokens came, and when the first."""
        waiting = prompts[volley.at_once :]
        self._generator.insert(prompts[: volley.at_once], max_tokens=[volley.tokens] * len(prompts[: volley.at_once]))
        unfinished, generated, first = len(prompts), 0, 0.0
        while unfinished:
            responses = self._generator.next_generated()
            if responses and not first:
                first = time.perf_counter()
            generated += len(responses)
            ended = sum(response.finish_reason is not None for response in responses)
            unfinished -= ended
            if ended and waiting:
                joining, waiting = waiting[:ended], waiting[ended:]
                self._generator.insert(joining, max_tokens=[volley.tokens] * len(joining))
        return generated, first


if __name__ == "__main__":
    prefer_openblas()
    serve(BareLoop(sys.argv[1]).answer)
