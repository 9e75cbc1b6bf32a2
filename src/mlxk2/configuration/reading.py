"""From flags, environment and file to values: the first of these that gives an option a value decides.

An empty variable counts as unset. Every value that cannot be meant, and every name that does not exist, is one sentence
that says where it was found; nothing is passed over.
"""

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar, cast

from mlxk2.configuration.file import read_file
from mlxk2.configuration.near import near_name
from mlxk2.configuration.options import FILE_VARIABLE, OPTIONS, PREFIX, Option
from mlxk2.ports.errors import ValidationError

T = TypeVar("T")
Source = Literal["flag", "environment", "file", "default"]
Given = str | Sequence[str] | bool | None
"""What a command line has for a flag: its text, all its texts where it may come several times, on or off."""

_OTHER_VARIABLES = (FILE_VARIABLE, "MLXK2_JSON_SPEC")
_LONGEST = 80


@dataclass(frozen=True, slots=True)
class Setting:
    """An option's value, and where that comes from."""

    option: Option[Any]
    value: Any
    source: Source


class Configuration:
    """Every option with its value; `configuration[PORT]` is that option's. `file` is the one that was read, if any."""

    def __init__(self, settings: Sequence[Setting], file: str | None) -> None:
        self.settings = tuple(settings)
        self.file = file
        self._values = {setting.option.name: setting.value for setting in settings}

    def __getitem__(self, option: Option[T]) -> T:
        return cast("T", self._values[option.name])


def read_configuration(
    environ: Mapping[str, str], flags: Mapping[str, Given] | None = None, file: str | None = None
) -> Configuration:
    """`flags` by the options' attributes, None where not given; `file` is what the command line names.

    Raises ValidationError, or AccessProblem when the file cannot be read.
    """
    flags = flags or {}
    _check_variables(environ)
    found = read_file(file, environ)
    settings = []
    for option in OPTIONS:
        setting = (
            _of_flag(option, flags.get(option.attribute))
            or _of_variable(option, environ)
            or _of_file(option, found.values, found.path or "")
            or Setting(option, option.default, "default")
        )
        settings.append(setting)
    return Configuration(settings, found.path)


def _of_flag(option: Option[Any], given: Given) -> Setting | None:
    if given is None:
        return None
    if isinstance(given, bool):
        return Setting(option, given, "flag")
    text = given if isinstance(given, str) else ",".join(given)
    return Setting(option, _read(option, text, option.flag), "flag")


def _of_variable(option: Option[Any], environ: Mapping[str, str]) -> Setting | None:
    text = environ.get(option.variable)
    return Setting(option, _read(option, text, option.variable), "environment") if text else None


def _of_file(option: Option[Any], values: Mapping[str, object], path: str) -> Setting | None:
    if option.name not in values:
        return None
    written = values[option.name]
    try:
        value = option.kind.take(written)
    except ValueError:
        if option.kind.is_list and isinstance(written, str):
            hint = f'write it as a list: {option.name} = ["{written}"]'
            raise ValidationError(f"{option.name} in {path} is {_shown(written)}; {hint}") from None
        raise ValidationError(f"{option.name} in {path} is {_shown(written)}; it must be {option.kind.takes}") from None
    if option.kind.is_path and value is not None:
        value = os.path.join(os.path.dirname(path), os.path.expanduser(value))
    return Setting(option, value, "file")


def _read(option: Option[Any], text: str, place: str) -> object:
    try:
        value = option.kind.read(text)
    except ValueError:
        written = "what it is" if option.is_secret else _shown(text)
        raise ValidationError(f"{place} is {written}; it must be {option.kind.takes}") from None
    return os.path.expanduser(value) if option.kind.is_path and value is not None else value


def _check_variables(environ: Mapping[str, str]) -> None:
    known = [*(option.variable for option in OPTIONS), *_OTHER_VARIABLES]
    for name in _unknown(environ, known):
        near = near_name(name.removeprefix(PREFIX), [each.removeprefix(PREFIX) for each in known])
        hint = f"did you mean {PREFIX}{near}?" if near else "unset it; mlxk2 serve --help lists the options"
        raise ValidationError(f"{name} in the environment is no option; {hint}")


def _unknown(environ: Mapping[str, str], known: Sequence[str]) -> Iterator[str]:
    return (name for name, value in sorted(environ.items()) if name.startswith(PREFIX) and value and name not in known)


def _shown(value: object) -> str:
    """What was written, as a sentence can quote it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (dict, list)):
        return "a table" if isinstance(value, dict) else "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
