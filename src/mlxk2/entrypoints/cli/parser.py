"""The command line's grammar, put together from one module a command.

It imports argparse, os and the list of options only: completion, man page and `--version` stand on it.
"""

import argparse
import os
import sys
from importlib import import_module
from typing import Any, NoReturn, cast

from mlxk2.configuration.near import near_name
from mlxk2.entrypoints.cli.grammar.common import add_common

PROG = "mlxk2"
SUMMARIES = {
    "list": "list the models in the cache",
    "show": "show everything about one model",
    "health": "check that models are complete and undamaged",
    "verify": "hash every file of the models in the cache and say which are damaged",
    "du": "show what takes the space in the cache, by model and revision",
    "pull": "download a model into the cache",
    "rm": "delete a model from the cache",
    "prune": "free what nothing in the cache uses any more",
    "push": "upload a folder to the Hub",
    "search": "look for models on the Hub",
    "fit": "say whether a model will run here, before it is downloaded or loaded",
    "run": "ask a model a question, or chat with it",
    "serve": "answer over HTTP, with the APIs of OpenAI and Anthropic",
    "ps": "show the models that running servers have in memory",
    "stop": "unload a model from running servers",
    "logs": "show what a server has logged",
    "doctor": "check what the program stands on, from Python to an answer of the demo model",
    "completion": "print the script that lets a shell complete commands and models",
    "config": "show the options of the server and where each comes from",
    "version": "print versions",
}
COMMANDS = tuple(SUMMARIES)
ALIASES = {"server": "serve"}
"""Other words for commands."""
_ELSEWHERE = {
    "chat": "run",
    "clean": "prune",
    "delete": "rm",
    "df": "du",
    "download": "pull",
    "gc": "prune",
    "generate": "run",
    "info": "show",
    "install": "pull",
    "ls": "list",
    "remove": "rm",
    "start": "serve",
    "status": "ps",
    "top": "ps",
    "unload": "stop",
    "upload": "push",
}
"""How other programs call what a command does: for hints."""
JSON_SPECS = ("0.2.3", "0.1.3")
"""Forms of the JSON model object, the current one first."""
_DEFAULT_COLUMNS = 80


class CommandLineError(Exception):
    """argparse refused the command line; carries its sentence and the short usage."""

    def __init__(self, message: str, usage: str) -> None:
        super().__init__(message)
        self.message = message
        self.usage = usage


class _Formatter(argparse.HelpFormatter):
    """Knows its width; argparse would import shutil, bz2 and lzma to find it, for every option that is added."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, width=_columns() - 2)


def _columns() -> int:
    try:
        return int(os.environ.get("COLUMNS", "")) or _DEFAULT_COLUMNS
    except ValueError:
        pass
    try:
        return os.get_terminal_size().columns or _DEFAULT_COLUMNS
    except OSError:
        return _DEFAULT_COLUMNS


class _Parser(argparse.ArgumentParser):
    """Raises instead of printing and exiting, so that errors can become JSON."""

    def error(self, message: str) -> NoReturn:
        raise CommandLineError(message, self.format_usage().strip())

    def _print_message(self, message: str, file: Any = None) -> None:
        (file or sys.stderr).write(message)  # argparse would keep a failure to itself

    def parse_args(self, args: Any = None, namespace: Any = None) -> Any:
        """What a command does not know is told with that command's usage, and with the option that may be meant."""
        parsed, strange = self.parse_known_args(args, namespace)
        if _are_words(strange) and hasattr(parsed, "words"):
            parsed.words += strange[1:] if strange[0] == "--" else strange
        elif strange:
            commands = next(action for action in self._actions if isinstance(action, argparse._SubParsersAction))
            parser: _Parser = commands.choices.get(parsed.command, self)
            parser.error(f"unrecognized arguments: {' '.join(strange)}{parser._hint(strange)}")
        return parsed

    def _hint(self, strange: list[str]) -> str:
        options = [word.partition("=")[0] for word in strange if word.startswith("-")]
        known = list(self._option_string_actions)
        near = next(filter(None, (_meant(option, known) for option in options)), None)
        return f"; did you mean {near}?" if near else ""

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.dest == "command" and value not in (*COMMANDS, *ALIASES):
            near = _ELSEWHERE.get(value) or near_name(value, (*COMMANDS, *ALIASES), similar=0.65)
            mean = f"did you mean '{near}'? It" if near else "it"
            if value == "help":
                mean = f"write {PROG} --help, or {PROG} <command> --help. It"
            self.error(f"this version has no command '{value}'; {mean} has {', '.join(COMMANDS)}")
        super()._check_value(action, value)


def _meant(written: str, known: list[str]) -> str | None:
    """The option that is most like this one; for a single letter, the only long one that begins with it."""
    if len(written) > 2:
        return near_name(written, known, similar=0.7)
    long = [option for option in known if option.startswith(f"-{written.lower()}")]
    return long[0] if len(long) == 1 else None


def _are_words(strange: list[str]) -> bool:
    """Whether argparse has left over arguments only because options stand before them, and knows all options."""
    options = (word.startswith("-") and word != "-" for word in strange)
    return bool(strange) and (strange[0] == "--" or not any(options))


class _Commands(argparse._SubParsersAction):  # type: ignore[type-arg] # it takes none when it runs
    """A command's parser is made when it is named; until then, that of the program stands in its place.

    To make them all takes longer than what most commands do.
    """

    def add(self, name: str, summary: str, program: _Parser) -> None:
        aliases = [alias for alias, meant in ALIASES.items() if meant == name]
        self._choices_actions.append(self._ChoicesPseudoAction(name, aliases, summary))
        self._name_parser_map |= dict.fromkeys((name, *aliases), program)

    def make(self, written: str) -> None:
        """The parser of a command, by one of its names."""
        name = ALIASES.get(written, written)
        grammar = import_module(f"mlxk2.entrypoints.cli.grammar.{name}")
        parser = _Parser(
            prog=f"{self._prog_prefix} {name}",
            description=grammar.DESCRIPTION,
            allow_abbrev=False,
            formatter_class=_Formatter,
        )
        add_common(parser)
        grammar.add_arguments(parser)
        self._name_parser_map |= {word: parser for word in self._name_parser_map if ALIASES.get(word, word) == name}

    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: Any = None
    ) -> None:
        self.make(values[0])
        super().__call__(parser, namespace, values, option_string)


def build_parser(*, whole: bool = False) -> argparse.ArgumentParser:
    """The grammar, one sub-parser a command; unless it is wanted `whole`, these are made as they are needed."""
    parser = _Parser(
        prog=PROG,
        description="Find, check, download, run and serve MLX language models in the Hugging Face cache.",
        epilog="Every command answers in JSON with --json; its specification is docs/json-api-specification.md.",
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    parser.set_defaults(command=None, json=False, json_spec=None)
    add_common(parser)
    parser.add_argument("--version", action="store_true", help="print the program's version and exit")
    made = parser.add_subparsers(title="commands", metavar="<command>", dest="command", action=_Commands)
    commands = cast("_Commands", made)
    for name, summary in SUMMARIES.items():
        commands.add(name, summary, parser)
        if whole:
            commands.make(name)
    return parser
