"""The partial file of a blob: its map is true after whatever happened to it, and never believed when it cannot be."""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.adapters.hfcache import partial
from mlxk2.adapters.hfcache.partial import LetGo, Partial, bytes_there, leftovers, path_of

SEGMENT = 10
SIZE = 34
CONTENT = bytes(range(1, SIZE + 1))
ETAG = "e" * 64
MAP = 24 + 4 * 8
"""Bytes of the map of a file of four segments: its header, and a count for each."""


patient = settings(deadline=None)
"""The disk may be slow."""


@pytest.fixture(autouse=True, scope="module")
def _short_segments() -> Iterator[None]:
    with patch.object(partial, "SEGMENT", SEGMENT):
        yield


@pytest.fixture
def blobs(tmp_path: Path) -> Path:
    folder = tmp_path / "blobs"
    folder.mkdir()
    return folder


def opened(blobs: Path, size: int = SIZE) -> Partial:
    return Partial(str(blobs), ETAG, size, leftovers(str(blobs)).get(ETAG, ()))


def own(blobs: Path) -> Path:
    return Path(path_of(str(blobs), ETAG))


def write(file: Partial, *pieces: tuple[int, int]) -> None:
    """The right content for each (start, stop)."""
    for start, stop in pieces:
        file.write(start, CONTENT[start:stop])


def left_behind(blobs: Path, *pieces: tuple[int, int]) -> Path:
    """The partial file of an earlier process that got these pieces."""
    file = opened(blobs)
    write(file, *pieces)
    file.close()
    return own(blobs)


def foreign(blobs: Path, content: bytes, number: str = "0123abcd") -> Path:
    """A piece as a killed huggingface_hub leaves it."""
    path = blobs / f"{ETAG}.{number}.incomplete"
    path.write_bytes(content)
    return path


class Expected:
    """What a partial file has to say, kept beside it."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.done = [0] * -(-size // SEGMENT)

    def length(self, number: int) -> int:
        return min(SEGMENT, self.size - number * SEGMENT)

    def take(self, number: int, count: int) -> tuple[int, int]:
        """The next `count` bytes of a segment, or as many as it lacks."""
        start = number * SEGMENT + self.done[number]
        self.done[number] = min(self.length(number), self.done[number] + count)
        return start, number * SEGMENT + self.done[number]

    def here(self) -> set[int]:
        return {n * SEGMENT + byte for n, done in enumerate(self.done) for byte in range(done)}

    def check(self, file: Partial, content: bytes) -> None:
        here = self.here()
        frontier = next(byte for byte in range(self.size + 1) if byte not in here)
        missing = list(file.missing())
        asked = [byte for start, stop in missing for byte in range(start, stop)]
        assert (file.done, file.frontier) == (len(here), frontier)
        assert asked == sorted(set(range(self.size)) - here)
        assert all(start < stop and start // SEGMENT == (stop - 1) // SEGMENT for start, stop in missing)
        assert all(os.pread(file.handle, 1, byte) == content[byte : byte + 1] for byte in here)


@settings(patient, max_examples=200)
@given(
    size=st.integers(min_value=0, max_value=45),
    steps=st.lists(
        st.one_of(
            st.tuples(st.integers(min_value=0, max_value=4), st.integers(min_value=1, max_value=SEGMENT)),
            st.sampled_from(["closed", "killed"]),
        ),
        max_size=25,
    ),
)
def test_after_any_writes_and_reopenings_the_map_says_what_is_there(
    size: int, steps: list[tuple[int, int] | str]
) -> None:
    content = bytes(range(1, size + 1))
    with TemporaryDirectory() as folder:
        blobs = Path(folder)
        expected, file = Expected(size), opened(blobs, size)
        for step in steps:
            if step == "closed":
                file.close()
                file = opened(blobs, size)
            elif step == "killed":
                os.close(file.handle)
                file = opened(blobs, size)
            elif isinstance(step, tuple) and step[0] < len(expected.done):
                start, stop = expected.take(*step)
                if start < stop:
                    file.write(start, content[start:stop])
            expected.check(file, content)
        file.close()


@patient
@given(length=st.integers(min_value=0, max_value=SIZE + MAP - 1).filter(lambda length: length != SIZE))
def test_a_file_that_was_cut_off_anywhere_starts_over(length: int) -> None:
    with TemporaryDirectory() as folder:
        os.truncate(left_behind(Path(folder), (0, 10), (10, 15), (20, 21)), length)
        file = opened(Path(folder))
        assert (file.done, file.frontier) == (0, 0)
        file.close()


@patient
@given(place=st.integers(min_value=0, max_value=23), flip=st.integers(min_value=1, max_value=255))
def test_a_map_with_a_wrong_byte_in_its_header_starts_over(place: int, flip: int) -> None:
    with TemporaryDirectory() as folder:
        path = left_behind(Path(folder), (0, 10))
        content = bytearray(path.read_bytes())
        content[SIZE + place] ^= flip
        path.write_bytes(content)
        file = opened(Path(folder))
        assert file.done == 0
        file.close()


def test_a_count_that_is_more_than_its_segment_starts_over(blobs: Path) -> None:
    path = left_behind(blobs, (0, 10))
    content = path.read_bytes()
    path.write_bytes(content[:-8] + (5).to_bytes(8, "little"))  # the last segment has four bytes
    file = opened(blobs)
    assert file.done == 0
    file.close()


def test_a_map_of_another_size_starts_over(blobs: Path) -> None:
    left_behind(blobs, (0, 10))
    file = opened(blobs, SIZE - 1)
    assert list(file.missing()) == [(0, 10), (10, 20), (20, 30), (30, 33)]
    file.close()


def test_a_map_of_other_segments_starts_over(blobs: Path) -> None:
    left_behind(blobs, (0, 10))
    with patch.object(partial, "SEGMENT", 9):  # four of them as well
        file = opened(blobs)
        assert file.done == 0
        file.close()


def test_what_starts_over_forgets_the_content_of_before(blobs: Path) -> None:
    own(blobs).write_bytes(b"\xff" * (SIZE + 7))
    file = opened(blobs)
    assert os.pread(file.handle, SIZE, 0) == bytes(SIZE)
    file.close()


def test_a_file_of_exactly_its_size_is_whole(blobs: Path) -> None:
    own(blobs).write_bytes(CONTENT)
    file = opened(blobs)
    assert (file.done, file.frontier, list(file.missing())) == (SIZE, SIZE, [])
    file.close()


def test_an_empty_blob_is_whole_from_the_start(blobs: Path) -> None:
    file = opened(blobs, 0)
    assert (file.done, file.frontier, list(file.missing())) == (0, 0, [])
    file.close()


def test_a_finished_file_has_its_content_and_no_map(blobs: Path) -> None:
    file = opened(blobs)
    write(file, (0, 10), (10, 20), (20, 30), (30, 34))
    file.finish(str(blobs / ETAG))
    file.close()
    assert (blobs / ETAG).read_bytes() == CONTENT
    assert os.listdir(blobs) == [ETAG]


def test_a_kill_between_cutting_off_the_map_and_the_name_costs_nothing(blobs: Path) -> None:
    path = left_behind(blobs, (0, 10), (10, 20), (20, 30), (30, 34))
    os.truncate(path, SIZE)
    file = opened(blobs)
    assert list(file.missing()) == []
    file.finish(str(blobs / ETAG))
    file.close()
    assert (blobs / ETAG).read_bytes() == CONTENT


def test_a_discarded_file_is_gone(blobs: Path) -> None:
    file = opened(blobs)
    write(file, (0, 10))
    file.discard()
    file.close()
    assert os.listdir(blobs) == []


@pytest.mark.parametrize("end", ["close", "discard", "finish"])
def test_a_write_after_the_end_is_let_go(blobs: Path, end: str) -> None:
    file = opened(blobs)
    if end == "finish":
        file.finish(str(blobs / ETAG))
    elif end == "discard":
        file.discard()
    if end != "close":
        with pytest.raises(LetGo):
            write(file, (0, 10))
    file.close()
    with pytest.raises(LetGo):
        write(file, (0, 10))


def test_a_late_write_does_not_reach_the_file_of_the_next_process(blobs: Path) -> None:
    earlier = opened(blobs)
    earlier.close()
    later = opened(blobs)
    with pytest.raises(LetGo):
        earlier.write(0, b"\xff" * 10)
    assert os.pread(later.handle, 10, 0) == bytes(10)
    assert later.done == 0
    later.close()


@patient
@given(length=st.integers(min_value=1, max_value=2 * SIZE + MAP))
def test_a_foreign_prefix_of_any_length_is_taken_over(length: int) -> None:
    with TemporaryDirectory() as folder:
        foreign(Path(folder), (CONTENT * 4)[:length])
        expected, file = Expected(SIZE), opened(Path(folder))
        for number in range(4):
            expected.take(number, max(0, length - number * SEGMENT))
        expected.check(file, CONTENT)
        file.close()
        again = opened(Path(folder))
        expected.check(again, CONTENT)
        again.close()


def test_an_adopted_prefix_of_the_full_size_is_whole(blobs: Path) -> None:
    foreign(blobs, CONTENT)
    file = opened(blobs)
    assert list(file.missing()) == []
    file.finish(str(blobs / ETAG))
    file.close()
    assert (blobs / ETAG).read_bytes() == CONTENT


def test_the_longest_of_several_foreign_pieces_is_taken(blobs: Path) -> None:
    for length, number in ((3, "00000001"), (13, "00000002"), (7, "00000003")):
        foreign(blobs, CONTENT[:length], number)
    file = opened(blobs)
    assert (file.done, file.frontier) == (13, 13)
    file.close()


def test_the_other_foreign_pieces_go_when_the_blob_is_finished(blobs: Path) -> None:
    for length, number in ((3, "00000001"), (34, "00000002")):
        foreign(blobs, CONTENT[:length], number)
    other = blobs / f"{'f' * 64}.00000001.incomplete"
    other.write_bytes(b"of another blob")
    file = opened(blobs)
    file.finish(str(blobs / ETAG))
    file.close()
    assert sorted(os.listdir(blobs)) == [ETAG, other.name]


def test_the_partial_file_of_an_older_huggingface_hub_is_taken_too(blobs: Path) -> None:
    (blobs / f"{ETAG}.incomplete").write_bytes(CONTENT[:12])
    file = opened(blobs)
    assert file.done == 12
    file.close()


def test_a_foreign_piece_is_not_taken_in_place_of_our_own(blobs: Path) -> None:
    left_behind(blobs, (0, 5))
    path = foreign(blobs, CONTENT[:30])
    file = opened(blobs)
    assert file.done == 5
    assert path.exists()
    file.close()


@pytest.mark.parametrize("name", [f"{'f' * 64}.0123abcd.incomplete", f"{ETAG}x.0123abcd.incomplete", f"x{ETAG}"])
def test_the_piece_of_another_blob_is_not_taken(blobs: Path, name: str) -> None:
    (blobs / name).write_bytes(CONTENT[:12])
    file = opened(blobs)
    assert file.done == 0
    assert (blobs / name).exists()
    file.close()


def test_a_link_in_the_place_of_a_foreign_piece_is_not_taken(blobs: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"\xff" * 12)
    foreign(blobs, b"").unlink()
    (blobs / f"{ETAG}.0123abcd.incomplete").symlink_to(victim)
    file = opened(blobs)
    write(file, (0, 10))
    file.close()
    assert victim.read_bytes() == b"\xff" * 12


def test_a_link_in_the_place_of_our_own_file_is_not_followed(blobs: Path, tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_bytes(b"precious")
    own(blobs).symlink_to(victim)
    with pytest.raises(OSError, match="symbolic links"):
        opened(blobs)
    assert victim.read_bytes() == b"precious"


def test_segments_can_be_written_by_several_threads_at_once(blobs: Path) -> None:
    file = opened(blobs)

    def fill(number: int) -> None:
        for byte in range(number * SEGMENT, min(SIZE, (number + 1) * SEGMENT)):
            write(file, (byte, byte + 1))

    threads = [Thread(target=fill, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert os.pread(file.handle, SIZE, 0) == CONTENT
    assert (file.done, list(file.missing())) == (SIZE, [])
    file.close()


def test_holes_count_for_nothing_when_the_disk_is_planned(blobs: Path) -> None:
    size = 40 * 1024 * 1024
    with patch.object(partial, "SEGMENT", 32 * 1024 * 1024):
        file = opened(blobs, size)
        file.write(32 * 1024 * 1024, bytes(1024 * 1024))
        file.close()
    assert 1024 * 1024 <= bytes_there(str(blobs), ETAG, ()) < 2 * 1024 * 1024


def test_a_blob_without_a_partial_file_has_no_bytes_there(blobs: Path) -> None:
    assert bytes_there(str(blobs), ETAG, ()) == 0
