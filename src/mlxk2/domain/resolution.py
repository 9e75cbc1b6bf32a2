"""From a reference to one model and one snapshot.

Names, in this order: the exact name; the exact name in `mlx-community/`; a case-insensitive part of the name. An exact
hit always wins; more than one hit at the deciding step is ambiguous. Snapshots: `@hash` selects by prefix; otherwise
the one that `refs/main` names, else the newest.
"""

from collections.abc import Iterable, Sequence

from mlxk2.domain.names import DEFAULT_ORG, DEMO_NAME, ModelReference
from mlxk2.domain.near import did_you_mean
from mlxk2.ports.cache import RepoFacts
from mlxk2.ports.errors import AmbiguousMatch, ModelNotFound

_SHOWN = 8


def matching_names(pattern: str | None, names: Iterable[str]) -> list[str]:
    """Names that contain the pattern, whatever the case; all of them without one."""
    if not pattern:
        return list(names)
    wanted = pattern.casefold()
    return [name for name in names if wanted in name.casefold()]


def resolve_name(reference: ModelReference, names: Sequence[str]) -> str:
    """The one name meant. Raises ModelNotFound or AmbiguousMatch (candidates sorted)."""
    known = set(names)
    for exact in (reference.name, f"{DEFAULT_ORG}/{reference.name}"):
        if exact in known:
            return exact
    if reference.exact:
        raise ModelNotFound(_not_found(reference.name, names))
    matches = tuple(sorted(matching_names(reference.name, names)))
    if not matches:
        raise ModelNotFound(_not_found(reference.name, names))
    if len(matches) > 1:
        raise AmbiguousMatch(
            f"'{reference.name}' matches {len(matches)} models; write more of the name: {_some(matches)}",
            matches=matches,
        )
    return matches[0]


def choose_commit(repo: RepoFacts) -> str | None:
    """The snapshot that stands for the model when no hash is given; None when it has none."""
    commits = {entry.commit for entry in repo.snapshots}
    main = repo.refs.get("main")
    if main in commits:
        return main
    newest = max(repo.snapshots, key=lambda entry: (entry.modified, entry.commit), default=None)
    return newest.commit if newest else None


def find_commit(repo: RepoFacts, name: str, revision: str) -> str:
    """The snapshot whose commit starts with `revision`. Raises ModelNotFound or AmbiguousMatch."""
    commits = tuple(sorted(entry.commit for entry in repo.snapshots))
    matches = tuple(commit for commit in commits if commit.startswith(revision))
    if not matches:
        there = f"cached revisions: {', '.join(commit[:12] for commit in commits)}" if commits else "it has none"
        raise ModelNotFound(f"'{name}' has no cached revision that starts with {revision}; {there}")
    if len(matches) > 1:
        raise AmbiguousMatch(
            f"'{name}' has {len(matches)} revisions that start with {revision}; write more digits:"
            f" {', '.join(commit[:12] for commit in matches)}",
            available_hashes=matches,
        )
    return matches[0]


def _some(names: tuple[str, ...]) -> str:
    """The names, or the first of many."""
    shown = ", ".join(names[:_SHOWN])
    return shown if len(names) <= _SHOWN else f"{shown} and {len(names) - _SHOWN} more"


def _not_found(name: str, names: Sequence[str]) -> str:
    if name == DEMO_NAME:
        return "The demo model is not in the cache yet; install it with: mlxk2 pull demo"
    mean = did_you_mean(name, names)
    see = f"{mean} See" if mean else "; see"
    return f"No model in the cache matches '{name}'{see} what is there with: mlxk2 list --all"
