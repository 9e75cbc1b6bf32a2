"""The parsers as argparse-manpage reads them for the manual pages; the wheel's build calls the functions named here.

`page_parser` is for mlxk2(1), and `<command>_parser`, which is there for every command, for mlxk2-<command>(1).

It runs before the package is installed, so the parser is loaded from the sources; it imports nothing of weight.
Three things of the command line's help read badly in a manual page and are changed here, in the page only: usages
begin with "usage:", each command repeats the common options, and a line that begins with an apostrophe is a request
to the typesetter, which would swallow it.
"""

import argparse
import re
import sys
from functools import partial
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
    parser = _parser()
    for command in _commands(parser).values():
        _prepare_command(command)
        for action in command._actions:
            if action.dest in _COMMON_OPTIONS:
                action.help = argparse.SUPPRESS
        for group in command._action_groups:
            if group.title and group.description:
                group.title = f"{group.title}:"
    _prepare(parser)
    parser._optionals.description = _COMMON_NOTE
    parser.epilog = None
    return parser


def _command_parser(name: str) -> argparse.ArgumentParser:
    command = _commands(_parser())[name]
    _prepare_command(command)
    usage = command.format_usage()
    command.prog, command.usage = command.prog.replace(" ", "-"), usage.replace("%", "%%")
    return command


def _parser() -> argparse.ArgumentParser:
    if str(_SOURCES) not in sys.path:
        sys.path.insert(0, str(_SOURCES))
    from mlxk2.entrypoints.cli.parser import build_parser

    return build_parser(whole=True)


def _commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    actions = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(next(actions).choices)


def _prepare_command(command: argparse.ArgumentParser) -> None:
    command.__class__ = PageParser
    _prepare(command)


def _prepare(parser: argparse.ArgumentParser) -> None:
    parser.formatter_class = lambda prog: argparse.HelpFormatter(prog, width=_WIDTH)
    parser.description = _double_quotes(parser.description)
    for action in parser._actions:
        action.help = _double_quotes(action.help)


def _double_quotes(text: str | None) -> str | None:
    return text if text in (None, argparse.SUPPRESS) else _QUOTED.sub(r'"\1"', text)


globals().update({f"{name}_parser": partial(_command_parser, name) for name in _commands(_parser())})
