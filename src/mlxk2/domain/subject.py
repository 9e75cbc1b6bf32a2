"""What is judged: a model's name, its parsed snapshot, and its weights, found once for all rules."""

from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.weights import WeightSet, find_weights


class Subject:
    """`name` is the model's full name."""

    def __init__(self, name: str, snapshot: Snapshot) -> None:
        self.name = name
        self.snapshot = snapshot
        self.weights: WeightSet | None = find_weights(snapshot)
