"""Arguments and words that several commands share."""

import argparse
from collections.abc import Sequence

MODEL_HELP = "org/model, a short name that fits one model, name@hash for one revision, or 'demo'"
PATTERN_HELP = "only models whose name contains this text, in any case"


def add_common(parser: argparse.ArgumentParser) -> None:
    """What every command takes, and the program without a command."""
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


def add_flags(parser: argparse._ActionsContainer, flags: Sequence[tuple[str, str]]) -> None:
    for flag, text in flags:
        parser.add_argument(flag, action="store_true", help=text)


def add_jsonl(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--jsonl", action="store_true", help="print events while it works, one JSON object a line, for other programs"
    )


def add_port(parser: argparse.ArgumentParser, text: str) -> None:
    parser.add_argument("--port", type=int, metavar="N", help=text)


def add_reading(parser: argparse.ArgumentParser, belongs: str = "") -> None:
    """How far earlier hashes of the same content are believed."""
    either = parser.add_mutually_exclusive_group()
    either.add_argument(
        "--again", action="store_true", help=f"{belongs}read every file, also those whose hash was taken before"
    )
    either.add_argument(
        "--max-age",
        type=age,
        metavar="AGE",
        help=f"{belongs}read files again whose hash was taken longer ago than this, such as 12h or 90d (default: 30d)",
    )


def age(text: str) -> float:
    """An option's value in seconds: 30d, 12h. A number needs its unit: 30 seconds is not what people mean by 30."""
    from mlxk2.configuration.kinds import Duration

    kind = Duration(0, 36_500 * 86_400)
    try:
        seconds = kind.read(text)
        if seconds and text.rstrip()[-1].isdigit():
            raise ValueError
        return seconds
    except ValueError:
        raise argparse.ArgumentTypeError(f"'{text}' is no age; write a number with s, m, h or d, such as 30d") from None
