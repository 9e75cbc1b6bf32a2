"""How an answer is made, as flags of `run`. Part of the grammar: imports argparse only."""

import argparse


def add_answer_options(parser: argparse.ArgumentParser) -> None:
    _add_sampling(parser)
    parser.add_argument(
        "--stop", action="append", default=[], metavar="TEXT", help="end the answer before this text (repeatable)"
    )
    thinking = parser.add_mutually_exclusive_group()
    thinking.add_argument(
        "--thinking",
        action="store_true",
        default=None,
        help="let the model reason first, where its template has a switch",
    )
    thinking.add_argument(
        "--no-thinking", dest="thinking", action="store_false", default=None, help="switch reasoning off"
    )


def _add_sampling(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("sampling", "Without these, what the model recommends, else greedy decoding.")
    options: tuple[tuple[str, type, str, str], ...] = (
        ("--max-tokens", int, "N", "most tokens to generate (default: as many as context and memory have room for)"),
        ("--temperature", float, "T", "0 takes the most probable token, higher is more varied"),
        ("--top-p", float, "P", "draw from the smallest set of tokens with this total probability"),
        ("--top-k", int, "K", "draw from the K most probable tokens; 0 is off"),
        ("--min-p", float, "P", "leave out tokens less probable than P times the best one; 0 is off"),
        ("--repetition-penalty", float, "R", "make tokens of the last 20 less probable; 1 is off"),
        ("--seed", int, "N", "make a sampled answer repeatable"),
    )
    for flag, kind, metavar, text in options:
        group.add_argument(flag, type=kind, metavar=metavar, help=text)
