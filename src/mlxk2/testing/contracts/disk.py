"""The contract of `CacheDisk`: every file once, the same bytes under one identity, whatever cache it looks at."""

from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from mlxk2.adapters.memory import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.ports.disk import SHARED_STORE, CacheDisk, DiskFile
from mlxk2.testing.models import commit_of

DiskOf = Callable[[Iterable[StoredModel]], CacheDisk]
FOLDER, OTHER = "models--org--model", "models--org--other"
FIRST, SECOND = commit_of("org/model", 1), commit_of("org/model", 2)


def a_model(placement: Placement, folder: str = FOLDER, content: bytes = b"12345") -> StoredModel:
    """Two revisions with the same file."""
    revision = StoredRevision({"model.safetensors": StoredFile(content, lfs=True, placement=placement)})
    return StoredModel(folder, {FIRST: revision, SECOND: revision}, {"main": FIRST})


class DiskContract:
    """Subclasses supply the fixture `disk_of`: models → the disk of a cache that holds them."""

    @pytest.fixture
    def disk_of(self, request: pytest.FixtureRequest) -> DiskOf:
        raise NotImplementedError(request)

    def test_a_blob_is_one_file_whatever_number_of_links_leads_to_it(self, disk_of: DiskOf) -> None:
        model = a_model(Placement.BLOB)
        etag = model.revisions[FIRST].files["model.safetensors"].etag
        (blob,) = self._in_blobs(disk_of([model]), FOLDER)
        assert (blob.path, blob.size, blob.names) == (f"blobs/{etag}", 5, 1)
        assert (blob.is_link, blob.is_partial) == (False, False)

    def test_a_ref_is_a_file_too(self, disk_of: DiskOf) -> None:
        files = {file.path: file.size for file in self._files(disk_of([a_model(Placement.BLOB)])) if file.size}
        assert files["refs/main"] == 40
        assert len(files) == 2

    def test_blobs_of_the_shared_store_are_the_file_that_they_lead_to(self, disk_of: DiskOf) -> None:
        disk = disk_of([a_model(Placement.SHARED), a_model(Placement.SHARED, OTHER)])
        (mine,), (others,) = self._in_blobs(disk, FOLDER), self._in_blobs(disk, OTHER)
        (payload,) = [file for file in self._files(disk) if file.folder == SHARED_STORE and file.size == 5]
        assert mine.identity == others.identity == payload.identity
        assert (mine.size, mine.is_link, payload.is_link) == (5, True, False)

    def test_files_of_a_snapshot_without_links_are_files_of_their_own(self, disk_of: DiskOf) -> None:
        files = [file for file in self._files(disk_of([a_model(Placement.PLAIN)])) if file.size == 5]
        assert {file.path for file in files} == {f"snapshots/{each}/model.safetensors" for each in (FIRST, SECOND)}
        assert len({file.identity for file in files}) == 2

    def test_an_unfinished_download_is_told_as_one(self, disk_of: DiskOf) -> None:
        model = replace(a_model(Placement.BLOB), partials=(("f" * 64, 7),))
        (partial,) = [file for file in self._files(disk_of([model])) if file.is_partial]
        assert (partial.folder, partial.size) == (FOLDER, 7)
        assert partial.path.startswith(f"blobs/{'f' * 64}.")

    @pytest.mark.parametrize(
        "placement", [Placement.DANGLING, Placement.SHARED_DANGLING, Placement.OUTSIDE, Placement.OUTSIDE_BLOB]
    )
    def test_a_link_to_nothing_or_out_of_the_cache_takes_no_space(self, disk_of: DiskOf, placement: Placement) -> None:
        files = self._files(disk_of([a_model(placement)]))
        assert sum(file.size for file in files if not file.path.endswith(".refs")) == 40 + self._marker(files)

    def test_an_empty_cache_has_no_files(self, disk_of: DiskOf) -> None:
        assert self._files(disk_of([])) == []

    @staticmethod
    def _files(disk: CacheDisk) -> list[DiskFile]:
        missed: list[str] = []
        files = list(disk.files(missed.append))
        assert missed == []
        return files

    @classmethod
    def _in_blobs(cls, disk: CacheDisk, folder: str) -> list[DiskFile]:
        return [file for file in cls._files(disk) if file.folder == folder and file.path.startswith("blobs/")]

    @staticmethod
    def _marker(files: Iterable[DiskFile]) -> int:
        """Bytes of the file that says that there is a shared store."""
        return sum(file.size for file in files if file.folder == SHARED_STORE and "/" not in file.path)
