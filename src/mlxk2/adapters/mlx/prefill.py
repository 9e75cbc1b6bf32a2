"""Rows whose prompts are being processed, in pieces.

Short prompts go together, padded on the right to the longest of them; a long one goes alone, a piece at each turn, and
does not hold the short ones up. While others decode, pieces are smaller, and smaller still when one took long.
"""

import time
from collections.abc import Sequence
from typing import Any

from mlxk2.adapters.mlx import caches as kv
from mlxk2.adapters.mlx.batch import Batch
from mlxk2.adapters.mlx.caches import Caches
from mlxk2.adapters.mlx.prefix_cache import PrefixStore
from mlxk2.adapters.mlx.row import Row
from mlxk2.adapters.mlx.urgency import only_caches

SMALLEST_PIECE = 32
FIRST_PIECE = 256
"""Tokens of the first piece, before anything is known of the machine."""
IDLE_PIECE = 2048
"""Tokens in a piece while nobody decodes: mlx-lm's default."""
BUSY_PIECE = 512
IDLE_SECONDS = 4.0
"""So long a piece may take while nobody decodes: it cannot be cancelled half-way, nor give a sign of life."""
BUSY_SECONDS = 0.2
"""So long those who decode should wait for a piece."""
_SHORTEST = 1e-6
"""Seconds: no clock shows that a piece took none at all."""
_MOST_PADDING = 64
"""Tokens, about as many as take as long as a pass of their own: beyond, prompts do not go together."""
_KEPT_AT_ONCE = 64
"""New tokens of a prompt that make it worth keeping before its answer is finished."""


class Pace:
    """How many tokens a piece has: as many as the machine is expected to take `seconds` for, and at most `most`.

    A piece counts as much as all before it, so that one that something else held up is soon forgotten.
    """

    def __init__(self, most: int, seconds: float) -> None:
        self.piece = min(FIRST_PIECE, most)
        self._most = most
        self._seconds = seconds
        self._each: float | None = None
        """Seconds for a token, None while nothing is known."""

    def took(self, tokens: int, seconds: float) -> None:
        """A quick small piece says nothing of larger ones, a tiny one nothing at all: what it took is not its tokens'.

        The next piece is at most twice as large.
        """
        if tokens < SMALLEST_PIECE or (tokens < self.piece // 2 and seconds < self._seconds):
            return
        each = max(seconds, _SHORTEST) / tokens
        self._each = each if self._each is None else (self._each + each) / 2
        self.piece = min(int(self._seconds / self._each), 2 * self.piece, self._most)
        self.piece = max(SMALLEST_PIECE, self.piece)


class Prefill:
    """The first of each kind, short and long, is always next; short ones of its length go with it."""

    def __init__(self, model: Any, store: PrefixStore) -> None:
        caches = kv.new_caches(model)
        self.rows: list[Row] = []
        self._model = model
        self._store = store
        self._can_batch = kv.can_batch(caches)
        self._can_pad = kv.can_pad(caches)
        self._can_cut = kv.can_always_cut(caches)
        self._idle = Pace(IDLE_PIECE, IDLE_SECONDS)
        self._busy = Pace(BUSY_PIECE, BUSY_SECONDS)

    def add(self, row: Row) -> None:
        """Begin with what is kept of the row's tokens."""
        prefix = self._store.find(row.tokens)
        if prefix:
            row.caches, row.position = prefix.caches, prefix.length
            row.cached = min(prefix.length, row.prompt_length - 1)
        else:
            row.caches, row.position = kv.new_caches(self._model), 0
        self.rows.append(row)
        row.progress()

    def next_short_group(self, *, others_decode: bool) -> list[Row]:
        """Prompts that fit into one piece together; empty when there is none that fits alone."""
        piece = self._pace(others_decode=others_decode).piece
        return self._fitting([row for row in self.rows if self._is_short(row, piece)], piece)

    def next_long(self, *, others_decode: bool) -> list[Row]:
        """The first of the prompts that take several pieces, alone."""
        piece = self._pace(others_decode=others_decode).piece
        return [row for row in self.rows if not self._is_short(row, piece)][:1]

    def _is_short(self, row: Row, piece: int) -> bool:
        return self._next_stop(row) == row.unprocessed <= piece

    def _fitting(self, rows: Sequence[Row], piece: int) -> list[Row]:
        """The first, with those nearest to its length that the padded piece has room for; or alone if it must be."""
        group = list(rows[:1])
        if not group or group[0].alone or not self._can_batch:
            return group
        first = group[0].unprocessed
        for row in sorted(rows[1:], key=lambda row: abs(row.unprocessed - first)):
            lengths = [other.unprocessed for other in (*group, row)]
            padding = max(lengths) - min(lengths)
            fits = padding <= (_MOST_PADDING if self._can_pad else 0) and len(lengths) * max(lengths) <= piece
            if fits and not row.alone:
                group.append(row)
        return group

    def process(self, group: Sequence[Row], *, others_decode: bool) -> Batch | None:
        """One piece for these rows; those that are ready for their first token come back as a batch."""
        pace = self._pace(others_decode=others_decode)
        started = time.perf_counter()
        tokens = len(group) * max(row.unprocessed for row in group)
        if len(group) > 1:
            batch = Batch(self._model, group, self._together(group))
        else:
            (row,) = group
            tokens = min(self._next_stop(row), pace.piece)
            self._advance(row, tokens)
            if row.unprocessed:
                pace.took(tokens, time.perf_counter() - started)
                return None
            batch = Batch(self._model, group, row.caches or [])
        for row in group:
            self.rows.remove(row)
            row.caches = None
        pace.took(tokens, time.perf_counter() - started)
        return batch

    def worth_keeping(self, batch: Batch) -> list[Row]:
        """Whose prompts to keep once their first tokens are told: whole, so only where caches can be cut later."""
        rows = batch.rows if self._can_cut else []
        return [row for row in rows if _has_much_new(row) and self._store.wants(len(row.tokens))]

    def _pace(self, *, others_decode: bool) -> Pace:
        return self._busy if others_decode else self._idle

    def _next_stop(self, row: Row) -> int:
        """Tokens up to where the caches are to be kept: the end, or a border where they cannot be cut later."""
        borders = () if self._can_cut else row.request.borders
        ahead = [border - row.position for border in borders if row.position < border <= row.position + row.unprocessed]
        return min(ahead, default=row.unprocessed)

    def _advance(self, row: Row, count: int) -> None:
        import mlx.core as mx

        if count:
            piece = row.tokens[row.position : row.position + count]
            self._fill(row.caches or [], mx.array([piece]))
            kv.evaluate(row.caches or [])
            row.position += count
            row.progress()
            if count >= BUSY_PIECE:
                mx.clear_cache()
        is_stop = row.position in row.request.borders or (not row.unprocessed and _has_much_new(row))
        if count and is_stop and not self._can_cut and row.caches and self._store.wants(row.position):
            self._store.put(row.tokens[: row.position], row.caches)

    def _together(self, group: Sequence[Row]) -> Caches:
        """The caches of the rows as one batch, with all but the last of their tokens processed."""
        import mlx.core as mx

        caches = kv.merge([row.caches or [] for row in group])
        pieces = [row.tokens[row.position : -1] for row in group]
        widest = max(len(piece) for piece in pieces)
        if widest:
            padding = [widest - len(piece) for piece in pieces]
            inputs = mx.array([piece + [0] * pad for piece, pad in zip(pieces, padding, strict=True)])
            if any(padding):
                kv.prepare(caches, [len(piece) for piece in pieces], padding)
            self._fill(caches, inputs)
            if any(padding):
                kv.finalize(caches)
            kv.evaluate(caches)
        for index, row in enumerate(group):
            row.position = len(row.tokens) - 1
            row.progress()
            if not self._can_cut and len(pieces[index]) >= _KEPT_AT_ONCE and self._store.wants(row.position):
                self._store.put(row.tokens[:-1], kv.extract(caches, index))
        return caches

    def _fill(self, caches: Caches, inputs: Any) -> None:
        """Have the model put these tokens, (rows, tokens), into the caches."""
        with only_caches(len(caches)):
            self._model(inputs, cache=caches)


def _has_much_new(row: Row) -> bool:
    """Of what its caches hold."""
    return row.position - row.cached >= _KEPT_AT_ONCE
