"""What the engine finds wrong, as Anthropic's API says it: with its names of parameters.

Clients shorten a conversation by themselves when they read "prompt is too long".
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from mlxk2.entrypoints.http.errors import Problem, Refusal, problem_of
from mlxk2.ports.errors import ValidationError

_NAMES = {
    "effort": "output_config.effort",
    "prompt": "messages",
    "stop": "stop_sequences",
    "structure": "output_config.format",
    "thinking_budget": "thinking.budget_tokens",
}


def renamed(problem: Problem) -> Problem:
    """The same problem; its parameter is named as the client knows it."""
    if problem.code == "context_length_exceeded":
        return replace(problem, message=f"prompt is too long: {problem.message}", parameter=None)
    name = problem.parameter
    return problem if name is None else replace(problem, parameter=_NAMES.get(name, name))


@contextmanager
def translated() -> Iterator[None]:
    """A ValidationError of the engine's leaves this as the Refusal that names the client's own parameter."""
    try:
        yield
    except ValidationError as error:
        raise Refusal(renamed(problem_of(error))) from error
