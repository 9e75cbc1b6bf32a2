"""A bound on how many tokens an answer may think.

Once its reasoning has taken as many, the running request is cancelled and continued by another: its prompt is the first
prompt, what was generated, and the mark that ends reasoning, as if the model had written it. The prefix cache makes
that cheap. To whoever reads the answer it is one answer: its tokens add up, the mark's among them, and its prompt is
the first one.

- A mark that the model has begun to write may be completed: no cut goes through it.
- What the engine generates between the decision and the cancellation is dropped, and not counted.
- What follows has the form that was asked for, without reasoning before it, and cannot begin to reason again where the
  mark for that is a token of its own.
- An answer with no room left for more than the mark is not cut: it ends at its limit.
- Penalties and a seed look at what the continuing request generates, and no further back.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlxk2.domain.answer import Answer
from mlxk2.domain.text.matching import unfinished
from mlxk2.domain.text.outputs import Output
from mlxk2.ports.engine import EngineInfo, Markers
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Delta, Event, Failed, Finished, GenerationRequest, Sampling, Structure

_NEVER = -100.0


@dataclass(frozen=True, slots=True)
class ThinkingBudget:
    """At most so many `tokens` of reasoning; `mark` and its tokens end it.

    `structure` is the form of what follows on the reasoning. `banned` are tokens that would begin it again.
    `context_length` is in tokens, None when it is not known.
    """

    tokens: int
    mark: str
    mark_tokens: tuple[int, ...]
    structure: Structure | None = None
    banned: tuple[int, ...] = ()
    context_length: int | None = None


def thinking_budget(
    tokens: int, info: EngineInfo, structure: Structure | None, tokenize: Callable[[str], Sequence[int]]
) -> ThinkingBudget:
    """The budget for answers of this model; `tokenize` is its engine's.

    Raises ValidationError for fewer tokens than one, and for a model whose reasoning has no mark that ends it.
    """
    markers = info.markers
    if tokens < 1:
        raise ValidationError(
            f"thinking_budget {tokens} is out of range: it must be 1 or more", parameter="thinking_budget"
        )
    if markers.think_end is None or markers.tool_format == "harmony":
        raise ValidationError(
            "This model's reasoning cannot be held to a budget; leave the budget out, or switch thinking off",
            parameter="thinking_budget",
        )
    special = dict(markers.special)
    start = special.get(markers.think_start or "")
    return ThinkingBudget(
        tokens,
        markers.think_end,
        _tokens_of(markers.think_end, special, tokenize),
        structure,
        () if start is None else (start,),
        info.context_length,
    )


def without_reasoning(markers: Markers) -> Markers:
    """Those of an answer whose reasoning is over: grammars made for them allow none."""
    return markers._replace(think_start=None, think_end=None)


class BudgetedAnswer:
    """Reads the events of one answer into it, and holds its reasoning to a budget.

    Whenever `spent` turns true, cancel the running request, and read on: once its last event has come, `continuation`
    gives the request to submit in its place, once, with the same sink. It is the `following` of while it was spent.
    """

    def __init__(self, budget: ThinkingBudget, request: GenerationRequest, answer: Answer) -> None:
        self._budget = budget
        self._first = request
        self._answer = answer
        self._tokens: list[int] = []
        self._tail = ""
        self._before = 0
        self._ended: Finished | None = None
        self._next: GenerationRequest | None = None
        self.spent = False

    def read(self, event: Event) -> list[Output]:
        """What the event adds to the answer, possibly nothing."""
        if isinstance(event, Failed):
            return self._answer.read(event)
        if isinstance(event, Finished):
            return self._on_end(self._added_up(event))
        if self.spent:
            return []
        if isinstance(event, Delta):
            return self._on_delta(event)
        return self._answer.read(event) if self._ended is None else []

    def continuation(self) -> GenerationRequest | None:
        request, self._next = self._next, None
        return request

    @property
    def following(self) -> GenerationRequest:
        """The request that goes on where the answer was cut."""
        return self._first._replace(
            prompt=(*self._first.prompt, *self._tokens),
            max_tokens=self._first.max_tokens - len(self._tokens),
            sampling=_without(self._first.sampling, self._budget.banned),
            structure=self._budget.structure,
        )

    def _on_delta(self, delta: Delta) -> list[Output]:
        self._tokens += delta.tokens
        self._tail = (self._tail + delta.text)[-len(self._budget.mark) :]
        outputs = self._answer.read(delta._replace(generated_tokens=self._before + delta.generated_tokens))
        if self._is_due() and self._room() > 0:
            self.spent = True
            self._tokens += self._budget.mark_tokens
            outputs += self._answer.read(Delta(self._budget.mark, len(self._tokens), self._budget.mark_tokens))
        return outputs

    def _on_end(self, whole: Finished) -> list[Output]:
        if not self.spent:
            return self._answer.read(whole)
        self.spent = False
        self._ended = whole
        self._before = len(self._tokens)
        self._next = self.following
        return []

    def _is_due(self) -> bool:
        """A mark that has been begun is waited for, as long as it could still be completed."""
        over = self._answer.reasoning_tokens - self._budget.tokens
        if not self._answer.reasons or over < 0:
            return False
        return over >= len(self._budget.mark_tokens) or not unfinished(self._tail, (self._budget.mark,))

    def _room(self) -> int:
        """How many tokens there would be for an answer after the mark."""
        taken = len(self._tokens) + len(self._budget.mark_tokens)
        rest = self._first.max_tokens - taken
        context = self._budget.context_length
        return rest if context is None else min(rest, context - len(self._first.prompt) - taken)

    def _added_up(self, last: Finished) -> Finished:
        """The end of this request as that of the whole answer."""
        if self._ended is None:
            return last
        return self._ended._replace(
            reason=last.reason,
            generated_tokens=self._before + last.generated_tokens,
            total_seconds=self._ended.total_seconds + last.total_seconds,
        )


def _tokens_of(mark: str, special: dict[str, int], tokenize: Callable[[str], Sequence[int]]) -> tuple[int, ...]:
    """Without those that the model puts before every text."""
    if mark in special:
        return (special[mark],)
    return tuple(tokenize(mark)[len(tokenize("")) :])


def _without(sampling: Sampling, tokens: Sequence[int]) -> Sampling:
    """The same, but these tokens are never drawn."""
    kept = tuple(pair for pair in sampling.logit_bias if pair[0] not in tokens)
    return sampling._replace(logit_bias=(*kept, *((token, _NEVER) for token in tokens)))
