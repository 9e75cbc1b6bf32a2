"""What was measured of whom, and what it is held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Target:
    """What an entry wants to reach against the reference, as the contest holds them against one another."""

    limit: float
    at_least: bool

    def is_met(self, reached: float) -> bool:
        return reached >= self.limit if self.at_least else reached <= self.limit


@dataclass(frozen=True, slots=True)
class Entry:
    """One peer's values, one a round; none when there is no such peer, and `absence` says why."""

    label: str
    values: tuple[float, ...]
    target: Target | None = None
    absence: str = ""


@dataclass(frozen=True, slots=True)
class Contest:
    """Entries of one kind under one condition, each held round by round against the entry called `reference`.

    `differences`: by subtraction; otherwise by ratio.
    """

    title: str
    unit: str
    entries: tuple[Entry, ...]
    reference: str
    differences: bool = False

    def reached(self, entry: Entry) -> float:
        """Median over the rounds. Entries measured in fewer rounds are held against the reference's median."""
        base = next(other for other in self.entries if other.label == self.reference).values
        if len(base) != len(entry.values):
            return self._against(median(entry.values), median(base))
        return median(self._against(own, theirs) for own, theirs in zip(entry.values, base, strict=True))

    def _against(self, own: float, theirs: float) -> float:
        return own - theirs if self.differences else own / theirs


@dataclass(frozen=True, slots=True)
class Report:
    contests: tuple[Contest, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its files, how many rounds everything is measured, and how long what is measured by time."""

    base: Path
    home: Path
    rounds: int
    minutes: float

    @property
    def many_rounds(self) -> int:
        """Of what is over quickly and differs much from round to round."""
        return 2 * self.rounds

    @property
    def long_rounds(self) -> int:
        """Of what has many requests in each round and takes long."""
        return max(1, self.rounds - 1)


@dataclass(frozen=True, slots=True)
class Section:
    """`target` is what the project wants to reach, in words; it is reported and never asserted."""

    name: str
    title: str
    target: str
    run: Callable[[Place], Report]


@dataclass(frozen=True, slots=True)
class Group:
    """Sections that make one part of the document, under `title`; `introduction` may name `{rounds}`.

    `on_demand`: measured only when it is asked for by name.
    """

    name: str
    title: str
    introduction: str
    sections: tuple[Section, ...]
    on_demand: bool = False


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]
