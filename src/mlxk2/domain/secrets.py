"""Finding tokens and private keys in the content of files, by the forms that their issuers give them."""

import re
from collections.abc import Iterable

_KINDS = (
    (rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----", "a private key"),
    (rb"\b(?:hf|api_org)_[A-Za-z0-9]{30,}", "a Hugging Face token"),
    (rb"\bhf_oauth_[A-Za-z0-9._-]{30,}", "a Hugging Face token"),
    (rb"\b(?:ghp|gho|ghs|ghu|ghr)_[A-Za-z0-9]{36}", "a GitHub token"),
    (rb"\bgithub_pat_[A-Za-z0-9_]{50,}", "a GitHub token"),
    (rb"\bglpat-[A-Za-z0-9_-]{20,}", "a GitLab token"),
    (rb"\b(?:AKIA|ASIA)[A-Z0-9]{16}\b", "an AWS access key"),
    (rb"(?i:aws_secret_access_key)[\"']?\s*[=:]\s*[\"']?(?P<key>[A-Za-z0-9/+]{40})", "an AWS secret key"),
    (rb"\bsk-(?:proj-|ant-[a-z0-9]+-)?[A-Za-z0-9_-]{32,}", "an API key"),
    (rb"\bAIza[A-Za-z0-9_-]{35}", "a Google API key"),
    (rb"\bxox[abprs]-[A-Za-z0-9-]{20,}", "a Slack token"),
    (rb"\bpypi-[A-Za-z0-9_-]{50,}", "a PyPI token"),
    (rb"\bnpm_[A-Za-z0-9]{36}", "an npm token"),
)
_ANY = re.compile(b"|".join(b"(?P<kind%d>%s)" % (number, pattern) for number, (pattern, _) in enumerate(_KINDS)))
_OVERLAP = 256
_FEWEST_CHARACTERS = 10
"""Different ones that a real secret has at the least; fewer are a placeholder such as `hf_xxxx`."""
_LOOK = 8192
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def secret_in(pieces: Iterable[bytes]) -> str | None:
    """What kind of secret a file's content holds, or None.

    A binary file (a NUL near its beginning) is not searched, unless it begins as UTF-16 text does.
    """
    before, wide = b"", False
    for number, piece in enumerate(pieces):
        if number == 0:
            wide = piece.startswith(_UTF_16)
            if b"\0" in piece[:_LOOK] and not wide:
                return None
        text = before + (piece.replace(b"\0", b"") if wide else piece)
        for match in _ANY.finditer(text):
            if len(set(match["key"] or match[0])) >= _FEWEST_CHARACTERS:
                return _KINDS[int((match.lastgroup or "kind0").removeprefix("kind"))][1]
        before = text[-_OVERLAP:]
    return None
