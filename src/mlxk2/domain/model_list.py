"""Which of the judged models `list` shows, and in which order. Rules only: nothing here looks at a cache."""

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any, NamedTuple

from mlxk2.domain.classify import Framework, ModelType
from mlxk2.domain.inspection import ModelSummary
from mlxk2.ports.errors import ValidationError


class Order(Enum):
    NAME = "name"
    SIZE = "size"
    MODIFIED = "modified"
    USED = "used"


class Choice(NamedTuple):
    """What is wanted; None means all. `for_mlx` leaves out other frameworks, when no framework is asked for."""

    framework: Framework | None = None
    model_type: ModelType | None = None
    healthy: bool | None = None
    order: Order = Order.NAME
    reverse: bool = False
    limit: int | None = None
    for_mlx: bool = False


class ModelList(NamedTuple):
    """The models to show, in order; how many there were to choose from, and why the others are missing.

    `others` fit but are of other frameworks, `cut` lie beyond the limit.
    """

    models: list[ModelSummary]
    total: int
    others: int = 0
    cut: int = 0


_KEYS: dict[Order, Callable[[ModelSummary], Any]] = {
    Order.NAME: lambda summary: summary.name,
    Order.SIZE: lambda summary: (-summary.size, summary.name),
    Order.MODIFIED: lambda summary: (-summary.modified, summary.name),
    Order.USED: lambda summary: (-summary.used, summary.name),
}


def choose(models: Sequence[ModelSummary], choice: Choice) -> ModelList:
    """Names go from A to Z, everything else from the largest or newest down; what is equal goes by name.

    Raises ValidationError when the limit leaves nothing to show.
    """
    if choice.limit is not None and choice.limit < 1:
        raise ValidationError(f"--limit {choice.limit} is out of range: it must be 1 or more")
    fitting = [model for model in models if _fits(model, choice)]
    shown = [model for model in fitting if is_for_mlx(model)] if _mlx_only(choice) else fitting
    ordered = sorted(shown, key=_KEYS[choice.order], reverse=choice.reverse)
    return ModelList(
        ordered[: choice.limit],
        len(models),
        others=len(fitting) - len(shown),
        cut=len(ordered[choice.limit :]) if choice.limit else 0,
    )


def is_for_mlx(model: ModelSummary) -> bool:
    """What is not wholly here yet may become one, and nobody should think that nothing is there."""
    return model.classification.framework is Framework.MLX or model.is_unfinished


def _mlx_only(choice: Choice) -> bool:
    return choice.for_mlx and choice.framework is None


def _fits(model: ModelSummary, choice: Choice) -> bool:
    kind = model.classification
    return (
        choice.framework in (None, kind.framework)
        and choice.model_type in (None, kind.model_type)
        and choice.healthy in (None, model.health.healthy)
    )
