"""What the tests of `prune` on a real file system share: plan and sweep as the program does, and look."""

from pathlib import Path

from mlxk2.adapters.hfcache.sweeper import HfSweeper
from mlxk2.domain.pruning import PruneChoice, PrunePlan, plan_of
from mlxk2.ports.pruning import Kind, ModelContents, Swept

NOW = 2_000_000_000.0
"""When the plans are made: long after whatever a test writes."""


def plan(root: Path, state: Path | None = None, **choice: float) -> PrunePlan:
    contents = HfSweeper(str(root), str(state) if state else None).contents()
    return plan_of(contents, PruneChoice(choice.get("older_than", 0), int(choice.get("keep_last", 0))), NOW)


def sweep(root: Path, found: PrunePlan, state: Path | None = None) -> Swept:
    return HfSweeper(str(root), str(state) if state else None).sweep(found.leftovers)


def pruned(root: Path) -> Swept:
    return sweep(root, plan(root))


def contents_of(root: Path) -> ModelContents:
    return HfSweeper(str(root)).contents().models[0]


def kinds(found: PrunePlan) -> set[Kind]:
    return {one.kind for one in found.leftovers}


def files(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*") if not path.is_dir()}
