"""Output that is held to a form: llguidance says which tokens may come next, plain MLX operations rule the others out.

llguidance's own MLX kernel runs on Metal only. Compiling takes a millisecond or so for an ordinary schema, and a second
or so once per model for its vocabulary: neither belongs into the thread that steps.
"""

import math
import threading
from collections.abc import Callable, Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from mlxk2.ports.errors import OperationError, ValidationError
from mlxk2.ports.generation import JSON_WHITESPACE, Structure

if TYPE_CHECKING:
    from llguidance import LLMatcher, LLTokenizer

_LONGEST_REASON = 200
_NAMES = {"json_schema": "JSON schema", "regex": "regular expression", "lark": "grammar"}


class Matcher:
    """Follows one request's output through its structure. Nothing here raises: what goes wrong is seen in `problem`."""

    def __init__(self, matcher: "LLMatcher", kind: str) -> None:
        self._matcher = matcher
        self._kind = kind

    @property
    def complete(self) -> bool:
        """Nothing may follow any more."""
        return bool(self._matcher.is_stopped()) and not self._matcher.is_error()

    @property
    def problem(self) -> str | None:
        """A sentence for whoever asked, once the output cannot be held to the structure any more."""
        if not self._matcher.is_error():
            return None
        reason = _first_line(self._matcher.get_error())
        return f"The answer can no longer be held to the {self._kind}: {reason}; ask for a simpler one"

    def consume(self, token: int) -> None:
        self._matcher.consume_token(token)

    def begin_again(self, tokens: Sequence[int]) -> None:
        self._matcher.reset()
        self._matcher.consume_tokens(list(tokens))

    def allowed(self) -> bytes:
        """One bit per token of the vocabulary, in little-endian words of 32."""
        return bytes(self._matcher.compute_bitmask())


class StructureCompiler:
    """Makes matchers for one model's vocabulary; `vocab_size` is that of its logits."""

    def __init__(self, tokenizer: Any, vocab_size: int) -> None:
        self._tokenizer = tokenizer
        self._vocab_size = vocab_size
        self._vocabulary: LLTokenizer | None = None
        self._making = threading.Lock()

    def compile(self, structure: Structure) -> Matcher:
        """Raises ValidationError with llguidance's reason when it cannot be compiled."""
        try:
            import llguidance

            grammar = _grammar(structure, llguidance.LLMatcher)
            matcher = llguidance.LLMatcher(self._known_vocabulary(), grammar, log_level=0)
            matcher.compute_bitmask()  # some of what nothing can satisfy is only noticed at the first token
            problem = matcher.get_error() if matcher.is_error() else ""
        except (ValueError, TypeError, RecursionError) as error:
            problem = str(error)
        if problem:
            raise ValidationError(
                f"The {_NAMES[structure.kind]} cannot be used: {_first_line(problem)}", parameter="structure"
            )
        return Matcher(matcher, _NAMES[structure.kind])

    def _known_vocabulary(self) -> "LLTokenizer":
        import llguidance.hf

        with self._making:
            if self._vocabulary is None:
                ends = sorted(int(token) for token in self._tokenizer.eos_token_ids)
                try:
                    self._vocabulary = llguidance.hf.from_tokenizer(
                        self._tokenizer._tokenizer, n_vocab=self._vocab_size, eos_token=ends or None
                    )
                except Exception as error:
                    raise OperationError(f"This model's tokenizer cannot be held to a structure: {error}") from error
            return self._vocabulary


def forbid(logits: Any, allowed: Sequence[bytes], by_byte: Any) -> Any:
    """The logits (rows by vocabulary) with minus infinity wherever a row's mask says no.

    `by_byte` is what `penalties_by_byte` gives.
    """
    import mlx.core as mx

    rows, vocab_size = logits.shape
    masks = mx.array(memoryview(b"".join(allowed)))  # type: ignore[arg-type]
    added = by_byte[masks].reshape(rows, -1)[:, :vocab_size]
    if added.shape[-1] < vocab_size:
        added = mx.pad(added, [(0, 0), (0, vocab_size - added.shape[-1])], constant_values=-math.inf)
    return logits + added


def penalties_by_byte() -> Any:
    """What each byte of a mask adds to the logits of its eight tokens: looking up is quicker than taking bits apart."""
    import mlx.core as mx

    table = [[0.0 if byte >> bit & 1 else -math.inf for bit in range(8)] for byte in range(256)]
    return mx.array(table, dtype=mx.float32)


def _grammar(structure: Structure, matcher: Any) -> str:
    writers: dict[str, Callable[[str], str]] = {
        "json_schema": lambda text: matcher.grammar_from_json_schema(
            text, defaults={"whitespace_pattern": JSON_WHITESPACE}
        ),
        "regex": matcher.grammar_from_regex,
        "lark": matcher.grammar_from_lark,
    }
    return writers[structure.kind](structure.text)


def _first_line(problem: str) -> str:
    line = problem.strip().splitlines()[0].rstrip(".") if problem.strip() else ""
    return shorten(line, _LONGEST_REASON, placeholder=" …") or "nothing satisfies it"
