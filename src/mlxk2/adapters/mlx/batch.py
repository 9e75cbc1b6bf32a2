"""The rows that decode together, on mlx-lm's batched caches.

A step is set up before the tokens of the one before are read, so that the device never waits for Python. Only a row
that is held to a structure needs the token first: it is read while the model's forward pass runs.

mlx-lm's own `BatchGenerator` stands on the same caches; docs/ADR/0009 says why the loop around them is this one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx.caches import Caches
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.sampling import BatchSampler, Drawn
from mlxk2.ports.generation import TokenLogprobs

Taken = tuple[Row, int, TokenLogprobs | None]
"""A row's new token, with its log-probabilities if the row asked."""


class Batch:
    """Rows whose prompts are processed, all but the last token. One row alone stands on caches that are not batched."""

    def __init__(self, model: Any, rows: Sequence[Row], caches: Caches) -> None:
        """Computes each row's first token. `caches` are batched if there is more than one row."""
        import mlx.core as mx

        self.rows = list(rows)
        self._model = model
        self._caches = caches
        self._is_batched = len(self.rows) > 1
        self._sampler = BatchSampler(self.rows)
        self._tokens = mx.array([row.tokens[-1] for row in self.rows])
        self._told = set(self.rows)
        drawn = self._compute(first=True)
        self._tokens, self._chances, self._told = drawn.tokens, drawn.blocks(), set()

    def step(self, text: Callable[[int], str]) -> list[Taken]:
        """Set the next step going and return the tokens of the last, one for each row."""
        drawn = self._compute(first=False)
        taken = self.read(text)
        self._tokens, self._chances, self._told = drawn.tokens, drawn.blocks(), set()
        return taken

    def tell(self, text: Callable[[int], str]) -> list[Taken]:
        """The tokens that the next step would return, now."""
        taken = self.read(text)
        self._told = set(self.rows)
        return taken

    def read(self, text: Callable[[int], str]) -> list[Taken]:
        """The tokens that nobody has been told yet; after a step that raised they are good still, if readable."""
        values: Any = self._tokens.tolist()
        known: dict[Row, TokenLogprobs] = {}
        for block in self._chances:
            known.update(block.read(text))
        pairs = zip(self.rows, values, strict=True)
        return [(row, int(token), known.get(row)) for row, token in pairs if row not in self._told]

    def join(self, other: "Batch") -> None:
        """Take the other's rows in; it must not be used afterwards."""
        import mlx.core as mx

        self._become_batched()
        other._become_batched()
        kv.extend(self._caches, other._caches)
        self._tokens = mx.concatenate([self._tokens, other._tokens])
        self._chances += other._chances
        self._told |= other._told
        self._set_rows(self.rows + other.rows)

    def keep(self, stays: Callable[[Row], bool]) -> None:
        """Drop the other rows and what they hold."""
        import mlx.core as mx

        indices = [i for i, row in enumerate(self.rows) if stays(row)]
        if len(indices) == len(self.rows):
            return
        self._set_rows([self.rows[i] for i in indices])
        if not indices:
            self._caches = []
            return
        if len(indices) == 1:
            self._caches, self._is_batched = kv.extract(self._caches, indices[0]), False
        else:
            kv.keep(self._caches, indices)
        self._tokens = self._tokens[mx.array(indices)]

    def extract(self, row: Row) -> Caches:
        """The row's own caches, holding all its tokens but one that is not read yet."""
        return kv.extract(self._caches, self.rows.index(row)) if self._is_batched else kv.copy_of(self._caches)

    @property
    def size_bytes(self) -> int:
        return kv.size_bytes(self._caches)

    def _set_rows(self, rows: list[Row]) -> None:
        self.rows = rows
        self._sampler = BatchSampler(rows) if rows else self._sampler

    def _become_batched(self) -> None:
        if not self._is_batched:
            self._caches, self._is_batched = kv.merge([self._caches]), True

    def _compute(self, *, first: bool) -> Drawn:
        """Whatever raises here, the tokens that are to be read stay as they are."""
        import mlx.core as mx

        inputs = self._tokens
        logits = self._model(inputs[:, None], cache=self._caches)[:, -1, :]
        if self._sampler.structured and not first:
            mx.async_eval(logits)  # type: ignore[no-untyped-call]
            values: Any = inputs.tolist()
            for i in self._sampler.structured:
                if matcher := self.rows[i].matcher:
                    matcher.consume(int(values[i]))
        drawn = self._sampler(logits, inputs, self._told)
        mx.async_eval(drawn.tokens, *(block.arrays() for block in drawn.blocks()))  # type: ignore[no-untyped-call]
        return drawn
