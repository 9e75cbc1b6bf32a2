"""`prune`: plan what of the cache is left over, show it, take it away."""

from mlxk2.domain.pruning import PruneChoice, PrunePlan, plan_of
from mlxk2.ports.pruning import CacheSweeper, Swept
from mlxk2.ports.system import Clock


class PruneCache:
    def __init__(self, sweeper: CacheSweeper, clock: Clock) -> None:
        self._sweeper = sweeper
        self._clock = clock

    def plan(self, choice: PruneChoice) -> PrunePlan:
        """What would go. Raises AccessProblem when the cache itself cannot be read."""
        return plan_of(self._sweeper.contents(), choice, self._clock.now())

    def execute(self, plan: PrunePlan) -> Swept:
        """Take away what the plan names, as far as nobody uses it by now."""
        return self._sweeper.sweep(plan.leftovers)
