"""The `ContentHasher` port on a real cache.

A link is followed where `snapshot.py` and `repo.py` follow it: from a blob into the shared store, and from a snapshot
to a file of the same model. Several names of one file, in the shared store or by hard links, are read once.
"""

import os
import stat
from collections import deque
from collections.abc import Iterable, Mapping, Sequence

from mlxk2.adapters.hfcache import layout, shared_store
from mlxk2.adapters.hfcache.contents_record import ContentsRecord, Identity, Taken
from mlxk2.adapters.hfcache.damage import KnownDamage
from mlxk2.adapters.hfcache.hashing import HashJob, HashPool, why
from mlxk2.adapters.hfcache.witnesses import Look, look_of
from mlxk2.ports.verifying import Hashed, Hashing, Settled, Target, Watch


class HfContentHasher:
    """Of the cache at `root`; what was taken is remembered below `memory_dir`, see `Settings`."""

    def __init__(self, root: str, memory_dir: str) -> None:
        self._root = os.path.abspath(root)
        self._memory_dir = memory_dir

    def hashes(self, targets: Sequence[Target], now: float, since: float, watch: Watch) -> Mapping[Target, Hashed]:
        record = ContentsRecord(self._memory_dir, self._root)
        run = _Run(self._root, record, now, since, watch)
        try:
            return run(targets)
        finally:
            record.close()
            KnownDamage(self._root, self._memory_dir).update(run.known)


class _Run:
    def __init__(self, root: str, record: ContentsRecord, now: float, since: float, watch: Watch) -> None:
        self._root = root
        self._record = record
        self._now = now
        self._since = since
        self._watch = watch
        self._has_store = shared_store.exists(root)
        self._found: dict[Target, Hashed] = {}
        self._waiting: dict[Identity, list[Target]] = {}
        self._jobs: dict[Identity, HashJob] = {}
        self.known: dict[tuple[str, str], Look | None] = {}
        """Of blobs, by folder and name: how a damaged one looks, None of a whole one."""

    def __call__(self, targets: Sequence[Target]) -> Mapping[Target, Hashed]:
        known = self._record.load()
        for target in dict.fromkeys(targets):
            self._look_at(target, known)
        if self._jobs:
            self._record.open()
            self._read()
        return self._found

    def _look_at(self, target: Target, known: Mapping[Identity, Taken]) -> None:
        """Settle the target at once, or find it a job."""
        try:
            path = self._path(target)
            info = os.lstat(path)
        except OSError as error:
            self._settle(target, Hashed(None, problem=why(error)))
            return
        if not stat.S_ISREG(info.st_mode):
            self._settle(target, Hashed(None, problem="is not a file"))
            return
        identity = Identity(*look_of(info), target.sha256)
        taken = known.get(identity)
        if taken and self._since <= taken.when <= self._now:
            self._settle(target, Hashed(taken.hash, info.st_size, taken.when, fresh=False), look_of(info))
        else:
            self._waiting.setdefault(identity, []).append(target)
            self._jobs.setdefault(identity, HashJob(path, target.path, info.st_size, target.sha256))

    def _path(self, target: Target) -> str:
        """Where the bytes are, after every link that may be followed."""
        model = os.path.join(self._root, target.folder)
        if target.blob is None:
            path = os.path.join(model, layout.SNAPSHOTS, target.commit or "", *target.path.split("/"))
            return self._inside(model, path) if os.path.islink(path) else path
        path = os.path.join(model, layout.BLOBS, target.blob)
        payload = shared_store.target(self._root, path) if self._has_store and os.path.islink(path) else None
        return payload or path

    def _inside(self, model: str, path: str) -> str:
        """The end of a link, where that is in the model's folder; else the link itself, which is no file."""
        real, inside = os.path.realpath(path), os.path.realpath(model)
        return real if os.path.commonpath([real, inside]) == inside else path

    def _settle(self, target: Target, hashed: Hashed, look: Look | None = None) -> None:
        if look and target.blob and layout.ETAG.fullmatch(target.blob) and len(hashed.hash or "") == len(target.blob):
            self.known[target.folder, target.blob] = None if hashed.hash == target.blob else look
        self._found[target] = hashed
        self._watch(Settled(target, hashed))

    def _read(self) -> None:
        identities = {id(job): identity for identity, job in self._jobs.items()}
        pool = HashPool(list(self._jobs.values()), self._remember)

        news: deque[HashJob] = deque()

        def settle(jobs: Iterable[HashJob]) -> None:
            news.extend(jobs)
            while news:
                job = news.popleft()
                hashed = Hashed(job.hash, job.done, self._now, problem=job.problem)
                for target in self._waiting[identities[id(job)]]:
                    self._settle(target, hashed, job.look)

        try:
            going_on = True
            while going_on:
                jobs, going_on = pool.wait()
                settle(jobs)
                self._watch(Hashing(*pool.progress()))
        finally:
            settle(pool.stop())  # what is remembered is told, also by whoever is interrupted

    def _remember(self, job: HashJob) -> None:
        """From the threads."""
        if job.hash and job.look:
            self._record.add(Identity(*job.look, job.sha256), Taken(job.hash, self._now))
