"""Reading by descriptor leaves no trace: when a model was last used is told from when its files were last read."""

import os
from pathlib import Path

import pytest

from mlxk2.adapters.reading import excerpt, read_file
from mlxk2.ports.cache import Ends, Head, LengthPrefixed

LONG_AGO = 1_600_000_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file of this user that was last read long before it was written; an ordinary reader changes that."""
    path = tmp_path / "file"
    path.write_bytes(bytes(64))
    os.utime(path, (LONG_AGO, LONG_AGO + 1))
    path.read_bytes()
    if path.stat().st_atime == LONG_AGO:
        pytest.skip("this file system keeps no account of reading")
    os.utime(path, (LONG_AGO, LONG_AGO + 1))
    return path


@pytest.mark.skipif(not hasattr(os, "O_NOATIME"), reason="this system always takes account of reading")
def test_what_looks_at_a_file_does_not_use_it(file: Path) -> None:
    assert len(read_file(str(file), 100)) == 64
    for reading in (Head(8), Ends(8), LengthPrefixed(8)):
        assert excerpt(str(file), 64, reading)[0]
    assert file.stat().st_atime == LONG_AGO


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_a_file_of_somebody_else_is_read_all_the_same(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tmp_path.chmod(0o755)
    file.chmod(0o644)
    os.chown(file, 12345, 12345)
    monkeypatch.chdir(tmp_path)
    os.seteuid(54321)
    try:
        assert read_file("file", 100) == bytes(64)
    finally:
        os.seteuid(0)
