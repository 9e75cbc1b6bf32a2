"""What of a folder stays at home when it is pushed: defaults that hold at every depth, then the lines of `.hfignore`.

Both have gitignore's semantics, and the last line that matches decides, so that `.hfignore` can take a default back
(`!.env.example`). Only version control can never be uploaded.
"""

from enum import Enum
from typing import NamedTuple

from pathspec import GitIgnoreSpec

IGNORE_FILE = ".hfignore"
_VIRTUAL_ENVIRONMENT = "pyvenv.cfg"


class Reason(Enum):
    """Why a file stays at home."""

    JUNK = "caches, virtual environments and leftovers"
    SECRET = "secrets"  # noqa: S105 - the word itself
    ASKED = "named in .hfignore"
    VERSION_CONTROL = "version control"


_JUNK = (
    ".venv/",
    "venv/",
    "node_modules/",
    "__pycache__/",
    "*.py[cod]",
    ".cache/",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".ipynb_checkpoints/",
    ".tox/",
    ".nox/",
    ".DS_Store",
    "._*",
    "Thumbs.db",
    "desktop.ini",
    "*~",
    "*.swp",
    "*.incomplete",
    IGNORE_FILE,
)
_SECRETS = (
    ".env*",
    "*.env",
    ".netrc",
    "_netrc",
    ".pypirc",
    ".npmrc",
    ".htpasswd",
    ".git-credentials",
    "credentials",
    "credentials.*",
    "*[_-]credentials.*",
    "client_secret*.json",
    "service[_-]account*.json",
    "secrets.*",
    ".secrets/",
    "id_rsa*",
    "id_dsa*",
    "id_ecdsa*",
    "id_ed25519*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.ppk",
    "*.jks",
    "*.kdbx",
    "*.keystore",
    "token",
    "token.*",
    "*.token",
    "*[_-]token",
    "*[_-]token.*",
    "stored_tokens",
    ".ssh/",
    ".aws/",
    ".gnupg/",
    ".kube/",
    ".docker/",
)
_VERSION_CONTROL = (".git", ".hg", ".svn", ".bzr", ".jj", ".cache/huggingface")


class IgnoreRules(NamedTuple):
    """The one list that check, dry run and upload share."""

    spec: GitIgnoreSpec
    defaults: int
    asked: int

    @classmethod
    def of(cls, ignore_file: str | None) -> "IgnoreRules":
        """`ignore_file` is the text of the folder's `.hfignore`, None when it has none."""
        lines = (ignore_file or "").splitlines()
        spec = GitIgnoreSpec.from_lines([*_JUNK, *_SECRETS, *lines, *_VERSION_CONTROL])
        return cls(spec, len(_JUNK), len(lines))

    def reason(self, path: str) -> Reason | None:
        """Why the file stays at home; None when it goes along."""
        result = self.spec.check_file(path)
        if not result.include or result.index is None:
            return None
        if result.index < self.defaults:
            return Reason.JUNK
        if result.index < self.defaults + len(_SECRETS):
            return Reason.SECRET
        return Reason.ASKED if result.index < self.defaults + len(_SECRETS) + self.asked else Reason.VERSION_CONTROL

    def enters(self, folder: str, names: frozenset[str]) -> bool:
        """Whether anything below a folder (its path ends in '/') can go along."""
        return self.reason(folder) is None and _VIRTUAL_ENVIRONMENT not in names
