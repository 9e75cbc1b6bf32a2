"""What of a folder stays at home when it is pushed: defaults that hold at every depth, then the lines of `.hfignore`.

Both have gitignore's semantics, and the last line that matches decides, so that `.hfignore` can take a default back
(`!.env.example`). Only version control and `.cache` can never be uploaded.
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
    ".pgpass",
    ".boto",
    ".s3cfg",
    ".my.cnf",
    ".dockercfg",
    ".huggingface/",
    ".config/gh/",
    ".config/gcloud/",
    "kubeconfig",
    "*.tfstate",
    "*.tfvars",
    "passwords.*",
    ".bash_history",
    ".zsh_history",
    ".python_history",
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
    "secrets/",
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
_ANY_SECRET = GitIgnoreSpec.from_lines(_SECRETS)
_VERSION_CONTROL = frozenset({".git", ".hg", ".svn", ".bzr", ".jj"})
_REFUSED_BY_THE_HUB = ".cache"


class IgnoreRules(NamedTuple):
    """The one list that check, dry run and upload share."""

    spec: GitIgnoreSpec
    junk: int

    @classmethod
    def of(cls, ignore_file: str | None) -> "IgnoreRules":
        """`ignore_file` is the text of the folder's `.hfignore`, None when it has none."""
        lines = [line for line in (ignore_file or "").removeprefix("\ufeff").splitlines() if _is_pattern(line)]
        return cls(GitIgnoreSpec.from_lines([*_JUNK, *_SECRETS, *lines]), len(_JUNK))

    def reason(self, path: str) -> Reason | None:
        """Why the file stays at home; None when it goes along."""
        parts = path.lower().split("/")
        if not _VERSION_CONTROL.isdisjoint(parts):
            return Reason.VERSION_CONTROL
        if _REFUSED_BY_THE_HUB in parts:
            return Reason.JUNK
        result = self.spec.check_file(path)
        if result.include is None and _ANY_SECRET.match_file(path.lower()):
            return Reason.SECRET  # KEY.PEM is one too
        if not result.include or result.index is None:
            return None
        if result.index < self.junk:
            return Reason.JUNK
        return Reason.SECRET if result.index < self.junk + len(_SECRETS) else Reason.ASKED

    def reason_of_folder(self, folder: str, names: frozenset[str]) -> Reason | None:
        """Why nothing below a folder (its path ends in '/') goes along; `names` are what it holds."""
        return self.reason(folder) or (Reason.JUNK if _VIRTUAL_ENVIRONMENT in names else None)


def _is_pattern(line: str) -> bool:
    """A line that git makes nothing of is passed over, as git does."""
    try:
        GitIgnoreSpec.from_lines([line])
    except ValueError:
        return False
    return True
