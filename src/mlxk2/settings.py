"""What the environment says, read once at start.

The cache folder is found as huggingface_hub finds it (`HF_HUB_CACHE`, `HUGGINGFACE_HUB_CACHE`, `HF_HOME`,
`XDG_CACHE_HOME`, `~/.cache`), with `~` and `$NAME` expanded, except that an empty variable counts as unset.
The Hub is `HF_ENDPOINT`, and `HF_HUB_OFFLINE` or `TRANSFORMERS_OFFLINE` keep everybody off the network.

What is kept while programs run belongs in `XDG_RUNTIME_DIR`, what is kept longer in `XDG_STATE_HOME`, and what only
saves time in `XDG_CACHE_HOME`; where these are not set, or cannot be used, in a folder of the user's among the
temporary ones, and in the system's own places.
"""

import os
import stat
import sys
from collections.abc import Mapping
from typing import NamedTuple

from mlxk2.ports.errors import ValidationError

_HUB = "https://huggingface.co"
_TRUE = frozenset({"1", "ON", "YES", "TRUE"})


class Settings(NamedTuple):
    """`cache_root` is the resolved cache folder, absolute; it need not exist. `hub` is the Hub's address.

    `offline` tells that the user wants no network at all. `runtime_dir` is where running programs of this user find one
    another, `state_dir` where logs and conversations are kept, `memory_dir` what may be deleted at any time: all
    absolute, none need exist, and all are shared with other programs, so that whoever writes there does so in a folder
    `mlxk2` within.
    """

    cache_root: str
    hub: str
    offline: bool
    runtime_dir: str
    state_dir: str
    memory_dir: str


def read_settings(environ: Mapping[str, str]) -> Settings:
    return Settings(
        cache_root=cache_root(environ),
        hub=(environ.get("HF_ENDPOINT") or _HUB).rstrip("/"),
        offline=any(environ.get(name, "").upper() in _TRUE for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")),
        runtime_dir=runtime_dir(environ),
        state_dir=state_dir(environ),
        memory_dir=memory_dir(environ),
    )


def check_hub(address: str) -> None:
    """Raises ValidationError when nobody could be reached there."""
    from urllib.parse import urlsplit

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


def runtime_dir(environ: Mapping[str, str]) -> str:
    """`XDG_RUNTIME_DIR` where it is a folder of this user: after `sudo` or `su` it may be somebody else's.

    A link to one is followed here, since whoever uses the folder later takes no links.
    """
    named = environ.get("XDG_RUNTIME_DIR", "")
    if os.path.isabs(named) and _is_own_folder(named):
        return os.path.realpath(named)
    return os.path.join(os.path.abspath(environ.get("TMPDIR") or "/tmp"), f"mlxk2-{os.getuid()}")  # noqa: S108


def state_dir(environ: Mapping[str, str]) -> str:
    """`XDG_STATE_HOME` where it is absolute, as its specification asks; else the system's own place."""
    named = environ.get("XDG_STATE_HOME", "")
    if os.path.isabs(named):
        return named
    home = os.path.expanduser("~")
    if sys.platform == "darwin":
        return os.path.join(home, "Library", "Application Support")
    return os.path.join(home, ".local", "state")


def memory_dir(environ: Mapping[str, str]) -> str:
    """`XDG_CACHE_HOME` where it is absolute, as its specification asks; else the system's own place."""
    named = environ.get("XDG_CACHE_HOME", "")
    if os.path.isabs(named):
        return named
    home = os.path.expanduser("~")
    return os.path.join(home, "Library", "Caches") if sys.platform == "darwin" else os.path.join(home, ".cache")


def _is_own_folder(path: str) -> bool:
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.getuid()


def _expand(path: str) -> str:
    return os.path.expandvars(os.path.expanduser(path))
