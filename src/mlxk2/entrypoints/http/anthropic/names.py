"""The engine's names of parameters, as Anthropic's API has them."""

from dataclasses import replace

from mlxk2.entrypoints.http.errors import Problem

_NAMES = {
    "effort": "output_config.effort",
    "prompt": "messages",
    "stop": "stop_sequences",
    "structure": "output_config.format",
    "thinking_budget": "thinking.budget_tokens",
}


def renamed(problem: Problem) -> Problem:
    """The same problem; its parameter is named as the client knows it."""
    name = problem.parameter
    return problem if name is None else replace(problem, parameter=_NAMES.get(name, name))
