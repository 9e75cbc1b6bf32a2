"""`mlxk2` without a command: what it is, and the next useful command for what is there."""

from argparse import Namespace
from collections.abc import Callable, Sequence

from mlxk2 import __version__
from mlxk2.domain.classify import ModelType
from mlxk2.domain.inspection import ModelSummary
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.context import Services
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.parser import PROG

_WHAT = f"{PROG} {__version__}: find, check, download, run and serve MLX language models"
_QUESTION = '"How do I list my models?"'
_FIND = (f"{PROG} search qwen3 4bit", "look for a model that fits here")
Step = tuple[str, str]
"""A command, and what it is good for."""


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    del args
    list_models = services().list_models()
    state, steps = _advice(list_models(), list_models.place())
    for line in (_WHAT, "", state, *_shown(steps), "", f"All commands: {PROG} --help"):
        out.result(line)
    return 0


def _advice(summaries: Sequence[ModelSummary], place: str) -> tuple[str, Sequence[Step]]:
    """The state in a sentence, and what to do next."""
    if not summaries:
        return f"There is no model in the cache yet ({place}).", (
            (f"{PROG} pull demo", "install the demo, without network"),
            (f"{PROG} run demo {_QUESTION}", "ask it"),
            _FIND,
        )
    here = f"{human.count(len(summaries), 'model')} in the cache."
    ready = [summary for summary in summaries if _answers(summary)]
    if not ready:
        return (
            f"{here} None of them can be run as it is.",
            ((f"{PROG} health --verbose", "see what is wrong, and what mends it"), _FIND),
        )
    newest = max(ready, key=lambda summary: summary.modified).name
    return here, (
        (f'{PROG} run {newest} "..."', "ask the newest that can answer"),
        (f"{PROG} list", "see them all"),
        (f"{PROG} serve", "let OpenAI's and Anthropic's clients use them"),
    )


def _answers(summary: ModelSummary) -> bool:
    chats = summary.classification.model_type is ModelType.CHAT
    return chats and summary.health.healthy and not summary.compatibility.reason


def _shown(steps: Sequence[Step]) -> list[str]:
    widest = max(len(command) for command, _ in steps)
    return [f"  {command.ljust(widest)}   {what}" for command, what in steps]
