"""The parser as argparse-manpage reads it for the manual page; the wheel's build calls `page_parser`.

It runs before the package is installed, so the parser is loaded from the sources; it imports nothing of weight.
Three things of the command line's help read badly in a manual page and are changed here, in the page only: usages
begin with "usage:", each command repeats the common options, and a line that begins with an apostrophe is a request
to the typesetter, which would swallow it.
"""

import argparse
import re
import sys
from pathlib import Path

_SOURCES = Path(__file__).resolve().parents[2] / "src"
_QUOTED = re.compile(r"(?<!\w)'(.+?)'(?!\w)")
_COMMON_OPTIONS = ("json", "json_spec")
_COMMON_NOTE = "The first two work before and after the name of every command."
_WIDTH = 78


class PageParser(argparse.ArgumentParser):
    """Prints its usage without the word, at a fixed width; an existing parser is given this class."""

    def format_usage(self) -> str:
        text = super().format_usage().removeprefix("usage: ")
        return "\n".join(line.removeprefix(" " * len("usage: ")) for line in text.splitlines())


def page_parser() -> argparse.ArgumentParser:
    sys.path.insert(0, str(_SOURCES))
    from mlxk2.entrypoints.cli.parser import build_parser

    parser = build_parser()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _prepare_command(command)
    _prepare(parser)
    parser._optionals.description = _COMMON_NOTE
    parser.epilog = None
    return parser


def _prepare_command(command: argparse.ArgumentParser) -> None:
    command.__class__ = PageParser
    _prepare(command)
    for action in command._actions:
        if action.dest in _COMMON_OPTIONS:
            action.help = argparse.SUPPRESS
    for group in command._action_groups:
        if group.title and group.description:
            group.title = f"{group.title}:"


def _prepare(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=_WIDTH)
    parser.description = _double_quotes(parser.description)
    for action in parser._actions:
        action.help = _double_quotes(action.help)


def _double_quotes(text: str | None) -> str | None:
    return text if text in (None, argparse.SUPPRESS) else _QUOTED.sub(r'"\1"', text)
