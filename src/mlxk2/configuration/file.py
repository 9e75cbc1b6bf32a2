"""The configuration file: where it is, and what its table holds.

It is the one that `--config` names, else `MLXK2_CONFIG`, else `mlxk2/config.toml` below `XDG_CONFIG_HOME` or
`~/.config`, if that exists. A key that means nothing is refused: it is a mistake that would otherwise go unnoticed.
"""

import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mlxk2.configuration.near import near_name
from mlxk2.configuration.options import FILE_VARIABLE, OPTIONS, TABLE
from mlxk2.ports.errors import AccessProblem, ValidationError

_KEYS = tuple(option.name for option in OPTIONS if not option.is_secret)
_SECRETS = frozenset(option.name for option in OPTIONS if option.is_secret)
_PLACE = re.compile(r" \((at [^()]+)\)$")


@dataclass(frozen=True, slots=True)
class ConfigurationFile:
    """`values` as TOML has them, by option; `path` None: there is no file."""

    path: str | None = None
    values: Mapping[str, object] = field(default_factory=dict)


def usual_place(environ: Mapping[str, str]) -> str:
    """Where the file is looked for when nobody names one."""
    home = environ.get("XDG_CONFIG_HOME") or os.path.join("~", ".config")
    return os.path.abspath(os.path.expanduser(os.path.join(home, "mlxk2", "config.toml")))


def read_file(named: str | None, environ: Mapping[str, str]) -> ConfigurationFile:
    """`named` is what the command line names. Raises AccessProblem for what cannot be read, else ValidationError."""
    chosen = named or environ.get(FILE_VARIABLE)
    path = os.path.abspath(os.path.expanduser(chosen)) if chosen else usual_place(environ)
    if not chosen and not os.path.lexists(path):
        return ConfigurationFile()
    return ConfigurationFile(path, _table(_parsed(path), path))


def _parsed(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as stream:
            return tomllib.load(stream)
    except OSError as error:
        reason = (error.strerror or type(error).__name__).lower()
        raise AccessProblem(
            f"The configuration file {path} cannot be read: {reason}; correct its name or rights"
        ) from None
    except UnicodeDecodeError:
        raise ValidationError(f"The configuration file {path} is not UTF-8 text; convert it") from None
    except tomllib.TOMLDecodeError as error:
        said = str(error)
        place = match[1] if (match := _PLACE.search(said)) else "somewhere"
        reason = _PLACE.sub("", said)
        raise ValidationError(
            f"The configuration file {path} is no TOML {place}: {reason[:1].lower()}{reason[1:]}; correct it there"
        ) from None


def _table(document: Mapping[str, Any], path: str) -> Mapping[str, object]:
    for key in document:
        if key != TABLE:
            below = key.replace("_", "-") in _KEYS
            hint = f"write it below a line [{TABLE}]" if below else f"it may have the table [{TABLE}] and nothing else"
            raise ValidationError(f"{key} means nothing where it stands in {path}; {hint}")
    table = document.get(TABLE, {})
    if not isinstance(table, dict):
        raise ValidationError(f"{TABLE} in {path} is no table; begin it with a line [{TABLE}]")
    for key in table:
        if key in _SECRETS:
            raise ValidationError(
                f"{key} does not belong into {path}; put keys into a file of their own, and name it with api-key-file"
            )
        if key not in _KEYS:
            near = near_name(key.replace("_", "-"), _KEYS)
            hint = f"did you mean {near}?" if near else "mlxk2 serve --help lists the options"
            raise ValidationError(f"{key} in {path} is no option; {hint}")
    return table
