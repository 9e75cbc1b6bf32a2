"""Keeping secrets out of what is told: tokens, and the signatures in addresses of storage servers."""

import re

_TOKEN = re.compile(r"\b(hf|api_org|hf_oauth)_[A-Za-z0-9_.-]{8,}|(?i:bearer)\s+[^\s'\"]+")
_QUERY = re.compile(r"(https?://[^\s'\"?]+)\?[^\s'\"]+")


def without_secrets(text: str) -> str:
    """The text, whatever library it comes from and whatever it quotes, fit to be printed."""
    return _TOKEN.sub("(token)", _QUERY.sub(r"\1?...", text))
