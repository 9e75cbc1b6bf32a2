"""What a worker need not know, and what of its prints nobody else need know.

It gets the parent's environment without the secrets in it, and never talks to the Hub: the model's files are there.
"""

import re
from collections.abc import Mapping

from mlxk2.ports.redaction import without_secrets

_SECRET_NAME = re.compile(r"(TOKEN|KEY|SECRET|PASSWORD|PASSPHRASE|CREDENTIALS?)S?$", re.IGNORECASE)
_FIRST_WORDS = re.compile(r"\S*\s*\S*")


def environment(parents: Mapping[str, str]) -> dict[str, str]:
    """Without whatever is named like a secret: HF_TOKEN and its kind, keys of other services."""
    kept = {name: value for name, value in parents.items() if not _SECRET_NAME.search(name)}
    return kept | {"HF_HUB_OFFLINE": "1"}


def presentable(printed: bytes, *, is_cut: bool) -> str:
    """Prints as text without secrets; where the beginning is lost, without two words that may be the rest of one."""
    text = printed.decode("utf-8", "replace")
    return without_secrets(_FIRST_WORDS.sub("", text, count=1) if is_cut else text).strip()
