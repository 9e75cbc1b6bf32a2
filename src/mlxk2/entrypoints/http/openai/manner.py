"""How an answer is to be written, and how a failure names its parameter: what writers need to know of a request."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mlxk2.entrypoints.http.errors import Problem
from mlxk2.entrypoints.http.openai.wire import Asking


@dataclass(frozen=True, slots=True)
class Manner:
    """`usage`: a stream ends with the usage. `timings`: the answer says how long it took. `logprobs`: it has them.

    `names` are the API's names of parameters where the engine has others.
    """

    usage: bool = False
    timings: bool = False
    logprobs: bool = False
    names: Mapping[str, str] = field(default_factory=dict)


def renamed(problem: Problem, names: Mapping[str, str]) -> Problem:
    """The same problem; its parameter is named as the client knows it."""
    name = problem.parameter
    return problem if name is None else replace(problem, parameter=names.get(name, name))


def manner_of(asked: Asking, names: Mapping[str, str], *, logprobs: bool) -> Manner:
    options = asked.stream_options
    return Manner(bool(options and options.include_usage), bool(asked.timings), logprobs, names)
