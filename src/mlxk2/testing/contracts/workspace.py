"""The contract of `Workspace`: a folder's files as they are, and nothing that could not be uploaded."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from mlxk2.adapters.memory import Placement, StoredFile
from mlxk2.ports.cache import Ends, FileFact, Head, LengthPrefixed, LinkState, Reading
from mlxk2.ports.errors import AccessProblem, ValidationError
from mlxk2.ports.workspace import Listing, LocalFile, Workspace
from mlxk2.testing.contracts.reading import ends_of, reader_of
from mlxk2.testing.disk import write_cache
from mlxk2.testing.files import safetensors
from mlxk2.testing.models import healthy_model, with_files

_LARGEST_PIECE = 1_000_000


def everywhere(folder: str, names: frozenset[str]) -> bool:  # noqa: ARG001 - the port's shape
    """Enters every folder."""
    return True


class WorkspaceContract:
    """Subclasses supply `workspace`; the folder that is read is the test's own."""

    @pytest.fixture
    def workspace(self, request: pytest.FixtureRequest) -> Workspace:
        raise NotImplementedError(request)

    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        """A folder with two files, one of them in a sub-folder."""
        folder = tmp_path / "model"
        (folder / "sub" / "deep").mkdir(parents=True)
        (folder / "config.json").write_bytes(b"{}")
        (folder / "sub" / "deep" / "notes.txt").write_bytes(b"text")
        return folder

    def test_files_are_listed_by_path_with_their_sizes_whatever_their_names(
        self, workspace: Workspace, folder: Path
    ) -> None:
        for name in ("model.safetensors", ".hidden", "Z", "a b", "caf\u00e9.txt", "sub.txt"):
            (folder / name).write_bytes(name.encode())
        listing = workspace.listing(str(folder), everywhere)
        assert [(file.path, file.size) for file in listing.files] == [
            (".hidden", 7),
            ("Z", 1),
            ("a b", 3),
            ("caf\u00e9.txt", 9),
            ("config.json", 2),
            ("model.safetensors", 17),
            ("sub.txt", 7),
            ("sub/deep/notes.txt", 4),
        ]
        assert listing.odd == ()

    def test_a_file_is_where_its_location_says(self, workspace: Workspace, folder: Path) -> None:
        contents = {file.path: Path(file.location).read_bytes() for file in self._files(workspace, folder)}
        assert contents == {"config.json": b"{}", "sub/deep/notes.txt": b"text"}

    def test_an_empty_folder_has_no_files(self, workspace: Workspace, tmp_path: Path) -> None:
        assert workspace.listing(str(tmp_path), everywhere) == Listing((), (), (), {})

    @pytest.mark.parametrize(("name", "words"), [("nothing", "does not exist"), ("config.json", "is not a folder")])
    def test_what_is_no_folder_is_refused(self, workspace: Workspace, folder: Path, name: str, words: str) -> None:
        with pytest.raises(ValidationError, match=words):
            workspace.listing(str(folder / name), everywhere)

    def test_every_sub_folder_is_asked_about_with_the_names_in_it(self, workspace: Workspace, folder: Path) -> None:
        asked: dict[str, frozenset[str]] = {}

        def enter(path: str, names: frozenset[str]) -> bool:
            asked[path] = names
            return True

        workspace.listing(str(folder), enter)
        assert asked == {"sub/": frozenset({"deep"}), "sub/deep/": frozenset({"notes.txt"})}

    def test_a_folder_that_is_not_entered_is_left_out_with_all_below_it(
        self, workspace: Workspace, folder: Path
    ) -> None:
        asked: list[str] = []

        def enter(path: str, names: frozenset[str]) -> bool:  # noqa: ARG001 - the port's shape
            asked.append(path)
            return False

        listing = workspace.listing(str(folder), enter)
        assert [file.path for file in listing.files] == ["config.json"]
        assert asked == ["sub/"]

    def test_links_to_files_of_the_folder_are_followed_and_told_with_what_they_lead_to(
        self, workspace: Workspace, folder: Path
    ) -> None:
        (folder / "sub" / "blob").write_bytes(b"a blob elsewhere")
        (folder / "model.safetensors").symlink_to("sub/blob")
        (folder / "sub" / "deep" / "hop").symlink_to(folder / "model.safetensors")
        (folder / "round").symlink_to("../model/config.json")
        listing = workspace.listing(str(folder), everywhere)
        files = {file.path: file for file in listing.files}
        for path in ("model.safetensors", "sub/deep/hop"):
            assert files[path].size == 16
            assert b"".join(workspace.pieces(files[path])) == b"a blob elsewhere"
        assert listing.targets == {
            "model.safetensors": "sub/blob",
            "sub/deep/hop": "sub/blob",
            "round": "config.json",
        }
        assert (listing.odd, listing.outside) == ((), ())

    def test_links_to_files_outside_the_folder_are_left_out_and_named(
        self, workspace: Workspace, folder: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "key").write_bytes(b"of somebody else")
        (tmp_path / "model-2").mkdir()
        (tmp_path / "model-2" / "config.json").write_bytes(b"of another model")
        (folder / "sub" / "absolute").symlink_to(tmp_path / "key")
        (folder / "relative").symlink_to("../key")
        (folder / "hop").symlink_to("relative")
        (folder / "beginning-alike").symlink_to(tmp_path / "model-2" / "config.json")
        (folder / "through").symlink_to(tmp_path / "model-2")
        listing = workspace.listing(str(folder), everywhere)
        assert listing.outside == ("beginning-alike", "hop", "relative", "sub/absolute")
        assert listing.odd == ("through",)
        assert [file.path for file in listing.files] == ["config.json", "sub/deep/notes.txt"]
        assert listing.targets == {}

    @pytest.mark.parametrize("through_a_link", [False, True])
    def test_the_files_of_a_snapshot_in_the_cache_are_ordinary_ones(
        self, workspace: Workspace, tmp_path: Path, *, through_a_link: bool
    ) -> None:
        shared = StoredFile(safetensors(), lfs=True, placement=Placement.SHARED)
        model = with_files(healthy_model("org/model"), {"model.safetensors": shared, "sub/x.json": b"{}"})
        root = write_cache(tmp_path / "hub", [model])
        (commit,) = model.revisions
        snapshot = root / model.folder / "snapshots" / commit
        if through_a_link:
            (tmp_path / "link").symlink_to(snapshot)
        listing = workspace.listing(str(tmp_path / "link" if through_a_link else snapshot), everywhere)
        contents = {file.path: b"".join(workspace.pieces(file)) for file in listing.files}
        assert contents == {path: file.content for path, file in model.revisions[commit].files.items()}
        assert (listing.odd, listing.outside) == ((), ())

    def test_a_snapshot_in_the_cache_may_not_lead_anywhere_else_either(
        self, workspace: Workspace, tmp_path: Path
    ) -> None:
        model, other = healthy_model("org/model"), healthy_model("org/other", files={"notes.txt": b"of another model"})
        root = write_cache(tmp_path / "hub", [model, other])
        (snapshot,) = (root / model.folder / "snapshots").iterdir()
        (tmp_path / "key").write_bytes(b"of somebody else")
        (snapshot / "from-home").symlink_to(tmp_path / "key")
        (snapshot / "from-the-cache").symlink_to(root / model.folder / "refs" / "main")
        (theirs,) = (root / other.folder / "snapshots").iterdir()
        (snapshot / "from-another-model").symlink_to((theirs / "notes.txt").resolve())
        assert workspace.listing(str(snapshot), everywhere).outside == (
            "from-another-model",
            "from-home",
            "from-the-cache",
        )

    @pytest.mark.parametrize(
        ("blobs", "snapshot"),
        [("blobs", "snapshots/main"), ("model/blobs", "model/snapshots/main"), ("models--a/blobs", "models--a/main")],
    )
    def test_a_folder_that_only_resembles_a_snapshot_is_none(
        self, workspace: Workspace, tmp_path: Path, blobs: str, snapshot: str
    ) -> None:
        for path in (blobs, snapshot):
            (tmp_path / path).mkdir(parents=True)
        (tmp_path / blobs / "etag").write_bytes(b"{}")
        (tmp_path / snapshot / "config.json").symlink_to(tmp_path / blobs / "etag")
        listing = workspace.listing(str(tmp_path / snapshot), everywhere)
        assert (listing.files, listing.outside) == ((), ("config.json",))

    def test_what_cannot_be_uploaded_is_reported(self, workspace: Workspace, folder: Path, tmp_path: Path) -> None:
        (folder / "to-folder").symlink_to(folder / "sub")
        (folder / "to-outside").symlink_to(tmp_path)
        (folder / "to-nothing").symlink_to("nothing")
        (folder / "to-itself").symlink_to("to-itself")
        os.mkfifo(folder / "sub" / "pipe")
        listing = workspace.listing(str(folder), everywhere)
        assert listing.odd == ("sub/pipe", "to-folder", "to-itself", "to-nothing", "to-outside")
        assert [file.path for file in listing.files] == ["config.json", "sub/deep/notes.txt"]

    def test_a_folder_may_be_reached_through_a_link(self, workspace: Workspace, folder: Path, tmp_path: Path) -> None:
        (tmp_path / "link").symlink_to(folder)
        assert [file.path for file in self._files(workspace, tmp_path / "link")] == [
            "config.json",
            "sub/deep/notes.txt",
        ]

    def test_a_text_file_is_read_whole(self, workspace: Workspace, folder: Path) -> None:
        (folder / ".hfignore").write_text("*.log\ncaf\u00e9\n", encoding="utf-8")
        assert workspace.text(str(folder), ".hfignore") == "*.log\ncaf\u00e9\n"

    def test_a_text_file_that_is_not_there_is_none(self, workspace: Workspace, folder: Path) -> None:
        assert workspace.text(str(folder), ".hfignore") is None
        assert workspace.text(str(folder / "nothing"), ".hfignore") is None

    def test_bytes_that_are_no_text_do_not_hinder(self, workspace: Workspace, folder: Path) -> None:
        (folder / ".hfignore").write_bytes(b"*.log\n\xff\n")
        text = workspace.text(str(folder), ".hfignore")
        assert text is not None
        assert text.startswith("*.log\n")

    @pytest.mark.parametrize(
        "make",
        [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("nothing"), lambda path: path.symlink_to("sub")],
        ids=["a folder", "a pipe", "a link to nothing", "a link to a folder"],
    )
    def test_what_stands_in_the_place_of_a_text_file_is_refused(
        self, workspace: Workspace, folder: Path, make: Callable[[Path], None]
    ) -> None:
        make(folder / ".hfignore")
        with pytest.raises(ValidationError, match=r"\.hfignore is not a file; take it away or make it one"):
            workspace.text(str(folder), ".hfignore")

    @pytest.mark.parametrize("size", [0, 1, 262_144, 262_145, 1_000_003])
    def test_the_content_comes_in_pieces(self, workspace: Workspace, folder: Path, size: int) -> None:
        content = bytes(range(251)) * (size // 251 + 1)
        (folder / "config.json").write_bytes(content[:size])
        pieces = list(workspace.pieces(self._files(workspace, folder)[0]))
        assert b"".join(pieces) == content[:size]
        assert all(0 < len(piece) <= _LARGEST_PIECE for piece in pieces)

    def test_a_file_that_went_away_meanwhile_is_an_access_problem(self, workspace: Workspace, folder: Path) -> None:
        file = self._files(workspace, folder)[0]
        Path(file.location).unlink()
        with pytest.raises(AccessProblem, match=r"config\.json"):
            list(workspace.pieces(file))

    def test_a_file_that_became_a_folder_meanwhile_is_an_access_problem(
        self, workspace: Workspace, folder: Path
    ) -> None:
        file = self._files(workspace, folder)[0]
        Path(file.location).unlink()
        Path(file.location).mkdir()
        with pytest.raises(AccessProblem, match=r"config\.json"):
            list(workspace.pieces(file))

    @pytest.mark.parametrize(
        ("reading", "head", "tail"),
        [
            (Head(3), b"012", b""),
            (Head(99), b"0123456789", b""),
            (Ends(4), b"0123", b"6789"),
            (Ends(99), b"0123456789", b"0123456789"),
            (None, b"", b""),
        ],
    )
    def test_a_probe_decides_what_is_read_for_the_rules_of_health(
        self, workspace: Workspace, folder: Path, reading: Reading | None, head: bytes, tail: bytes
    ) -> None:
        (folder / "config.json").write_bytes(b"0123456789")
        files = self._files(workspace, folder)[:1]
        (fact,) = workspace.facts(files, reader_of(lambda *_: reading))
        assert fact[:4] == ("config.json", LinkState.FILE, 10, None)
        assert ends_of(fact) == (head, tail)

    def test_a_length_prefix_is_followed(self, workspace: Workspace, folder: Path) -> None:
        content = safetensors()
        (folder / "config.json").write_bytes(content)
        (fact,) = workspace.facts(self._files(workspace, folder)[:1], reader_of(lambda *_: LengthPrefixed(1000)))
        assert ends_of(fact)[0] == content[: 8 + int.from_bytes(content[:8], "little")]

    def test_an_empty_file_is_not_probed(self, workspace: Workspace, folder: Path) -> None:
        (folder / "config.json").write_bytes(b"")
        asked: list[str] = []
        facts = workspace.facts(self._files(workspace, folder), reader_of(lambda path, _: asked.append(path)))
        assert asked == ["sub/deep/notes.txt"]
        assert facts[0] == FileFact("config.json", LinkState.FILE, 0)

    def test_a_file_that_cannot_be_read_is_a_fact(self, workspace: Workspace, folder: Path) -> None:
        files = self._files(workspace, folder)[:1]
        Path(files[0].location).unlink()
        assert workspace.facts(files, reader_of(lambda *_: Head(2))) == (
            FileFact("config.json", LinkState.UNREADABLE, 2),
        )

    @staticmethod
    def _files(workspace: Workspace, folder: Path) -> tuple[LocalFile, ...]:
        return workspace.listing(str(folder), everywhere).files
