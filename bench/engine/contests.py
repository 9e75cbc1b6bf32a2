"""What was measured of whom, and what it is held against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True, slots=True)
class Target:
    """The ratio to the reference that an entry wants to reach."""

    limit: float
    at_least: bool

    def text(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.limit:.2f}×"

    def is_met(self, ratio: float) -> bool:
        return ratio >= self.limit if self.at_least else ratio <= self.limit


@dataclass(frozen=True, slots=True)
class Entry:
    """One peer's values, one a round."""

    label: str
    values: tuple[float, ...]
    target: Target | None = None


@dataclass(frozen=True, slots=True)
class Contest:
    """Entries of one kind under one condition; ratios are taken round by round to the first entry of `reference`."""

    title: str
    unit: str
    entries: tuple[Entry, ...]
    reference: str

    def ratio(self, entry: Entry) -> float:
        """Median over the rounds. Entries measured in fewer rounds are held against the reference's median."""
        base = next(other for other in self.entries if other.label == self.reference).values
        if len(base) != len(entry.values):
            return median(entry.values) / median(base)
        return median(own / theirs for own, theirs in zip(entry.values, base, strict=True))


@dataclass(frozen=True, slots=True)
class Report:
    contests: tuple[Contest, ...]
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a run keeps its files, and how many rounds everything is measured."""

    base: Path
    home: Path
    rounds: int

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


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least this share of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * round(share * 100) // 100) - 1)]
