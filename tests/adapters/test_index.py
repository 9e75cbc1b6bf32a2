"""The index of facts: with it and without it the same is told, whatever was done to the cache in between."""

import contextlib
import hashlib
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.adapters.hfcache import HfCache
from mlxk2.adapters.hfcache.index import Index
from mlxk2.adapters.memory import MemoryCatalogue, Placement, StoredFile
from mlxk2.domain import contents
from mlxk2.domain.contents import READER
from mlxk2.domain.inspection import Inspector, ModelSummary
from mlxk2.ports.cache import READ_NOTHING, RepoFacts, SnapshotFacts
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.transfer import unwatched
from mlxk2.testing import Pathology, healthy_model, hold_lock, safetensors, sick_model, with_files, write_cache
from mlxk2.testing.contracts.cache import FIRST, FOLDER, SECOND, WHOLE, delivery, two_revisions
from mlxk2.testing.models import with_listing

SETTLED = 0.04
"""Seconds; longer than a tick of the clock that a Linux file system goes by."""
NAME = "org/model"
Told = tuple[list[ModelSummary], list[RepoFacts], list[SnapshotFacts]]


def indexed(place: Path) -> HfCache:
    """A cache at `place/hub` with its index in `place/memory`, as a program that starts now would see it."""
    return HfCache(str(place / "hub"), str(place / "state"), str(place / "memory"), worth_indexing=0, settled=SETTLED)


def told(cache: HfCache) -> Told:
    """All that a cache tells of its models."""
    summaries = Inspector(cache, MemoryCatalogue()).judge_all(None)
    repos = [cache.repo(folder) for folder in cache.folders()]
    snapshots = [
        cache.snapshot(cache.repo(repo.folder), entry.commit, READER) for repo in repos for entry in repo.snapshots
    ]
    cache.settle()
    return summaries, repos, snapshots


def remembers(place: Path) -> int:
    """How many models the index of the cache holds."""
    files = [path for path in (place / "memory").rglob("index") if path.is_file()]
    return len(files[0].read_bytes().splitlines()) - 1 if files else 0


def settle() -> None:
    time.sleep(SETTLED * 1.5)


def paths_of(root: Path, wanted: Callable[[Path], bool]) -> list[Path]:
    found = (Path(folder) / name for folder, folders, files in os.walk(root) for name in (*folders, *files))
    return sorted(path for path in found if wanted(path))


def some(root: Path, dice: random.Random, wanted: Callable[[Path], bool]) -> Path | None:
    paths = paths_of(root, wanted)
    return dice.choice(paths) if paths else None


def _is_file(path: Path) -> bool:
    return path.is_file() and not path.is_symlink()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def _write(place: Path, dice: random.Random) -> None:
    """A model as somebody else's program leaves it, sound or sick, in the place of the one before."""
    shared, plain = (
        StoredFile(safetensors(), lfs=True, placement=kind) for kind in (Placement.SHARED, Placement.PLAIN)
    )
    healthy = healthy_model(NAME)
    model = dice.choice(
        [
            healthy,
            healthy_model(NAME, shards=3),
            with_listing(healthy),
            two_revisions(),
            with_files(healthy, {"model.safetensors": shared}),
            with_files(healthy, {"model.safetensors": plain, "notes/deep/read.txt": b"words"}),
            *(sick_model(pathology, NAME) for pathology in Pathology),
        ]
    )
    shutil.rmtree(place / "hub" / FOLDER, ignore_errors=True)
    write_cache(place / "hub", [model])


def _pull(place: Path, dice: random.Random) -> None:
    files = {"config.json": b'{"model_type": "llama"}', "model.safetensors": dice.randbytes(9)}
    order = delivery(files, dice.choice((FIRST, SECOND)), dice.choice(("main", "refs-to/v2", None)))
    indexed(place).install(order, unwatched)


def _remove(place: Path, dice: random.Random) -> None:
    cache = indexed(place)
    repo = cache.repo(FOLDER)
    if repo.problem or repo.is_link:
        return
    commits = tuple(entry.commit for entry in repo.snapshots)
    cache.remove(WHOLE if len(commits) < 2 or dice.random() < 0.5 else WHOLE._replace(commits=commits[:1]))


def _overwrite(place: Path, dice: random.Random) -> None:
    """In place, with the same length or another, perhaps with the time of before."""
    path = some(place / "hub", dice, _is_file)
    if path:
        before = path.stat()
        path.write_bytes(dice.randbytes(dice.choice((before.st_size, 0, 5))))
        if dice.random() < 0.5:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _replace(place: Path, dice: random.Random) -> None:
    """Another file under the same name, with the time of before."""
    path = some(place / "hub", dice, _is_file)
    if path:
        before = path.stat()
        new = path.with_name("new")
        new.write_bytes(dice.randbytes(before.st_size))
        os.utime(new, ns=(before.st_atime_ns, before.st_mtime_ns))
        new.replace(path)


def _unlink(place: Path, dice: random.Random) -> None:
    path = some(place / "hub", dice, lambda path: path.is_symlink() or path.is_file())
    if path:
        path.unlink()


def _relink(place: Path, dice: random.Random) -> None:
    """A link that leads somewhere else from now on."""
    path = some(place / "hub", dice, Path.is_symlink)
    if path:
        others = [str(other) for other in paths_of(place / "hub", _is_file)]
        target = dice.choice(["nowhere", ".", "/etc/hostname", os.readlink(path).upper(), *others])
        path.unlink()
        path.symlink_to(target)


def _add(place: Path, dice: random.Random) -> None:
    folder = some(place / "hub", dice, _is_folder)
    if folder:
        names = ("new.json", "README.md", "main", f"{'e' * 64}.00000000.incomplete", "a" * 40)
        path = folder / dice.choice(names)
        if dice.random() < 0.2 and not os.path.lexists(path):
            os.mkfifo(path)
        elif not os.path.lexists(path):
            path.write_bytes(dice.choice((b"", b"{}", FIRST.encode())))


def _add_folder(place: Path, dice: random.Random) -> None:
    folder = some(place / "hub", dice, _is_folder)
    if folder:
        (folder / dice.choice(("empty", "b" * 40, "pr"))).mkdir(exist_ok=True)


def _fill_an_empty_folder(place: Path, dice: random.Random) -> None:
    folder = some(place / "hub", dice, lambda path: _is_folder(path) and not any(path.iterdir()))
    if folder:
        (folder / "1").write_text(dice.choice((FIRST, "{}")))


def _move(place: Path, dice: random.Random) -> None:
    folder = some(place / "hub", dice, _is_folder)
    if folder and not folder.with_name("moved").exists():
        folder.rename(folder.with_name("moved"))


def _list(place: Path, dice: random.Random) -> None:
    """What the Hub says of a revision."""
    commit = dice.choice((FIRST, SECOND))
    indexed(place).record_listing(FOLDER, commit, delivery({"config.json": b"{}"}, commit).files)


def _lose_the_index(place: Path, dice: random.Random) -> None:
    """It is damaged, or deleted."""
    for path in (place / "memory").rglob("index"):
        content = bytearray(path.read_bytes())
        for _ in range(dice.randint(1, 3)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path.write_bytes(content[: dice.choice((0, len(content) // 2, len(content)))])


CHANGES = (
    *(_write, _pull, _remove, _overwrite, _replace, _unlink, _relink, _add, _add_folder, _move, _list),
    *(_lose_the_index, _write, _pull, _list, _fill_an_empty_folder, _fill_an_empty_folder),
)
Step = tuple[Callable[[Path, random.Random], None], int, bool]
STEPS = st.lists(
    st.tuples(st.sampled_from(CHANGES), st.integers(0, 2**32), st.sampled_from((True, True, True, False))),
    min_size=5,
    max_size=12,
)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    return (tmp_path_factory.mktemp("cache") for _ in iter(int, 1))


@settings(max_examples=30, deadline=None)
@given(steps=STEPS)
def test_whatever_is_done_to_a_cache_the_same_is_told_with_the_index_and_without(
    places: Iterator[Path], steps: list[Step]
) -> None:
    place = next(places)
    write_cache(place / "hub", [healthy_model(NAME), healthy_model("org/other")])
    for change, seed, patient in steps:
        with contextlib.suppress(OSError, Mlxk2Error):  # not everything can be done to a broken cache
            change(place, random.Random(seed))  # noqa: S311 - a test
        if patient:  # else the change and the reading may be in one tick of the clock
            settle()
        for _ in range(2):
            assert told(indexed(place)) == told(HfCache(str(place / "hub"), str(place / "state")))


def _snapshot(model: Path) -> Path:
    return next(path for path in (model / "snapshots").iterdir() if path.name != "new")


def _blob_of(model: Path, name: str) -> Path:
    return (_snapshot(model) / name).resolve()


def _keep_the_time(path: Path, content: bytes) -> None:
    before = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _make_a_link(folder: Path) -> None:
    folder.rename(folder.with_name("real"))
    folder.symlink_to("real")


ONE_CHANGE: dict[str, Callable[[Path], object]] = {
    "a blob has other bytes, as many as before": lambda model: _blob_of(model, "config.json").write_bytes(
        b"!" * _blob_of(model, "config.json").stat().st_size
    ),
    "a blob has other bytes, and the time of before": lambda model: _keep_the_time(
        _blob_of(model, "config.json"), b"!" * _blob_of(model, "config.json").stat().st_size
    ),
    "a payload of the shared store is shorter": lambda model: _blob_of(model, "model.safetensors").write_bytes(b""),
    "a payload of the shared store is gone": lambda model: _blob_of(model, "model.safetensors").unlink(),
    "a blob is gone": lambda model: _blob_of(model, "config.json").unlink(),
    "a blob is new": lambda model: (model / "blobs" / ("d" * 40)).write_bytes(b"new"),
    "a link is gone": lambda model: (_snapshot(model) / "config.json").unlink(),
    "a real file of a snapshot is shorter": lambda model: (_snapshot(model) / "notes/deep/a.txt").write_bytes(b"a"),
    "an empty folder of a snapshot gets a file": lambda model: (_snapshot(model) / "empty/new.txt").write_bytes(b"new"),
    "a ref names another commit": lambda model: (model / "refs" / "main").write_text("e" * 40),
    "a ref in a folder is new": lambda model: (model / "refs" / "pr" / "1").write_text("e" * 40),
    "a revision is new": lambda model: (model / "snapshots" / ("a" * 40)).mkdir(),
    "huggingface_hub's listing is gone": lambda model: next((model / "trees").iterdir()).unlink(),
    "the shared store is none any more": lambda model: (model.parent / "blobs" / ".huggingface-shared-blobs").unlink(),
    "the folder of the model is a link": lambda model: _make_a_link(model),
    "a folder of the model is a link": lambda model: _make_a_link(model / "blobs"),
}


@pytest.mark.parametrize("change", ONE_CHANGE.values(), ids=ONE_CHANGE.keys())
def test_each_change_is_seen(tmp_path: Path, change: Callable[[Path], object]) -> None:
    shared = StoredFile(safetensors(), lfs=True, placement=Placement.SHARED)
    plain = StoredFile(b"words", placement=Placement.PLAIN)
    model = with_listing(with_files(healthy_model(NAME), {"model.safetensors": shared, "notes/deep/a.txt": plain}))
    write_cache(tmp_path / "hub", [model])
    folder = tmp_path / "hub" / FOLDER
    (folder / "refs" / "pr").mkdir()
    (_snapshot(folder) / "empty").mkdir()
    settle()
    before = told(indexed(tmp_path))
    assert remembers(tmp_path) == 1
    change(folder)
    after = told(indexed(tmp_path))
    assert after == told(HfCache(str(tmp_path / "hub"), str(tmp_path / "state")))
    assert after != before


def test_a_listing_of_ours_is_seen_when_it_comes_and_when_it_goes(tmp_path: Path) -> None:
    write_cache(tmp_path / "hub", [healthy_model(NAME)])
    settle()
    before = told(indexed(tmp_path))
    commit = before[2][0].commit
    indexed(tmp_path).record_listing(FOLDER, commit, delivery({"more.json": b"{}"}, commit).files)
    listed = told(indexed(tmp_path))
    assert listed[2][0].listing
    settle()
    assert told(indexed(tmp_path)) == listed
    shutil.rmtree(tmp_path / "state")
    assert told(indexed(tmp_path))[2] == before[2]


def test_sound_models_are_remembered_and_not_opened_again(tmp_path: Path) -> None:
    write_cache(tmp_path / "hub", [with_listing(healthy_model(f"org/model-{number}")) for number in range(5)])
    settle()
    first = told(indexed(tmp_path))
    assert remembers(tmp_path) == 5
    opened: list[str] = []
    is_watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if is_watching and event == "open" and "models--" in str(arguments[0]):
            opened.append(str(arguments[0]))

    sys.addaudithook(watch)
    again = told(indexed(tmp_path))
    is_watching = False
    assert again == first
    assert opened == []


def test_what_has_just_changed_is_not_remembered_yet(tmp_path: Path) -> None:
    write_cache(tmp_path / "hub", [healthy_model(NAME)])
    cache = HfCache(str(tmp_path / "hub"), None, str(tmp_path / "memory"), worth_indexing=0, settled=3600)
    told(cache)
    assert remembers(tmp_path) == 0


@pytest.mark.parametrize(
    "pathology", [Pathology.DANGLING_SHARED, Pathology.LINK_OUTSIDE, Pathology.DOWNLOAD_INCOMPLETE]
)
def test_what_may_change_without_a_trace_is_not_remembered(tmp_path: Path, pathology: Pathology) -> None:
    write_cache(tmp_path / "hub", [sick_model(pathology, NAME)])
    settle()
    told(indexed(tmp_path))
    assert remembers(tmp_path) == 0


def test_a_download_that_begins_is_seen_at_once(tmp_path: Path) -> None:
    model = healthy_model(NAME)
    write_cache(tmp_path / "hub", [model])
    with hold_lock(tmp_path / "hub", model, f"{FIRST}.commit"):
        pass  # the lock file is there before the index is made
    settle()
    told(indexed(tmp_path))
    assert remembers(tmp_path) == 1
    with hold_lock(tmp_path / "hub", model, f"{FIRST}.commit"):
        assert indexed(tmp_path).repo(FOLDER).held_locks == {f"{FIRST}.commit"}
    assert indexed(tmp_path).repo(FOLDER).held_locks == frozenset()


def test_a_model_that_is_gone_leaves_the_index(tmp_path: Path) -> None:
    write_cache(tmp_path / "hub", [healthy_model(NAME), healthy_model("org/other")])
    settle()
    told(indexed(tmp_path))
    assert remembers(tmp_path) == 2
    indexed(tmp_path).remove(WHOLE)
    told(indexed(tmp_path))
    assert remembers(tmp_path) == 1


def test_what_another_reader_made_of_the_files_is_not_taken(tmp_path: Path) -> None:
    write_cache(tmp_path / "hub", [healthy_model(NAME)])
    settle()
    told(indexed(tmp_path))
    commit = indexed(tmp_path).repo(FOLDER).snapshots[0].commit
    cache = indexed(tmp_path)
    cache.folders()
    for reader in (READ_NOTHING, READER._replace(probe=READ_NOTHING.probe, edition="another")):
        facts = cache.snapshot(cache.repo(FOLDER), commit, reader)
        assert all(file.content is None for file in facts.files)


def test_a_small_cache_has_no_index(tmp_path: Path) -> None:
    write_cache(tmp_path / "hub", [healthy_model(NAME)])
    told(HfCache(str(tmp_path / "hub"), None, str(tmp_path / "memory"), settled=0))
    assert not (tmp_path / "memory").exists()


@pytest.mark.parametrize("mode", [0o620, 0o602])
def test_an_index_that_others_may_write_to_is_not_believed(tmp_path: Path, mode: int) -> None:
    write_cache(tmp_path / "hub", [healthy_model(NAME)])
    settle()
    told(indexed(tmp_path))
    (path,) = (tmp_path / "memory").glob("mlxk2/caches/*/index")
    folder = healthy_model(NAME).folder
    assert Index(str(tmp_path / "memory"), str(tmp_path / "hub")).facts(folder)
    path.chmod(mode)
    assert Index(str(tmp_path / "memory"), str(tmp_path / "hub")).facts(folder) is None
    told(indexed(tmp_path))
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_index_that_cannot_be_written_is_no_trouble(tmp_path: Path) -> None:
    write_cache(tmp_path / "hub", [healthy_model(NAME)])
    (tmp_path / "memory").write_text("a file where a folder should be")
    settle()
    assert told(indexed(tmp_path)) == told(HfCache(str(tmp_path / "hub"), str(tmp_path / "state")))


def test_the_edition_changes_with_what_is_kept_of_a_file() -> None:
    """Whoever changes how contents are read sets another edition in `READER`, and this hash with it."""
    source = Path(contents.__file__).read_bytes()
    assert (READER.edition, hashlib.sha256(source).hexdigest()[:12]) == ("1", "8f53569cc6c6")
