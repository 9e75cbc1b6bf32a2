"""One press of TAB in a bash that has read the completion: the function that bash calls, timed by bash itself."""

import subprocess
from pathlib import Path

from bench.engine.contests import Contest, Entry, Place, Report
from bench.fixtures import ONE, SMALL_1000, Fixture, cache_of
from bench.processes import CommandFailed, clean_environment
from bench.terminal.waiting import verdict

_SCRIPT = Path(__file__).parent.parent.parent / "src/mlxk2/assets/completions" / "mlxk2.bash"
_TIMES = 20
_LIMIT_MS = 60.0
_PROGRAM = """
. "$1"
COMP_WORDS=(mlxk2 $2); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
for ((turn = 0; turn < $3; turn++)); do
  COMPREPLY=(); before=$EPOCHREALTIME
  _shtab_mlxk2
  after=$EPOCHREALTIME
  printf '%s %s %s\\n' "${before/[.,]/}" "${after/[.,]/}" "${#COMPREPLY[@]}"
done
"""
_LINES = (("an option", "list --ver"), ("a model", "show mlx-community/"))


def tab(place: Place) -> Report:
    entries: list[Entry] = []
    for title, fixture in (("1 model", ONE), ("1,000 models", SMALL_1000)):
        for what, line in _LINES:
            values = tuple(_milliseconds(place, fixture, line) for _ in range(place.rounds))
            entries.append(Entry(f"{what}, {title}", values))
    slowest = [max(values) for values in zip(*(entry.values for entry in entries), strict=True)]
    contest = Contest("one TAB", "ms", tuple(entries), entries[0].label, differences=True)
    return Report((contest,), (f"The slowest: {verdict(slowest, _LIMIT_MS)}",))


def _milliseconds(place: Place, fixture: Fixture, line: str) -> float:
    """Median of a few in the same shell."""
    finished = subprocess.run(
        ["bash", "-c", _PROGRAM, "bash", str(_SCRIPT), line, str(_TIMES)],
        env=clean_environment(place.home, {"HF_HUB_CACHE": str(cache_of(fixture, place.base))}),
        capture_output=True,
        text=True,
        check=False,
    )
    turns = [tuple(map(int, turn.split())) for turn in finished.stdout.splitlines()]
    if len(turns) != _TIMES or not all(offered for _, _, offered in turns):
        raise CommandFailed(f"TAB after {line!r} offers nothing\n{finished.stderr[-2000:]}")
    return sorted(after - before for before, after, _ in turns)[_TIMES // 2] / 1000
