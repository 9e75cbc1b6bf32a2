"""The grammar of `mlxk2 run`."""

import argparse

from mlxk2.entrypoints.cli.grammar.answer_options import add_answer_options
from mlxk2.entrypoints.cli.grammar.common import MODEL_HELP, add_flags, add_jsonl

DESCRIPTION = (
    "Ask a model. With a prompt, the answer is printed as it is made; without one, on a terminal, a chat begins. The "
    "prompt is an argument, -p/--prompt, or standard input: '-' stands for it, also beside a prompt that says what to "
    "do with it, and without any prompt what is piped in is one. When a server of yours is running on the same cache, "
    "it answers; otherwise the model is loaded for this run."
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", nargs="?", help=f"{MODEL_HELP}; only --continue can do without")
    parser.add_argument(
        "words",
        nargs="*",
        metavar="prompt",
        help="the question; '-' is standard input: - \"summarise\" puts what is piped in before the question",
    )
    parser.add_argument("-p", "--prompt", dest="prompt_option", metavar="PROMPT", help="the question, as an option")
    parser.add_argument("--system", metavar="TEXT", help="instructions that come before the conversation")
    parser.add_argument(
        "--attach",
        action="append",
        default=[],
        metavar="FILE",
        help="put a text file before the question, under its name (repeatable)",
    )
    parser.add_argument("--schema", metavar="FILE", help="hold the answer to the JSON schema in this file")
    parser.add_argument(
        "--continue",
        dest="resume",
        nargs="?",
        const="last",
        metavar="TITLE",
        help="go on with the last chat, or with one that was saved under a title",
    )
    add_answer_options(parser)
    _add_reasoning(parser)
    add_flags(
        parser,
        (
            ("--plain", "in a chat, show answers as they are written, with their Markdown"),
            ("--no-stream", "print the answer when it is complete"),
            ("--no-chat-template", "give the model the bare prompt, without its chat template"),
            ("--local", "load the model for this run, also when a server is running"),
            (
                "--force-load",
                "load the model for this run even when this machine seems to have too little memory for it",
            ),
            (
                "--trust-remote-code",
                "load the model for this run, and let it run Python files of its own; only for authors you trust",
            ),
            ("--verbose", "say on standard error how fast it was, what answered, and why the answer ended"),
        ),
    )
    add_jsonl(parser)


def _add_reasoning(parser: argparse.ArgumentParser) -> None:
    """On a terminal it is shown unless that is refused; anywhere else it is left out unless that is asked for."""
    reasoning = parser.add_mutually_exclusive_group()
    add_flags(
        reasoning,
        (
            ("--show-reasoning", "show what the model thinks first also when the answer is piped, on standard error"),
            ("--hide-reasoning", "do not show on a terminal what the model thinks first"),
        ),
    )
