"""Hashes of a real cache: links, shared files, and the record of what was read."""

import os
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from mlxk2.adapters.hfcache import HfCache, contents_record
from mlxk2.adapters.hfcache.checking import HfContentHasher
from mlxk2.adapters.hfcache.contents_record import ContentsRecord, Identity, Taken
from mlxk2.adapters.hfcache.witnesses import look_of
from mlxk2.adapters.memory import Placement, StoredFile
from mlxk2.ports.verifying import Event, Hashed, Hashing, Settled, Target
from mlxk2.testing import with_files, write_cache
from mlxk2.testing.contracts.verifying import COMMIT, FOLDER, NOW, WEIGHTS, ignore, model, target

WANTED = target("a.bin", WEIGHTS)
OLD = (NOW - 1000, NOW - 1000)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write_cache(tmp_path / "hub", [model(a_bin=WEIGHTS)])


@pytest.fixture
def hasher(root: Path, tmp_path: Path) -> HfContentHasher:
    return HfContentHasher(str(root), str(tmp_path / "memory"))


@pytest.fixture
def record(hasher: HfContentHasher, tmp_path: Path) -> Path:
    """The file that remembers, with one hash in it."""
    take(hasher)
    (path,) = (tmp_path / "memory" / "mlxk2" / "caches").glob("*/contents")
    return path


@contextmanager
def again_and_again(change: Callable[[int], None]) -> Iterator[None]:
    """Another thread calls it all the while, with another number each time."""
    stopped = threading.Event()

    def keep_changing() -> None:
        number = 0
        while not stopped.wait(0.001):
            number += 1
            change(number)

    writer = threading.Thread(target=keep_changing)
    writer.start()
    try:
        yield
    finally:
        stopped.set()
        writer.join()


def take(hasher: HfContentHasher, *wanted: Target) -> list[Hashed]:
    found = hasher.hashes(wanted or (WANTED,), NOW, NOW - 60, ignore)
    return [found[one] for one in wanted or (WANTED,)]


def read_bytes(hasher: HfContentHasher, wanted: Sequence[Target]) -> int:
    """Bytes that had to be read for these."""
    events: list[Event] = []
    hasher.hashes(wanted, NOW, NOW - 60, events.append)
    return max((event.done for event in events if isinstance(event, Hashing)), default=0)


def blob(root: Path) -> Path:
    return root / FOLDER / "blobs" / WEIGHTS.etag


def test_a_link_in_the_place_of_a_blob_is_not_followed(root: Path, hasher: HfContentHasher, tmp_path: Path) -> None:
    blob(root).rename(tmp_path / "elsewhere")
    blob(root).symlink_to(tmp_path / "elsewhere")
    assert take(hasher) == [Hashed(None, problem="is not a file")]


def test_a_pipe_in_the_place_of_a_blob_is_not_waited_for(root: Path, hasher: HfContentHasher) -> None:
    blob(root).unlink()
    os.mkfifo(blob(root))
    assert take(hasher) == [Hashed(None, problem="is not a file")]


def test_a_blob_that_is_a_loop_of_links_has_a_problem(root: Path, hasher: HfContentHasher) -> None:
    blob(root).unlink()
    blob(root).symlink_to(blob(root).name)
    assert take(hasher) == [Hashed(None, problem="is not a file")]


def test_a_link_in_a_snapshot_to_a_file_of_the_model_is_followed_and_one_out_of_it_is_not(
    root: Path, hasher: HfContentHasher
) -> None:
    snapshot = root / FOLDER / "snapshots" / COMMIT
    (root / FOLDER / "kept.bin").write_bytes(WEIGHTS.content)
    (root / "outside.bin").write_bytes(WEIGHTS.content)
    (snapshot / "in.bin").symlink_to("../../kept.bin")
    (snapshot / "out.bin").symlink_to("../../../outside.bin")
    wanted = [Target(FOLDER, None, COMMIT, path, 0, sha256=True) for path in ("in.bin", "out.bin")]
    assert [(one.hash, one.problem) for one in take(hasher, *wanted)] == [(WEIGHTS.etag, None), (None, "is not a file")]


def test_a_file_that_models_share_is_read_once(tmp_path: Path) -> None:
    shared = StoredFile(WEIGHTS.content, lfs=True, placement=Placement.SHARED)
    root = write_cache(tmp_path / "hub", [model(a_bin=shared)])
    other = root / "models--org--other" / "blobs"
    other.mkdir(parents=True)
    (other / shared.etag).symlink_to(f"../../blobs/{shared.payload[:2]}/{shared.payload}")
    wanted = [target("a.bin", shared), target("a.bin", shared)._replace(folder="models--org--other")]
    hasher = HfContentHasher(str(root), str(tmp_path / "memory"))
    assert read_bytes(hasher, wanted) == len(WEIGHTS.content)
    assert [one.hash for one in take(hasher, *wanted)] == [WEIGHTS.etag] * 2


def test_names_of_one_file_are_read_once(root: Path, hasher: HfContentHasher) -> None:
    os.link(blob(root), blob(root).with_name("f" * 64))
    wanted = [WANTED, WANTED._replace(blob="f" * 64)]
    assert read_bytes(hasher, wanted) == len(WEIGHTS.content)


def test_a_file_that_changes_while_it_is_read_has_a_problem_and_is_not_remembered(
    root: Path, hasher: HfContentHasher
) -> None:
    os.truncate(blob(root), 400_000_000)
    with again_and_again(lambda number: os.utime(blob(root), ns=(number, number))):
        (found,) = take(hasher)
    assert found.problem == "changed while it was checked"
    assert read_bytes(hasher, [WANTED]) > 0


def test_a_new_permission_while_it_is_read_is_no_change_of_content(root: Path, hasher: HfContentHasher) -> None:
    os.truncate(blob(root), 400_000_000)
    with again_and_again(lambda _: blob(root).chmod(0o600)):
        (found,) = take(hasher)
    assert (found.problem, found.size) == (None, 400_000_000)


def test_other_content_whose_time_was_set_back_is_read(root: Path, hasher: HfContentHasher) -> None:
    (before,) = take(hasher)
    info = blob(root).stat()
    with blob(root).open("r+b") as file:
        file.write(b"X")
    os.utime(blob(root), ns=(info.st_atime_ns, info.st_mtime_ns))
    (found,) = take(hasher)
    assert (found.fresh, found.hash != before.hash) == (True, True)


def test_bit_rot_that_leaves_no_trace_shows_when_the_hash_has_become_too_old(
    root: Path, hasher: HfContentHasher, tmp_path: Path
) -> None:
    rotten = b"wEights" + WEIGHTS.content[7:]
    blob(root).write_bytes(rotten)
    record = ContentsRecord(str(tmp_path / "memory"), str(root))
    record.open()
    record.add(Identity(*look_of(blob(root).stat()), sha256=True), Taken(WEIGHTS.etag, NOW))
    record.close()
    assert take(hasher)[0].hash == WEIGHTS.etag
    assert hasher.hashes((WANTED,), NOW + 100, NOW + 1, ignore)[WANTED].hash == StoredFile(rotten, lfs=True).etag


def test_a_look_is_no_use(root: Path, hasher: HfContentHasher) -> None:
    os.utime(blob(root), OLD)
    take(hasher)
    assert blob(root).stat().st_atime == OLD[0]


def test_the_record_is_private(record: Path) -> None:
    assert (record.stat().st_mode & 0o777, record.parent.stat().st_mode & 0o777) == (0o600, 0o700)


def test_the_record_holds_however_the_cache_is_reached(root: Path, record: Path, tmp_path: Path) -> None:
    assert record.is_file()
    (tmp_path / "link").symlink_to(root)
    assert read_bytes(HfContentHasher(str(tmp_path / "link"), str(tmp_path / "memory")), [WANTED]) == 0


@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[:-4],
        lambda content: content.replace(WEIGHTS.etag[:8].encode(), b"00000000"),
        lambda content: b"\xff\xfe" + content[::-1],
        lambda content: content[:0],
        lambda content: content.replace(b" ", b"\n"),
    ],
)
def test_a_damaged_line_costs_time_only(
    record: Path, hasher: HfContentHasher, damage: Callable[[bytes], bytes]
) -> None:
    record.write_bytes(damage(record.read_bytes()))
    assert take(hasher)[0] == Hashed(WEIGHTS.etag, len(WEIGHTS.content), NOW, fresh=True)
    assert take(hasher)[0].fresh is False


def test_a_line_with_a_right_checksum_and_strange_words_is_passed_over(record: Path, hasher: HfContentHasher) -> None:
    text = b"1 2 3 four sha256 hash when"
    record.write_bytes(b"%b %08x\n" % (text, zlib.crc32(text)))
    assert take(hasher)[0].fresh is True


def test_a_record_that_others_may_write_to_is_not_believed_and_not_written(
    record: Path, hasher: HfContentHasher
) -> None:
    record.chmod(0o666)
    before = record.read_bytes()
    assert take(hasher)[0].fresh is True
    assert record.read_bytes() == before


def test_a_record_that_is_a_link_is_not_followed(record: Path, hasher: HfContentHasher, tmp_path: Path) -> None:
    record.rename(tmp_path / "elsewhere")
    record.symlink_to(tmp_path / "elsewhere")
    before = (tmp_path / "elsewhere").read_bytes()
    assert take(hasher)[0].fresh is True
    assert (tmp_path / "elsewhere").read_bytes() == before


def test_a_place_that_cannot_be_written_costs_time_only(root: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    hasher = HfContentHasher(str(root), str(tmp_path / "file"))
    for _ in range(2):
        assert take(hasher)[0] == Hashed(WEIGHTS.etag, len(WEIGHTS.content), NOW, fresh=True)


def test_many_useless_lines_are_dropped(record: Path, hasher: HfContentHasher) -> None:
    line = record.read_bytes()
    record.write_bytes(line * 5000)
    assert take(hasher)[0].fresh is False
    assert record.read_bytes() == line


def test_a_record_that_has_grown_beyond_measure_begins_anew(
    record: Path, hasher: HfContentHasher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(contents_record, "_LARGEST", 10)
    assert take(hasher)[0].fresh is True
    assert record.read_bytes().count(b"\n") == 1


def test_two_programs_may_remember_at_once(root: Path, tmp_path: Path) -> None:
    records = [ContentsRecord(str(tmp_path / "memory"), str(root)) for _ in range(4)]

    def write(number: int) -> None:
        records[number].open()
        for inode in range(500):
            records[number].add(Identity(number, inode, 1, 1, 1, sha256=True), Taken("f" * 64, NOW))
        records[number].close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(records[0].load()) == 2000


def test_whoever_is_interrupted_is_told_of_all_that_is_remembered(tmp_path: Path) -> None:
    contents = [StoredFile(b"%d" % number, lfs=True) for number in range(40)]
    files = {f"f{number}": file for number, file in enumerate(contents)}
    root = write_cache(tmp_path / "hub", [with_files(model(), files)])
    record = ContentsRecord(str(tmp_path / "memory"), str(root))
    told: list[Target] = []

    def interrupt(event: Event) -> None:
        if not isinstance(event, Settled):
            return
        told.append(event.target)
        if len(told) == 1:
            while len(record.load()) < 2:
                time.sleep(0.001)
            raise KeyboardInterrupt

    wanted = [target(f"f{number}", file) for number, file in enumerate(contents)]
    with pytest.raises(KeyboardInterrupt):
        HfContentHasher(str(root), str(tmp_path / "memory")).hashes(wanted, NOW, NOW - 60, interrupt)
    assert len(record.load()) == len(told)


def test_nothing_is_remembered_after_the_end(root: Path, tmp_path: Path) -> None:
    record = ContentsRecord(str(tmp_path / "memory"), str(root))
    record.open()
    record.close()
    record.add(Identity(1, 2, 3, 4, 5, sha256=False), Taken("f" * 40, NOW))
    assert record.load() == {}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{", b'{"models--org--model": 3}', b"\xff", b'{"models--org--model": {"x": 1}}']
)
def test_a_record_of_damage_that_is_itself_damaged_says_nothing(root: Path, tmp_path: Path, content: bytes) -> None:
    blob(root).write_bytes(b"wrong" * 1400)
    take(HfContentHasher(str(root), str(tmp_path / "memory")))
    assert HfCache(str(root), None, str(tmp_path / "memory")).repo(FOLDER).damaged == {WEIGHTS.etag}
    (known,) = (tmp_path / "memory" / "mlxk2" / "caches").glob("*/damaged")
    known.write_bytes(content)
    assert HfCache(str(root), None, str(tmp_path / "memory")).repo(FOLDER).damaged == frozenset()


def test_a_damaged_blob_that_was_touched_since_is_not_known_as_damaged(root: Path, tmp_path: Path) -> None:
    blob(root).write_bytes(b"wrong" * 1400)
    take(HfContentHasher(str(root), str(tmp_path / "memory")))
    os.utime(blob(root))
    assert HfCache(str(root), None, str(tmp_path / "memory")).repo(FOLDER).damaged == frozenset()
