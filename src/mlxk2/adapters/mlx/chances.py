"""Log-probabilities of generated tokens, for the rows that asked: computed with the step and read with its tokens."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from mlxk2.adapters.mlx.row import Row
from mlxk2.ports.generation import TokenChance, TokenLogprobs


@dataclass(frozen=True, slots=True)
class Chances:
    """Of one step: rows by 1 for the drawn tokens, rows by width for the most probable ones, best first."""

    rows: Sequence[Row]
    tokens: Any
    logprobs: Any
    top_tokens: Any
    top_logprobs: Any

    def arrays(self) -> list[Any]:
        arrays = (self.tokens, self.logprobs, self.top_tokens, self.top_logprobs)
        return [array for array in arrays if array is not None]

    def read(self, text: Callable[[int], str]) -> dict[Row, TokenLogprobs]:
        """Each row's, as plain values; `text` gives a token's text."""

        def chance(token: int, logprob: float) -> TokenChance:
            return TokenChance(token, text(token), logprob)

        width = [row.request.logprobs or 0 for row in self.rows]
        chosen = zip(self.tokens.tolist(), self.logprobs.tolist(), strict=True)
        tops: list[Any] = [()] * len(self.rows)
        if self.top_tokens is not None:
            pairs = zip(self.top_tokens.tolist(), self.top_logprobs.tolist(), strict=True)
            tops = [list(zip(tokens, logprobs, strict=True)) for tokens, logprobs in pairs]
        return {
            row: TokenLogprobs(chance(token, logprob), tuple(chance(*pair) for pair in top[:most]))
            for row, (token, logprob), top, most in zip(self.rows, chosen, tops, width, strict=True)
        }


def chances_of(logits: Any, tokens: Any, rows: Sequence[Row], indices: Sequence[int]) -> Chances:
    """For `rows`, which stand at `indices` of the batch's logits and tokens."""
    import mlx.core as mx

    where = mx.array(list(indices))
    logits, tokens = logits[where], tokens[where]
    logprobs = logits - mx.logsumexp(logits, axis=-1, keepdims=True)
    chosen = mx.take_along_axis(logprobs, tokens[:, None], axis=-1)[:, 0]
    width = min(max(row.request.logprobs or 0 for row in rows), logits.shape[-1])
    if not width:
        return Chances(rows, tokens, chosen, None, None)
    some = mx.argpartition(-logprobs, kth=width - 1, axis=-1)[:, :width]
    values = mx.take_along_axis(logprobs, some, axis=-1)
    order = mx.argsort(-values, axis=-1)
    return Chances(
        rows,
        tokens,
        chosen,
        mx.take_along_axis(some, order, axis=-1),
        mx.take_along_axis(values, order, axis=-1),
    )
