"""What is left over in a cache, as rows for people: things of one kind in one model are one row."""

from collections import defaultdict
from collections.abc import Iterable, Sequence

from mlxk2.domain.names import name_of, short_name
from mlxk2.domain.sizes import size
from mlxk2.entrypoints.cli import human
from mlxk2.ports.pruning import Kind, Leftover

_HEADER = ("MODEL", "KIND", "WHAT", "SIZE", "AGE")
_SUMMED_UP = frozenset({Kind.LOCK, Kind.RECORD})
"""There may be some in every model, and they take no space: all of them are one row."""
_NOUNS = {
    Kind.BLOB: "blob",
    Kind.PARTIAL: "file",
    Kind.PAYLOAD: "file",
    Kind.TRASH: "deletion",
    Kind.LOCK: "file",
    Kind.RECORD: "file",
}
_WORDS = {Kind.PARTIAL: "partial file", Kind.PAYLOAD: "shared file", Kind.TRASH: "interrupted deletion"}
"""For sentences, where a kind's own name says too little."""


def table(leftovers: Sequence[Leftover], now: float, width: int | None) -> list[str]:
    """The header and a row for each model and kind, the largest first within a kind."""
    rows = [_row(kind, group, now) for kind, group in _groups(leftovers)]
    return human.table(_HEADER, rows, width=width, right=frozenset({"SIZE"}))


def summary(leftovers: Sequence[Leftover]) -> str:
    """Such as "2 revisions, 1 partial file and 12 locks"."""
    counts: dict[Kind, int] = defaultdict(int)
    for leftover in leftovers:
        counts[leftover.kind] += 1
    words = [human.count(counts[kind], _WORDS.get(kind, kind.value)) for kind in Kind if counts[kind]]
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)


def _groups(leftovers: Sequence[Leftover]) -> Iterable[tuple[Kind, list[Leftover]]]:
    for kind in Kind:
        groups: dict[str, list[Leftover]] = defaultdict(list)
        for leftover in leftovers:
            if leftover.kind is kind:
                groups[_key(leftover)].append(leftover)
        yield from ((kind, group) for group in sorted(groups.values(), key=_order))


def _order(group: list[Leftover]) -> tuple[int, str]:
    return -sum(one.size for one in group), group[0].folder or ""


def _key(leftover: Leftover) -> str:
    if leftover.kind is Kind.REVISION:
        return f"{leftover.folder}/{leftover.name}"
    return "" if leftover.kind in _SUMMED_UP else leftover.folder or ""


def _row(kind: Kind, group: list[Leftover], now: float) -> tuple[str, str, str, str, str]:
    """The age is that of what has changed last."""
    newest = max(leftover.modified for leftover in group)
    amount = size(sum(leftover.size for leftover in group))
    return _place(kind, group), kind.value, _what(kind, group), amount, human.age(newest, now)


def _place(kind: Kind, group: list[Leftover]) -> str:
    folders = {leftover.folder for leftover in group}
    if len(folders) == 1 and (folder := group[0].folder):
        return short_name(name_of(folder))
    folders.discard(None)
    if folders:
        return f"({human.count(len(folders), 'model')})"
    return "(interrupted)" if kind is Kind.TRASH else "(shared by models)"


def _what(kind: Kind, group: list[Leftover]) -> str:
    if kind is Kind.REVISION:
        return group[0].name[:12]
    return "empty" if kind is Kind.FOLDER else human.count(len(group), _NOUNS[kind])
