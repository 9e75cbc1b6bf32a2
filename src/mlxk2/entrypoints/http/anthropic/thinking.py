"""Whether and how long the model thinks before it answers, and whether its client wants to see that.

A client that says nothing leaves it to the model's chat template, and so does `adaptive`.
"""

from dataclasses import dataclass

from mlxk2.entrypoints.http.anthropic.complaints import complaint
from mlxk2.entrypoints.http.anthropic.wire import CountTokens, ThinkingAdaptive, ThinkingDisabled, ThinkingEnabled


@dataclass(frozen=True, slots=True)
class Thinking:
    """`switch`, `budget` and `effort` as in `ChatQuestion`; `shown` False keeps thinking out of the client's sight."""

    switch: bool | None = None
    budget: int | None = None
    effort: str | None = None
    shown: bool = True


def thinking_of(body: CountTokens) -> Thinking:
    config = body.thinking
    effort = body.output_config.effort if body.output_config else None
    if isinstance(config, ThinkingDisabled):
        return Thinking(switch=False, effort=effort)
    if isinstance(config, ThinkingAdaptive):
        return Thinking(effort=effort, shown=config.display != "omitted")
    if isinstance(config, ThinkingEnabled):
        return Thinking(switch=True, budget=config.budget_tokens, effort=effort, shown=config.display != "omitted")
    return Thinking(effort=effort)


def check_budget(thinking: Thinking, max_tokens: int) -> None:
    """Raises ValidationError for a budget that leaves no token for the answer."""
    if thinking.budget is not None and thinking.budget >= max_tokens:
        raise complaint(
            ("thinking", "budget_tokens"), f"`max_tokens` ({max_tokens}) must be greater than `thinking.budget_tokens`"
        )
