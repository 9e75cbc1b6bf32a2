"""The workspace contract, on a folder of this machine."""

import os
import sys
from pathlib import Path

import pytest

from mlxk2.adapters.workspace import FolderWorkspace
from mlxk2.testing.contracts import WorkspaceContract
from mlxk2.testing.contracts.workspace import everywhere


class TestFolderWorkspace(WorkspaceContract):
    @pytest.fixture
    def workspace(self) -> FolderWorkspace:
        return FolderWorkspace()

    def test_a_folder_can_be_named_relative_to_the_current_one(
        self, workspace: FolderWorkspace, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(folder.parent)
        for name in ("model", "model/", "./model", "model/sub/.."):
            listing = workspace.listing(name, everywhere)
            assert [file.path for file in listing.files] == ["config.json", "sub/deep/notes.txt"]
            assert all(os.path.isfile(file.location) for file in listing.files)

    @pytest.mark.skipif(sys.platform == "darwin", reason="file names are text there")
    def test_a_name_that_is_no_text_is_listed_too(self, workspace: FolderWorkspace, folder: Path) -> None:
        (folder / "odd\udcff").write_bytes(b"12345")
        listing = workspace.listing(str(folder), everywhere)
        assert ("odd\udcff", 5) in [(file.path, file.size) for file in listing.files]
