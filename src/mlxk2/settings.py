"""What the environment says, read once at start.

The cache folder is found as huggingface_hub finds it (`HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME`,
`XDG_CACHE_HOME`, `~/.cache`), with `~` and `$NAME` expanded, except that an empty variable counts as unset.
The Hub is `HF_ENDPOINT`, and `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` keep everybody off the network.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from mlxk2.ports.errors import ValidationError

_HUB = "https://huggingface.co"
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


@dataclass(frozen=True, slots=True)
class Settings:
    """`cache_root` is the resolved cache folder, absolute; it need not exist. `hub` is the Hub's address.

    `offline` tells that the user wants no network at all.
    """

    cache_root: str
    hub: str
    offline: bool


def read_settings(environ: Mapping[str, str]) -> Settings:
    return Settings(
        cache_root=cache_root(environ),
        hub=(environ.get("HF_ENDPOINT") or _HUB).rstrip("/"),
        offline=any(environ.get(name, "").upper() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
    )


def check_hub(address: str) -> None:
    """Raises ValidationError when nobody could be reached there."""
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValidationError(f"HF_ENDPOINT is {address!r}, which is no address such as {_HUB}; correct or unset it")


def cache_root(environ: Mapping[str, str]) -> str:
    """Environment to folder; later names are looked at only when the earlier ones are unset or empty."""

    def variable(name: str) -> str | None:
        return environ.get(name) or None

    base = variable("XDG_CACHE_HOME") or os.path.join("~", ".cache")
    home = _expand(variable("HF_HOME") or os.path.join(base, "huggingface"))
    chosen = variable("HF_HUB_CACHE") or variable("HUGGINGFACE_HUB_CACHE") or os.path.join(home, "hub")
    return os.path.abspath(_expand(chosen))


def _expand(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))
