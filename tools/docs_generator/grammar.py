"""Reading the parser: what a command takes, as text that is the same on every Python version and terminal."""

import argparse
from collections.abc import Iterator
from textwrap import TextWrapper

USAGE_WIDTH = 88
COMMON_OPTIONS = ("json", "json_spec")
"""Destinations of the options that every command has."""


def subcommands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """The commands by name, in the parser's order, other words for them left out."""
    choices = _subparsers(parser).choices
    return {name: choices[name] for name in summaries(parser)}


def summaries(parser: argparse.ArgumentParser) -> dict[str, str]:
    """Each command's half-line, as `--help` lists it."""
    return {choice.dest: choice.help or "" for choice in _subparsers(parser)._get_subactions()}


def groups(parser: argparse.ArgumentParser) -> Iterator[tuple[argparse._ArgumentGroup, list[argparse.Action]]]:
    """The groups that have something to show; `--help` itself and the list of commands are left out."""
    for group in parser._action_groups:
        actions = [action for action in group._group_actions if _is_shown(action)]
        if actions:
            yield group, actions


def spelling(action: argparse.Action) -> str:
    """How an action is written: `-p PROMPT, --prompt PROMPT`, or the bare name of a positional argument."""
    if not action.option_strings:
        return _value(action)
    value = "" if action.nargs == 0 else f" {_value(action)}"
    return ", ".join(f"{flag}{value}" for flag in action.option_strings)


def help_text(action: argparse.Action, prog: str) -> str:
    """An action's help with its placeholders filled in."""
    return (action.help or "") % {**vars(action), "prog": prog}


def usage(parser: argparse.ArgumentParser) -> str:
    """The usage of a command, wrapped at a fixed width; nothing is broken inside a pair of brackets."""
    words = [*_option_words(parser), *(_positional_word(action) for action in parser._get_positional_actions())]
    indent = " " * (len(parser.prog) + 1)
    wrapper = TextWrapper(
        USAGE_WIDTH, subsequent_indent=indent, break_on_hyphens=False, break_long_words=False, expand_tabs=False
    )
    glued = [word.replace(" ", "\N{NO-BREAK SPACE}") for word in words]
    return wrapper.fill(" ".join([parser.prog, *glued])).replace("\N{NO-BREAK SPACE}", " ")


def _is_shown(action: argparse.Action) -> bool:
    hidden = isinstance(action, (argparse._HelpAction, argparse._SubParsersAction))
    return not hidden and action.help is not argparse.SUPPRESS


def _value(action: argparse.Action) -> str:
    metavar = action.metavar if isinstance(action.metavar, str) else None
    return metavar or (action.dest.upper() if action.option_strings else action.dest)


def _option_words(parser: argparse.ArgumentParser) -> list[str]:
    """Each option in brackets; options that exclude one another share a pair."""
    exclusive = [group._group_actions for group in parser._mutually_exclusive_groups]
    words = []
    for action in parser._actions:
        if action.option_strings and _is_shown(action):
            together = next((actions for actions in exclusive if action in actions), [action])
            words.append(f"[{' | '.join(_option_word(each) for each in together)}]")
    return list(dict.fromkeys(words))


def _option_word(action: argparse.Action) -> str:
    values = {"0": "", "?": f" [{_value(action)}]"}
    return action.option_strings[0] + values.get(str(action.nargs), f" {_value(action)}")


def _positional_word(action: argparse.Action) -> str:
    if isinstance(action, argparse._SubParsersAction):
        return f"{action.metavar} ..."
    optional = {"?": f"[{_value(action)}]", "*": f"[{_value(action)} ...]"}
    return optional.get(str(action.nargs), _value(action))


def _subparsers(parser: argparse.ArgumentParser) -> "argparse._SubParsersAction[argparse.ArgumentParser]":
    return next(action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
