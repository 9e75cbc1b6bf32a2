"""The grammar of `mlxk2 run`."""

import argparse

from mlxk2.entrypoints.cli.grammar.answer_options import add_answer_options
from mlxk2.entrypoints.cli.grammar.common import MODEL_HELP, add_flags

DESCRIPTION = (
    "Load a model and let it answer one prompt. The answer is printed as it is made. The prompt is an argument, "
    "-p/--prompt, or standard input (with '-', or when input is piped and no prompt is given)."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", help=MODEL_HELP)
    parser.add_argument("prompt", nargs="?", help="the question; '-' reads standard input")
    parser.add_argument("-p", "--prompt", dest="prompt_option", metavar="PROMPT", help="the question, as an option")
    parser.add_argument("--system", metavar="TEXT", help="instructions that come before the conversation")
    add_answer_options(parser)
    add_flags(
        parser,
        (
            ("--no-stream", "print the answer when it is complete"),
            ("--no-chat-template", "give the model the bare prompt, without its chat template"),
            ("--force-load", "load the model even when this machine seems to have too little memory for it"),
            ("--trust-remote-code", "let the model run Python files of its own; only for authors you trust"),
            ("--verbose", "say on standard error how fast it was and why the answer ended"),
        ),
    )
