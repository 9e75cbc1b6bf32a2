"""The rows that decode together, on mlx-lm's batched caches.

A step is the forward pass over the tokens that were drawn last, and the draw of the next ones. Tokens are read, told
and looked at while the pass over them runs, so that the device does not wait for Python and nobody for the draw.

mlx-lm's own `BatchGenerator` stands on the same caches; docs/ADR/0009 says why the loop around them is this one.
"""

from collections.abc import Callable, Sequence
from typing import Any

from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx.caches import Caches
from mlxk2.adapters.mlx.chances import Chances
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.sampling import BatchSampler
from mlxk2.adapters.mlx.urgency import one_step
from mlxk2.ports.generation import TokenLogprobs

Taken = tuple[Row, int, TokenLogprobs | None]
"""A row's new token, with its log-probabilities if the row asked."""


class Batch:
    """Rows whose prompts are processed, all but the last token. One row alone stands on caches that are not batched."""

    def __init__(self, model: Any, rows: Sequence[Row], caches: Caches) -> None:
        """Draws each row's first token. `caches` are batched if there is more than one row."""
        import mlx.core as mx

        self.rows = list(rows)
        self._model = model
        self._caches = caches
        self._is_batched = len(self.rows) > 1
        self._sampler = BatchSampler(self.rows)
        self._chances: list[Chances] = []
        self._told: set[Row] = set()
        self._attentions = 0
        self._tokens = mx.array([row.tokens[-1] for row in self.rows])
        self._logits: Any = self._forward()
        self.draw()

    def draw(self) -> bool:
        """The tokens after a pass, unless they are drawn already: whether they were not.

        The tokens that the pass read must have been told.
        """
        import mlx.core as mx

        if self._logits is None:
            return False
        drawn = self._sampler(self._logits)
        mx.async_eval(drawn.tokens, *(block.arrays() for block in drawn.blocks()))  # type: ignore[no-untyped-call]
        self._tokens, self._chances, self._told, self._logits = drawn.tokens, drawn.blocks(), set(), None
        return True

    def step(self, tell: Callable[[], None]) -> None:
        """Set the pass over the drawn tokens going; meanwhile, `tell` is called to tell those tokens."""

        def meanwhile() -> None:
            if self._sampler.structured:
                self._follow_structures()
            tell()

        self._logits = self._forward(meanwhile)

    def tell(self, text: Callable[[int], str]) -> list[Taken]:
        """The drawn tokens that nobody has been told yet."""
        taken = self.read(text)
        self._told = set(self.rows)
        return taken

    def read(self, text: Callable[[int], str]) -> list[Taken]:
        """As `tell`, for one who may not come to tell them; after a step that raised they are good, if readable."""
        values: Any = self._tokens.tolist()
        known: dict[Row, TokenLogprobs] = {}
        for block in self._chances:
            known.update(block.read(text))
        pairs = zip(self.rows, values, strict=True)
        return [(row, int(token), known.get(row)) for row, token in pairs if row not in self._told]

    def join(self, others: Sequence["Batch"]) -> None:
        """Take the others' rows in, which must not be used afterwards; the tokens of all are drawn."""
        import mlx.core as mx

        batches = [self, *others]
        for batch in batches:
            batch._become_batched()
        self._caches = kv.join([batch._caches for batch in batches])
        self._tokens = mx.concatenate([batch._tokens for batch in batches])
        self._chances = [chances for batch in batches for chances in batch._chances]
        self._told.update(*(other._told for other in others))
        self._set_rows([row for batch in batches for row in batch.rows])

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
            self._caches, self._is_batched = kv.own(kv.extract(self._caches, indices[0])), False
        else:
            kv.keep(self._caches, indices)
        self._tokens = self._tokens[mx.array(indices)]
        if self._logits is not None:
            self._logits = self._logits[mx.array(indices)]

    def extract(self, row: Row) -> Caches:
        """The row's caches, holding all tokens that it has been told; they may be parts of the batch's."""
        return kv.extract(self._caches, self.rows.index(row)) if self._is_batched else self._caches

    @property
    def size_bytes(self) -> int:
        return kv.size_bytes(self._caches)

    def _set_rows(self, rows: list[Row]) -> None:
        self.rows = rows
        self._sampler = BatchSampler(rows) if rows else self._sampler

    def _become_batched(self) -> None:
        if not self._is_batched:
            self._caches, self._is_batched = kv.merge([self._caches]), True

    def _forward(self, meanwhile: Callable[[], None] | None = None) -> Any:
        """Logits, rows by vocabulary, after the drawn tokens: set going, not there yet.

        `meanwhile` is called when half of the attentions have been set going, so that the device has enough to do for a
        while; or at the end, where they cannot be seen.
        """
        import mlx.core as mx

        with one_step(kv.places(self._caches), meanwhile, middle=self._attentions // 2 + 1) as step:
            logits = self._model(self._tokens[:, None], cache=self._caches)[:, -1, :]
            mx.async_eval(logits)  # type: ignore[no-untyped-call]
        self._attentions = step.attentions
        return logits

    def _follow_structures(self) -> None:
        """Every row's last token, those too that were told before."""
        values: Any = self._tokens.tolist()
        for i in self._sampler.structured:
            if matcher := self.rows[i].matcher:
                matcher.consume(int(values[i]))
