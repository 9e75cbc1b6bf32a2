"""The contract of `ModelSource`: complete files, named by the hashes of what they hold."""

import pytest

from mlxk2.ports.blobs import blob_name
from mlxk2.ports.sources import ModelSource


class SourceContract:
    """Subclasses supply `source`."""

    @pytest.fixture
    def source(self, request: pytest.FixtureRequest) -> ModelSource:
        raise NotImplementedError(request)

    def test_every_file_is_named_by_the_hash_of_its_content(self, source: ModelSource) -> None:
        model = source.fetch()
        assert model.files
        for file in model.files:
            content = b"".join(model.content.read(file, 0, file.size))
            assert (len(content), blob_name(content, lfs=file.is_lfs)) == (file.size, file.etag)

    def test_a_part_of_a_file_can_be_read(self, source: ModelSource) -> None:
        model = source.fetch()
        file = next(file for file in model.files if file.path == "model.safetensors")
        whole = b"".join(model.content.read(file, 0, file.size))
        assert b"".join(model.content.read(file, 3, 10)) == whole[3:10]

    def test_weights_are_large_files_and_configs_are_not(self, source: ModelSource) -> None:
        kinds = {file.path: file.is_lfs for file in source.fetch().files}
        assert kinds["model.safetensors"]
        assert not kinds["config.json"]

    def test_an_engine_finds_it_at_one_place(self, source: ModelSource) -> None:
        assert source.location()
        assert source.location() == source.location()

    def test_the_commit_depends_on_the_files_alone(self, source: ModelSource) -> None:
        first, second = source.fetch(), source.fetch()
        assert first.commit == second.commit
        assert len(first.commit) == 40
        assert int(first.commit, 16) > 0
