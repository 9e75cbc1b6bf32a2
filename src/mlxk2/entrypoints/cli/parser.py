"""The command line's grammar.

Imports argparse, os and the list of options only: completion, man page and `--version` stand on it.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from mlxk2.entrypoints.cli.answer_options import add_answer_options
from mlxk2.entrypoints.cli.server_options import add_configuration_file, add_server_options

PROG = "mlxk2"
COMMANDS = ("list", "show", "health", "pull", "rm", "push", "search", "run", "serve", "config", "version")
ALIASES = {"server": "serve"}
"""Other words for commands."""
JSON_SPECS = ("0.2.3", "0.1.3")
"""Forms of the JSON model object, the current one first."""
_DEFAULT_COLUMNS = 80
MODEL_HELP = "org/model, a short name that fits one model, name@hash for one revision, or 'demo'"
PATTERN_HELP = "only models whose name contains this text, in any case"


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

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.dest == "command" and value not in (*COMMANDS, *ALIASES):
            self.error(f"this version has no command '{value}'; it has {', '.join(COMMANDS)}")
        super()._check_value(action, value)


def build_parser() -> argparse.ArgumentParser:
    """The whole grammar, one sub-parser a command."""
    parser = _Parser(
        prog=PROG,
        description="Find, check, download, run and serve MLX language models in the Hugging Face cache.",
        epilog="Every command answers in JSON with --json; its specification is docs/json-api-specification.md.",
        allow_abbrev=False,
        formatter_class=_Formatter,
    )
    parser.set_defaults(command=None, json=False, json_spec=None)
    _add_common(parser)
    parser.add_argument("--version", action="store_true", help="print the program's version and exit")
    commands = parser.add_subparsers(title="commands", metavar="<command>", dest="command", parser_class=_Parser)
    for add in (
        *(_add_list, _add_show, _add_health, _add_pull, _add_rm, _add_push),
        *(_add_search, _add_run, _add_serve, _add_config, _add_version),
    ):
        add(commands)
    return parser


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json",
        action="store_true",
        default=argparse.SUPPRESS,
        help="print one JSON document instead of text",
    )
    parser.add_argument(
        "--json-spec",
        metavar="VERSION",
        default=argparse.SUPPRESS,
        help="form of the JSON model object: 0.1.3 for the first published one (default: the current one)",
    )


def _command(commands: Any, name: str, summary: str, description: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=summary,
        description=description,
        allow_abbrev=False,
        formatter_class=_Formatter,
        aliases=[alias for alias, meant in ALIASES.items() if meant == name],
    )
    _add_common(parser)
    return parser


def _flags(parser: argparse.ArgumentParser, flags: Sequence[tuple[str, str]]) -> None:
    for flag, text in flags:
        parser.add_argument(flag, action="store_true", help=text)


def _add_list(commands: Any) -> None:
    parser = _command(
        commands,
        "list",
        "list the models in the cache",
        "List the models in the Hugging Face cache, one row each: name, revision, size, last change and type. "
        "MLX models only, unless --all is given; with --json always all of them.",
    )
    parser.add_argument("pattern", nargs="?", help=PATTERN_HELP)
    _flags(
        parser,
        (
            ("--all", "also show models of other frameworks, with a column that names theirs"),
            ("--health", "add a column with the verdict on the model's files"),
            ("--verbose", "full names, and why a model is unhealthy or cannot run"),
        ),
    )


def _add_show(commands: Any) -> None:
    parser = _command(
        commands,
        "show",
        "show everything about one model",
        "Show one model: size, type, health, whether the installed mlx-lm can run it, and the numbers of its config.",
    )
    parser.add_argument("model", help=MODEL_HELP)
    _flags(parser, (("--files", "list the files of the snapshot"), ("--config", "print config.json")))


def _add_health(commands: Any) -> None:
    parser = _command(
        commands,
        "health",
        "check that models are complete and undamaged",
        "Check the files of the models in the cache, offline: every shard, every header, every link. "
        "Says what is wrong with each unhealthy model.",
    )
    parser.add_argument("pattern", nargs="?", help=f"{PATTERN_HELP}; name@hash checks that revision")
    _flags(
        parser,
        (
            ("--fail", "exit with status 1 when a model is unhealthy"),
            ("--verbose", "full names, and the healthy models too when some are unhealthy"),
        ),
    )


def _add_pull(commands: Any) -> None:
    parser = _command(
        commands,
        "pull",
        "download a model into the cache",
        "Download a model from the Hugging Face Hub into the cache, or install the demo model, which ships with the "
        "program. Goes on where an earlier pull was interrupted, checks the hash of every file, and fetches only what "
        "is missing or damaged. Of several formats of the same weights it takes the one that MLX reads.",
    )
    parser.add_argument("model", help="org/model, a bare name (it means mlx-community/name), or 'demo'; with @revision")
    parser.add_argument(
        "--revision", metavar="REV", help="branch, tag or commit to pull, like model@REV (default: main)"
    )
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--include",
        action="append",
        default=[],
        metavar="GLOB",
        help="only files that match, instead of what MLX needs (repeatable)",
    )
    choice.add_argument("--all-files", action="store_true", help="every file, all formats of the weights included")
    parser.add_argument(
        "--exclude", action="append", default=[], metavar="GLOB", help="no files that match (repeatable)"
    )
    _flags(
        parser,
        (
            ("--repair", "check the content of every file of a model that looks whole, and fetch the damaged ones"),
            ("--check-update", "tell whether the Hub has another revision than the cache; download nothing"),
        ),
    )
    parser.add_argument(
        "--transport",
        choices=("http", "xet"),
        default="http",
        help="how the bytes travel: parallel HTTP ranges, or the Xet protocol of hf_xet (default: http)",
    )
    _add_jsonl(parser)


def _add_jsonl(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jsonl", action="store_true", help="print events while it works, one JSON object a line, for other programs"
    )


def _add_push(commands: Any) -> None:
    parser = _command(
        commands,
        "push",
        "upload a folder to the Hub",
        "Upload a folder as a model to the Hugging Face Hub, in one commit that holds only what changed. Caches, "
        "virtual environments, version control and secrets stay at home, and so does what .hfignore names; a file that "
        "looks as if it holds a token or a private key stops the push. Who may read the repo must be said: --private "
        "or --public is required, except with --check-only.",
    )
    parser.add_argument("folder", help="the folder to upload")
    parser.add_argument("model", help="org/model, the repo on the Hub")
    visibility = parser.add_mutually_exclusive_group()
    visibility.add_argument(
        "--private",
        action="store_true",
        help="for a private repo; a public one is refused",
    )
    visibility.add_argument("--public", action="store_true", help="for a public repo")
    parser.add_argument("--branch", default="main", metavar="NAME", help="branch to commit to (default: main)")
    parser.add_argument("--commit", metavar="MESSAGE", help="message of the commit (default: Upload MODEL with mlxk2)")
    _flags(
        parser,
        (
            ("--create", "make the repo, and the branch, when they do not exist"),
            ("--delete", "also delete files of the repo that are not in the folder"),
            ("--check-only", "check the folder without any network; --verbose lists what would go along"),
            ("--dry-run", "show what would be added, changed and deleted, and upload nothing"),
            ("--verbose", "name every file that goes along, changes or stays at home"),
        ),
    )


def _add_search(commands: Any) -> None:
    parser = _command(
        commands,
        "search",
        "look for models on the Hub",
        "Look for models on the Hugging Face Hub: those of mlx-community first, then others for MLX, with the size of "
        "their weights and whether they fit into this machine's memory.",
    )
    parser.add_argument("words", nargs="+", help="words of the model's name")
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="most models to show, 1 to 500 (default: 20)"
    )
    _flags(parser, (("--all", "also models that are not made for MLX"),))


def _add_rm(commands: Any) -> None:
    parser = _command(
        commands,
        "rm",
        "delete a model from the cache",
        "Delete a model, or with name@hash one revision of it, from the cache. Asks first on a terminal; elsewhere it "
        "needs --force. A glob such as 'test-*' deletes every match and needs --force too.",
    )
    parser.add_argument("model", help=f"{MODEL_HELP}, or a glob")
    _flags(
        parser,
        (
            ("--force", "do not ask, and delete even while another process holds locks of the model"),
            ("--dry-run", "show what would be deleted and how many bytes that frees, and delete nothing"),
        ),
    )


def _add_run(commands: Any) -> None:
    parser = _command(
        commands,
        "run",
        "ask a model one question",
        "Load a model and let it answer one prompt. The answer is printed as it is made. The prompt is an argument, "
        "-p/--prompt, or standard input (with '-', or when input is piped and no prompt is given).",
    )
    parser.add_argument("model", help=MODEL_HELP)
    parser.add_argument("prompt", nargs="?", help="the question; '-' reads standard input")
    parser.add_argument("-p", "--prompt", dest="prompt_option", metavar="PROMPT", help="the question, as an option")
    parser.add_argument("--system", metavar="TEXT", help="instructions that come before the conversation")
    add_answer_options(parser)
    _flags(
        parser,
        (
            ("--no-stream", "print the answer when it is complete"),
            ("--no-chat-template", "give the model the bare prompt, without its chat template"),
            ("--force-load", "load the model even when this machine seems to have too little memory for it"),
            ("--trust-remote-code", "let the model run Python files of its own; only for authors you trust"),
            ("--verbose", "say on standard error how fast it was and why the answer ended"),
        ),
    )


def _add_serve(commands: Any) -> None:
    parser = _command(
        commands,
        "serve",
        "answer over HTTP, with the APIs of OpenAI and Anthropic",
        "Start a server that clients of OpenAI's and Anthropic's APIs can point at. Models of the cache are loaded "
        "when they are first asked for, several at once where they fit, each in a process of its own. Every option can "
        "also be set in the environment (--keep-alive is MLXK2_KEEP_ALIVE) and in the configuration file. API keys can "
        "also come from MLXK2_API_KEY, with commas between them. 'server' is another word for serve.",
    )
    add_configuration_file(parser)
    add_server_options(parser)


def _add_config(commands: Any) -> None:
    parser = _command(
        commands,
        "config",
        "show the options of the server and where each comes from",
        "Show what serve would be told without any flag: every option with its value, and whether that comes from the "
        "environment, the configuration file or the defaults. Keys are never shown.",
    )
    add_configuration_file(parser)


def _add_version(commands: Any) -> None:
    _command(commands, "version", "print versions", "Print the version of the program and of its JSON API.")
