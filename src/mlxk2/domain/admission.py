"""Which requests one model works on, which wait, and which are refused: a pure state machine.

The rules: at most `rows` requests decode together, and what they can come to need, padded to the longest of them,
stays within the budget. Whoever does not fit waits in a line; the first in line holds up the others, so that nobody
starves. The line has an end, and nobody waits longer than the patience. What could never fit is refused at once.

There is no clock here: times are arguments, in seconds, and only their differences matter.
"""

from typing import NamedTuple

from mlxk2.domain.kv import most_tokens, row_bytes
from mlxk2.domain.sizes import size
from mlxk2.ports.engine import KvCost
from mlxk2.ports.errors import NotEnoughMemory, Overloaded

TicketId = int


class Limits(NamedTuple):
    """`budget` in bytes for keys and values, None for no bound; `queue` requests may wait, `patience` seconds each."""

    rows: int
    budget: int | None
    queue: int = 256
    patience: float = 300.0


class Demand(NamedTuple):
    """The tokens that a request brings, and the most that it wants generated within the model's context."""

    prompt_tokens: int
    max_tokens: int

    @property
    def tokens(self) -> int:
        return self.prompt_tokens + self.max_tokens


class Moved(NamedTuple):
    """What time did: who waited too long and is out, and who may begin in the order of the line."""

    late: tuple[TicketId, ...] = ()
    begun: tuple[TicketId, ...] = ()


class _Waiting(NamedTuple):
    need: int
    since: float


class Admission:
    """Tell it of every request's arrival and end, under an id of its own; it answers whose turn it is."""

    def __init__(self, cost: KvCost, limits: Limits) -> None:
        self._cost = cost
        self._limits = limits
        self._running: dict[TicketId, int] = {}
        self._line: dict[TicketId, _Waiting] = {}

    @property
    def budget(self) -> int | None:
        """What requests may take together in bytes, None without a bound."""
        return self._limits.budget

    @property
    def running(self) -> tuple[TicketId, ...]:
        return tuple(self._running)

    @property
    def waiting(self) -> tuple[TicketId, ...]:
        """In the order of the line: the place of the first is 1."""
        return tuple(self._line)

    @property
    def has_line(self) -> bool:
        """Whether anybody waits; at once, also for whoever does not hold the lock that guards this."""
        return bool(self._line)

    def check(self, demand: Demand) -> None:
        """Raises NotEnoughMemory for what would not even fit alone, with the number of tokens that would."""
        budget = self._limits.budget
        if budget is not None and (need := row_bytes(self._cost, demand.tokens)) > budget:
            fitting = most_tokens(self._cost, budget, demand.tokens)
            raise NotEnoughMemory(_too_large(demand, need, budget, fitting), needed_bytes=need, limit_bytes=budget)

    def room(self, prompt_tokens: int, most: int) -> int:
        """How many of `most` tokens could be generated beside such a prompt, were it alone; 0 when none could."""
        budget = self._limits.budget
        if budget is None:
            return most
        return max(most_tokens(self._cost, budget, prompt_tokens + most) - prompt_tokens, 0)

    def arrive(self, ticket: TicketId, demand: Demand, now: float) -> bool:
        """Whether it may begin at once; else it waits.

        Raises NotEnoughMemory for what can never fit, Overloaded when the line is full.
        """
        self.check(demand)
        need = row_bytes(self._cost, demand.tokens)
        if not self._line and self._fits(need):
            self._running[ticket] = need
            return True
        if len(self._line) >= self._limits.queue:
            raise Overloaded(f"{len(self._line)} requests already wait for this model; try again later")
        self._line[ticket] = _Waiting(need, now)
        return False

    def leave(self, ticket: TicketId) -> tuple[TicketId, ...]:
        """It is over, wherever it was: who may begin now. An id that is not here changes nothing."""
        self._running.pop(ticket, None)
        self._line.pop(ticket, None)
        return self._advance()

    def pass_time(self, now: float) -> Moved:
        """Takes out of the line whoever has waited too long by `now`."""
        late = []
        while self._line:
            ticket, first = next(iter(self._line.items()))
            if now - first.since < self._limits.patience:
                break
            del self._line[ticket]
            late.append(ticket)
        return Moved(tuple(late), self._advance()) if late else Moved()

    def _advance(self) -> tuple[TicketId, ...]:
        begun = []
        while self._line:
            ticket, first = next(iter(self._line.items()))
            if not self._fits(first.need):
                break
            del self._line[ticket]
            self._running[ticket] = first.need
            begun.append(ticket)
        return tuple(begun)

    def _fits(self, need: int) -> bool:
        rows = len(self._running) + 1
        if rows > max(self._limits.rows, 1):
            return False
        longest = max(self._running.values(), default=0)
        return self._limits.budget is None or rows * max(longest, need) <= self._limits.budget


def waited_too_long(seconds: float) -> Overloaded:
    """The error of whoever is taken out of the line."""
    return Overloaded(f"The request waited {seconds:.0f} s for its turn and was given up; try again later")


def _too_large(demand: Demand, need: int, budget: int, fitting: int) -> str:
    """`fitting`: how many tokens the budget has room for."""
    numbers = (
        f"With {demand.tokens} tokens this request can need {size(need)}, and beside the model there is memory for"
        f" {size(budget)}"
    )
    if fitting > demand.prompt_tokens:
        return f"{numbers}; ask for at most {fitting - demand.prompt_tokens} tokens (max_tokens)"
    if fitting > 1:
        return f"{numbers}; its prompt has {demand.prompt_tokens} tokens: shorten it to fewer than {fitting}"
    return f"{numbers}, not even enough for two tokens; take a smaller model"
