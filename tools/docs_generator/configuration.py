"""The server's options, for people and for editors: docs/server-options.md and docs/config-schema.json."""

from typing import Any

from mlxk2.configuration.options import GROUPS, OPTIONS, TABLE, Option

_INTRODUCTION = """\
# Options of the server

<!-- Generated from the options by tools/generate_docs.py; change the texts there. -->

Each is a flag of `mlxk2 serve`, a variable of the environment and a key below `[serve]` in the configuration file; the
first of these that has a value decides. [server.md](server.md#options) says how values are written, and where the file
is. [config-schema.json](config-schema.json) describes the file for editors.
"""
_HEAD = "| option, variable | value | default | |\n|---|---|---|---|\n"


def options_page() -> str:
    parts = [_INTRODUCTION]
    for group, text in GROUPS.items():
        parts += [
            f"\n## {group.capitalize()}\n\n{text}\n\n| option, variable | value | default | |\n|---|---|---|---|\n"
        ]
        parts += [_row(option) for option in OPTIONS if option.group == group]
    return "".join(parts)


def _row(option: Option[Any]) -> str:
    name = "" if option.is_secret else f"`{option.flag}` "
    value = option.kind.takes + (" (a list)" if option.kind.is_list else "")
    default = f"`{option.shown_default}`" if option.shown_default else "none"
    return f"| {name}`{option.variable}` | {value} | {default} | {option.help} |\n"


def config_schema() -> dict[str, Any]:
    """JSON Schema of the file, as an editor for TOML reads it."""
    options = [option for option in OPTIONS if not option.is_secret]
    table = {
        "description": "Options of mlxk2 serve.",
        "type": "object",
        "properties": {option.name: _property(option) for option in options},
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "urn:mlxk2:config",
        "title": "Configuration file of mlxk2",
        "description": "Generated from the options of mlxk2 serve by tools/generate_docs.py.",
        "type": "object",
        "properties": {TABLE: table},
        "additionalProperties": False,
    }


def _property(option: Option[Any]) -> dict[str, Any]:
    default = list(option.default) if option.kind.is_list else option.default
    written = option.shown_default if default is None else default
    return {"description": f"{option.help}; {option.kind.takes}", "default": written, **option.kind.schema()}
