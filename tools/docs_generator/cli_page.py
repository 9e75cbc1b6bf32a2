"""docs/cli.md: every command with its usage, description and options."""

import argparse
import re
from collections.abc import Iterable

from docs_generator.grammar import COMMON_OPTIONS, groups, help_text, spelling, subcommands, summaries, usage

_STANDARD_TITLES = {"positional arguments": "Arguments", "options": "Options"}


def cli_page(parser: argparse.ArgumentParser) -> str:
    lines = [
        "# Command line",
        "",
        "<!-- Generated from the parser by tools/generate_docs.py; change the texts there. -->",
        "",
        _escaped(parser.description or ""),
        "",
        *_usage_block(parser),
        "",
        *_overview(parser),
        "",
        "## Common options",
        "",
        "They work before and after the command's name. Every command also has `-h` and `--help`.",
        "",
        *_items(parser, (action for action in parser._actions if action.dest in COMMON_OPTIONS)),
        "",
        _escaped(parser.epilog or ""),
        "",
        "Without a command:",
        "",
        *_items(parser, _own(parser)),
    ]
    for name, command in subcommands(parser).items():
        lines += ["", *_section(name, command)]
    return "\n".join(lines).rstrip() + "\n"


def _own(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return [action for _, actions in groups(parser) for action in actions if action.dest not in COMMON_OPTIONS]


def _overview(parser: argparse.ArgumentParser) -> list[str]:
    rows = [f"| [`{name}`](#{name}) | {_escaped(text)} |" for name, text in summaries(parser).items()]
    return ["| command | what it does |", "|---|---|", *rows]


def _section(name: str, parser: argparse.ArgumentParser) -> list[str]:
    lines = [f"## {name}", "", _escaped(parser.description or ""), "", *_usage_block(parser)]
    for group, actions in groups(parser):
        own = [action for action in actions if action.dest not in COMMON_OPTIONS]
        if own:
            lines += ["", *_group_heading(group), "", *_items(parser, own)]
    return [*lines, "", "And the [common options](#common-options)."]


def _group_heading(group: argparse._ArgumentGroup) -> list[str]:
    title = group.title or ""
    heading = f"**{_STANDARD_TITLES.get(title, title.capitalize())}**"
    return [f"{heading}: {_escaped(group.description)}" if group.description else heading]


def _items(parser: argparse.ArgumentParser, actions: Iterable[argparse.Action]) -> list[str]:
    return [f"- `{spelling(action)}`: {_escaped(help_text(action, parser.prog))}" for action in actions]


def _usage_block(parser: argparse.ArgumentParser) -> list[str]:
    return ["```text", usage(parser), "```"]


def _escaped(text: str) -> str:
    """Plain text as Markdown."""
    return re.sub(r"([\\`*_<>|\[\]])", r"\\\1", text)
