"""Taking away what is left over of one model; whichever step is the last, the cache is right.

Everything is renamed into the trash. A lock file is deleted by whoever holds its lock. The folder of a model's locks
stays: huggingface_hub makes it, and then a file in it, and would stumble if it went in between.
"""

import contextlib
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.guard import refuse_links
from mlxk2.adapters.hfcache.locks import held_locks, lock_if_free
from mlxk2.adapters.hfcache.model_contents import Unclear, holds_nothing, read_links, read_refs, read_revision
from mlxk2.adapters.hfcache.trash import discard
from mlxk2.adapters.hfcache.trees import delete_tree
from mlxk2.ports.cache import COMMIT_LOCK
from mlxk2.ports.errors import AccessProblem
from mlxk2.ports.pruning import Kind, Leftover, Outcome

_AT_ONCE = 64
"""Locks of blobs that are held together."""
_IN_USE = "a download has begun to use it"
_LINKED = "a snapshot uses it by now"
_CHANGED = "it has changed meanwhile"
_NAMED = "a ref names it by now"


class ModelSweep:
    """What goes of one model, into `own`, a folder of the trash; without one it is deleted where it stands.

    Then nothing can be put back, which is for a disk that is too full for another folder.
    """

    def __init__(self, root: str, folder: str, leftovers: Sequence[Leftover], own: str | None) -> None:
        self._root = root
        self._folder = folder
        self._leftovers = leftovers
        self._steps = _Steps(root, folder, own)
        self._back: set[str] = set()

    def take(self) -> list[Outcome]:
        """Move into the trash what may go by now."""
        try:
            refuse_links(self._root, self._folder)
        except AccessProblem as error:
            return [Outcome(leftover, _words(error), refused=True) for leftover in self._leftovers]
        steps = self._steps
        outcomes = self._each(Kind.REVISION, steps.revision)
        steps.take_blobs(leftover.name for leftover in self._leftovers if leftover.kind is Kind.BLOB)
        outcomes = [steps.with_blobs(outcome) for outcome in outcomes]
        outcomes += self._each(Kind.BLOB, steps.blob)
        outcomes += self._each(Kind.PARTIAL, steps.partial)
        outcomes += self._each(Kind.LOCK, steps.lock)
        return outcomes + self._each(Kind.FOLDER, steps.folder)

    def _each(self, kind: Kind, step: Callable[[Leftover], str | None]) -> list[Outcome]:
        return [_tried(step, leftover) for leftover in self._leftovers if leftover.kind is kind]

    @property
    def payloads(self) -> list[str]:
        """Those of the shared store whose links were deleted where they stood."""
        return self._steps.payloads

    @property
    def has_moved_blobs(self) -> bool:
        return bool(self._steps.moved)

    def put_back_linked(self) -> None:
        """What a link means by now that was made by somebody who had waited for a blob's lock."""
        if self.has_moved_blobs:
            self._back |= self._steps.put_back_linked()

    def put_back_all(self) -> None:
        """Every blob that was moved."""
        self._steps.put_back(list(self._steps.moved))

    def corrected(self, outcomes: Sequence[Outcome]) -> list[Outcome]:
        """The outcomes of `take`, after what was put back."""
        return [
            one._replace(kept=_LINKED) if one.leftover.kind is Kind.BLOB and one.leftover.name in self._back else one
            for one in outcomes
        ]


def _tried(step: Callable[[Leftover], str | None], leftover: Leftover) -> Outcome:
    try:
        return Outcome(leftover, step(leftover))
    except FileNotFoundError:  # somebody deletes at the same time
        return Outcome(leftover, _CHANGED)
    except (Unclear, OSError) as error:
        return Outcome(leftover, _words(error), refused=True)


def _words(error: Exception) -> str:
    if isinstance(error, OSError):
        return (error.strerror or type(error).__name__).lower()
    return error.message if isinstance(error, AccessProblem) else str(error)


class _Steps:
    """The steps; each returns why the thing is still there, or None. They raise OSError and Unclear."""

    def __init__(self, root: str, folder: str, own: str | None) -> None:
        self._root = root
        self._folder = folder
        self._model = os.path.join(root, folder)
        self._locks = os.path.join(root, layout.LOCKS, folder)
        self._own = own
        self.moved: dict[str, list[tuple[str, str]]] = {}
        self.payloads: list[str] = []
        self._with_revisions: list[str] = []
        self._kept_blobs: dict[str, str] = {}
        self._blobs_problem: Exception | None = None

    def revision(self, leftover: Leftover) -> str | None:
        commit = leftover.name
        own_lock = f"{commit}{COMMIT_LOCK}"
        snapshot = os.path.join(self._model, layout.SNAPSHOTS, commit)
        with lock_if_free(self._lock_path(own_lock)) as is_free:
            if not is_free or self._is_busy(own_lock):
                return _IN_USE
            if not os.path.lexists(snapshot):
                return None
            if read_revision(self._model, commit).modified != leftover.modified:
                return _CHANGED
            if reason := self._take_snapshot(commit, own_lock):
                return reason
            for part in (os.path.join(layout.NO_EXIST, commit), os.path.join(layout.TREES, f"{commit}.json")):
                with contextlib.suppress(OSError):  # without its snapshot it is read by nobody
                    self._discard(os.path.join(self._model, part))
            self._delete_lock(own_lock)
        self._with_revisions += leftover.blobs
        return None

    def take_blobs(self, loose: Iterable[str]) -> None:
        """Those of the revisions that are gone, and others; `blob` tells what has become of each."""
        names = list(dict.fromkeys([*self._with_revisions, *loose]))
        try:
            for start in range(0, len(names), _AT_ONCE):
                self._kept_blobs |= self._take_blobs(names[start : start + _AT_ONCE])
        except (Unclear, OSError) as error:
            self._blobs_problem = error

    def with_blobs(self, outcome: Outcome) -> Outcome:
        """What has become of a revision, with the blobs that should have gone with it."""
        if outcome.kept or not self._blobs_problem or self.moved.keys() >= set(outcome.leftover.blobs):
            return outcome
        return outcome._replace(kept=f"it is gone, but not its blobs: {_words(self._blobs_problem)}", refused=True)

    def blob(self, leftover: Leftover) -> str | None:
        if self._blobs_problem and leftover.name not in self.moved:
            raise self._blobs_problem
        return self._kept_blobs.get(leftover.name)

    def partial(self, leftover: Leftover) -> str | None:
        is_workshop = leftover.name.endswith(layout.WORKSHOP)
        path = os.path.join(self._locks if is_workshop else os.path.join(self._model, layout.BLOBS), leftover.name)
        with lock_if_free(self._lock_path(leftover.guard)) as is_free:
            if not is_free or self._is_installing(leftover.guard):
                return _IN_USE
            with contextlib.suppress(FileNotFoundError):
                if os.lstat(path).st_mtime != leftover.modified:
                    return _CHANGED
                self._discard(path)
            self._delete_lock(leftover.guard)
        return None

    def lock(self, leftover: Leftover) -> str | None:
        path = self._lock_path(leftover.guard)
        with lock_if_free(path, create=False) as is_free:
            if (
                is_free and os.lstat(path).st_mtime == leftover.modified
            ):  # older filelocks leave a trace when they open it
                os.unlink(path)
        return _IN_USE if os.path.lexists(path) else None

    def folder(self, leftover: Leftover) -> str | None:  # noqa: ARG002 - the shape of a step
        if self._is_busy():
            return _IN_USE
        if not holds_nothing(self._model):
            return _CHANGED
        moved = self._discard(self._model)
        if self._is_busy():
            _put_back(moved)
            return _IN_USE
        return None

    def put_back_linked(self) -> set[str]:
        """Names of moved blobs that a snapshot links to; all of them when that cannot be told."""
        try:
            linked = read_links(self._model) & self.moved.keys()
        except (Unclear, OSError):
            linked = set(self.moved)
        self.put_back(linked)
        return linked

    def put_back(self, names: Iterable[str]) -> None:
        for name in names:
            _put_back(self.moved.pop(name))

    def _take_snapshot(self, commit: str, own_lock: str) -> str | None:
        """It goes back when something has happened while it was taken out of its place; returns what."""
        if commit in set(read_refs(self._model)):
            return _NAMED
        moved = self._discard(os.path.join(self._model, layout.SNAPSHOTS, commit))
        try:
            reason = _NAMED if commit in set(read_refs(self._model)) else None
        except (Unclear, OSError):
            _put_back(moved)
            raise
        if self._is_busy(own_lock):
            reason = _IN_USE
        if reason:
            _put_back(moved)
        return reason

    def _take_blobs(self, names: Sequence[str]) -> dict[str, str]:
        """Blobs that nothing links to go; returns those that stay, and why."""
        with ExitStack() as stack:
            free = [name for name in names if stack.enter_context(lock_if_free(self._lock_path(name)))]
            held = dict.fromkeys(set(names) - set(free), _IN_USE)
            return held | self._take_locked_blobs(free)

    def _take_locked_blobs(self, names: Sequence[str]) -> dict[str, str]:
        if self._is_installing():  # a pull of ours makes its links at the end
            return dict.fromkeys(names, _IN_USE)
        linked = read_links(self._model)
        for name in names:
            path = os.path.join(self._model, layout.BLOBS, name)
            if name not in linked and (places := self._discard(path)):
                self.moved[name] = places
        linked |= self.put_back_linked()
        for name in names:
            if name not in linked:
                self._delete_lock(name)
        return dict.fromkeys(linked, _LINKED)

    def _discard(self, path: str) -> list[tuple[str, str]]:
        """Returns from where and to where, or nothing when it cannot come back."""
        if self._own is not None:
            return discard(path, self._own)
        if os.path.islink(path) and (payload := shared_store.target(self._root, path)):
            self.payloads.append(payload)
        delete_tree(path)
        if os.path.lexists(path):
            raise Unclear("not all of its files could be deleted")
        return []

    def _is_busy(self, *own: str) -> bool:
        """Whether somebody holds any lock of the model, beside those that are held here."""
        return bool(held_locks(self._root, self._folder).difference(own))

    def _is_installing(self, *own: str) -> bool:
        held = held_locks(self._root, self._folder).difference(own)
        return any(name.endswith(COMMIT_LOCK) for name in held)

    def _lock_path(self, guard: str) -> str:
        return os.path.join(self._locks, f"{guard}.lock")

    def _delete_lock(self, guard: str) -> None:
        """By the holder of the lock."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._lock_path(guard))


def _put_back(moved: Iterable[tuple[str, str]]) -> None:
    """What has been made anew meanwhile stays as it is."""
    for path, place in moved:
        if not os.path.lexists(path):
            os.rename(place, path)
