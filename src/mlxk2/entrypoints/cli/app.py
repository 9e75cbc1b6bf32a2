"""From a command line to an exit code: parse, run the command, and turn every failure into one sentence or envelope."""

import os
import sys
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from importlib import import_module
from typing import TYPE_CHECKING

from mlxk2.entrypoints.cli.errors import fail
from mlxk2.entrypoints.cli.output import Output, writing
from mlxk2.entrypoints.cli.parser import ALIASES, COMMANDS, JSON_SPECS, PROG, CommandLineError, build_parser
from mlxk2.ports.errors import InternalError, Interrupted, Mlxk2Error, UsageError

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.context import Services

    Command = Callable[[Namespace, Callable[[], Services], Output], int]


def run(argv: Sequence[str], services: "Callable[[], Services]", environ: Mapping[str, str]) -> int:
    """Never raises for what a user can get wrong; the result is the process's exit code.

    `services` is called when a command needs them, so that `--version` and `--help` start at once. Standard output is
    for results alone: whatever a library prints while a command runs goes to standard error.
    """
    json, jsonl = _wants("--json", argv), _wants("--jsonl", argv)
    out = Output(json=json, jsonl=jsonl, environ=environ, out=sys.stdout, err=sys.stderr)
    name = _command_name(argv)
    try:
        args = _parse(argv, environ, out)
        with redirect_stdout(sys.stderr):
            code = _execute(args, services, out) if args else 0
        out.flush()
    except BrokenPipeError:
        out.abandon()
        return 0  # `| head` has seen enough
    except KeyboardInterrupt:
        code = fail(name, Interrupted("Interrupted"), out)
    except Mlxk2Error as error:
        code = fail(name, error, out)
    except Exception as error:  # noqa: BLE001 - a defect is reported in one sentence too
        code = fail(name, _defect(error), out)
    return code


def _parse(argv: Sequence[str], environ: Mapping[str, str], out: Output) -> Namespace | None:
    """The command line as read, with the command that it means; None when the help was asked for and printed."""
    parser = build_parser()
    try:
        with writing():
            args = parser.parse_args(list(argv))
    except SystemExit:  # argparse has printed its help
        return None
    except CommandLineError as error:
        raise UsageError(error.message, usage=error.usage) from error
    args.json_spec = _json_spec(args.json_spec, environ)
    args.environ = environ
    args.command = ALIASES.get(args.command, args.command)
    if out.json and out.jsonl:
        raise UsageError("--json and --jsonl are two forms of one result; choose one")
    if args.version:
        args.command = "version"
    if args.command is None:
        if out.json:
            raise UsageError(f"no command was given; see {PROG} --help", usage=parser.format_usage().strip())
        args.command = "welcome"
    return args


def _execute(args: Namespace, services: "Callable[[], Services]", out: Output) -> int:
    command: Command = import_module(f"mlxk2.entrypoints.cli.commands.{args.command}").execute
    return command(args, services, out)


def _json_spec(asked: str | None, environ: Mapping[str, str]) -> str:
    chosen = asked or environ.get("MLXK2_JSON_SPEC") or JSON_SPECS[0]
    if chosen not in JSON_SPECS:
        source = "--json-spec" if asked else "MLXK2_JSON_SPEC"
        raise UsageError(f"{source} '{chosen}' is not known; choose {' or '.join(sorted(JSON_SPECS))}")
    return chosen


def _wants(flag: str, argv: Sequence[str]) -> bool:
    return flag in _before_separator(argv)


def _command_name(argv: Sequence[str]) -> str:
    """The command that was meant, as far as can be told before parsing: errors name it too."""
    words = _before_separator(argv)
    known = next((word for word in words if word in (*COMMANDS, *ALIASES)), None)
    if known or "--version" in words:
        return ALIASES.get(known, known) if known else "version"
    return next((word for word in words if not word.startswith("-")), PROG)


def _before_separator(argv: Sequence[str]) -> list[str]:
    words = list(argv)
    return words[: words.index("--")] if "--" in words else words


def _defect(error: Exception) -> InternalError:
    """A defect of the program itself, as an ordinary error that names its place in the code."""
    trace = error.__traceback__
    while trace and trace.tb_next:
        trace = trace.tb_next
    place = f"{os.path.basename(trace.tb_frame.f_code.co_filename)}:{trace.tb_lineno}" if trace else "unknown place"
    return InternalError(
        f"Unexpected {type(error).__name__}: {error}; this is a defect of {PROG}, please report it", details=place
    )
