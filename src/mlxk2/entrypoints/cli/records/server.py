"""The server and its options: `serve` and `config`."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class ServeData:
    """Printed once the server listens. `url` reaches it from this machine; `models` can be asked for.

    `loading` are being loaded at once; `api_key_required`: clients must send a key.
    """

    url: str
    host: str
    port: int
    pid: int
    models: list[str]
    loading: list[str]
    api_key_required: bool


@dataclass(frozen=True)
class OptionObject:
    """An option of `serve`. `value` is in bytes or seconds where it is a size or a time.

    It is null where there is no bound or the program decides, and for a secret, whose `source` alone tells that it is
    set.
    """

    name: str
    variable: str
    value: str | int | float | bool | list[str] | None
    source: Literal["environment", "file", "default"]


@dataclass(frozen=True)
class ConfigData:
    """`file` is the configuration file that was read, or null; `usual_file` the one that is looked for by itself."""

    file: str | None
    usual_file: str
    options: list[OptionObject]
