"""Keeping secrets out of what is told: tokens, and the signatures in addresses of storage servers."""

import re

_TOKEN = re.compile(r"\b((hf|api_org)_[A-Za-z0-9]{20,}|hf_oauth_[A-Za-z0-9_.-]{20,})|(?i:bearer)\s+[^\s'\"]+")
_SHORTEST = 8
_QUERY = re.compile(r"(https?://[^\s'\"?]+)\?[^\s'\"]+")


def without_secrets(text: str, known: str | None = None) -> str:
    """The text, whatever library it comes from and whatever it quotes, fit to be printed.

    `known` is the secret in use, of whatever form.
    """
    text = text.replace(known, "(token)") if known and len(known) >= _SHORTEST else text
    return _TOKEN.sub("(token)", _QUERY.sub(r"\1?...", text))
