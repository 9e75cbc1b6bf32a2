"""The contract of `Hub`: the same answers about the same repos, and the same effects of every change."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from mlxk2.adapters.memory import MemoryRepo
from mlxk2.ports.blobs import blob_name
from mlxk2.ports.errors import Conflict, Gated, NetworkProblem, NotOnHub
from mlxk2.ports.hub import Commit, Hub, HubModel, Transport
from mlxk2.ports.workspace import LocalFile
from mlxk2.testing.files import safetensors

HubOf = Callable[[Mapping[str, MemoryRepo]], Hub]
NAME = "org/model"
CONFIG = b'{"model_type": "llama"}'
WEIGHTS = safetensors(tensors={"weight": 5000})
FILES = {"config.json": CONFIG, "model.safetensors": WEIGHTS, "1_Pooling/config.json": b"{}", "empty.txt": b""}
OLD = {"config.json": b"{}"}


def unheard(text: str) -> None:
    """For whoever does not want to be told."""


def repo(files: Mapping[str, bytes] = FILES, *, private: bool = False, gated: bool = False) -> MemoryRepo:
    """`main` holds the files, and `v1` is a tag with an older state of them."""
    return MemoryRepo({"main": dict(files), "v1": dict(OLD)}, private=private, gated=gated)


def found(name: str, downloads: int, *tags: str) -> tuple[str, MemoryRepo]:
    """A repo to be searched for."""
    return name, MemoryRepo({"main": dict(OLD)}, downloads=downloads, tags=tags)


class HubContract:
    """Subclasses supply `hub_of`: repos by name → a Hub that holds them, for a user who may write to all of them.

    Branches whose name begins with `v` are tags where there is a difference. The user has accepted no terms.
    """

    @pytest.fixture
    def hub_of(self, request: pytest.FixtureRequest) -> HubOf:
        raise NotImplementedError(request)

    @pytest.fixture
    def offline(self, request: pytest.FixtureRequest) -> Hub:
        """The same Hub for somebody who wants no network."""
        raise NotImplementedError(request)

    @pytest.fixture
    def hub(self, hub_of: HubOf) -> Hub:
        """A Hub with one repo."""
        return hub_of({NAME: repo()})

    def test_a_page_is_an_address_that_ends_with_the_name(self, hub: Hub) -> None:
        assert hub.page(NAME).endswith(f"/{NAME}")

    def test_a_model_tells_its_commit_and_its_files_in_order(self, hub: Hub) -> None:
        model = hub.model(NAME, "main", unheard)
        assert model.name == NAME
        assert len(model.commit) == 40
        assert int(model.commit, 16)
        assert [(file.path, file.size) for file in model.files] == [
            (path, len(content)) for path, content in sorted(FILES.items())
        ]

    def test_files_are_named_by_their_hash_and_weights_are_large_files(self, hub: Hub) -> None:
        for file in hub.model(NAME, "main", unheard).files:
            assert file.is_lfs == (file.path == "model.safetensors")
            assert file.etag == blob_name(FILES[file.path], lfs=file.is_lfs)
            assert file.is_lfs or file.blob_id == file.etag

    def test_a_revision_is_a_branch_a_tag_or_a_commit(self, hub: Hub) -> None:
        hub.create_branch(NAME, "next", unheard)
        main, tag, branch = (hub.model(NAME, revision, unheard) for revision in ("main", "v1", "next"))
        assert hub.model(NAME, tag.commit, unheard) == tag
        assert hub.model(NAME, main.commit, unheard) == main
        assert [file.path for file in tag.files] == ["config.json"]
        assert tag.commit != main.commit
        assert branch.files == main.files

    @pytest.mark.parametrize("private", [False, True])
    @pytest.mark.parametrize("gated", [False, True])
    def test_a_model_tells_whether_it_is_private_and_gated(self, hub_of: HubOf, private: bool, gated: bool) -> None:  # noqa: FBT001
        model = hub_of({NAME: repo(private=private, gated=gated)}).model(NAME, "main", unheard)
        assert (model.private, model.gated) == (private, gated)

    def test_a_repo_that_is_not_there_is_not_on_the_hub(self, hub: Hub) -> None:
        with pytest.raises(NotOnHub) as caught:
            hub.model("org/nothing", "main", unheard)
        assert caught.value.missing == "repo"
        with pytest.raises(NotOnHub) as caught:
            hub.check_access("org/nothing", unheard)
        assert caught.value.missing == "repo"

    @pytest.mark.parametrize("revision", ["nothing", "0" * 40])
    def test_a_revision_that_is_not_there_is_told_apart(self, hub: Hub, revision: str) -> None:
        with pytest.raises(NotOnHub, match=revision) as caught:
            hub.model(NAME, revision, unheard)
        assert caught.value.missing == "revision"

    def test_everybody_may_read_what_is_not_gated(self, hub: Hub) -> None:
        hub.check_access(NAME, unheard)

    def test_the_terms_of_a_gated_repo_are_on_its_page(self, hub_of: HubOf) -> None:
        hub = hub_of({NAME: repo(gated=True)})
        with pytest.raises(Gated, match="gated") as caught:
            hub.check_access(NAME, unheard)
        assert caught.value.page == hub.page(NAME)

    @pytest.mark.parametrize("path", ["config.json", "model.safetensors", "1_Pooling/config.json"])
    def test_content_is_read_whole_or_in_ranges(self, hub: Hub, path: str) -> None:
        model = hub.model(NAME, "main", unheard)
        assert _content(hub, model, path) == FILES[path]
        size = len(FILES[path])
        for start, stop in ((0, 1), (1, 2), (0, size - 1), (1, size), (size - 1, size), (size // 2, size)):
            assert _content(hub, model, path, start, stop) == FILES[path][start:stop]

    def test_nothing_is_read_of_an_empty_range(self, hub: Hub) -> None:
        model = hub.model(NAME, "main", unheard)
        assert _content(hub, model, "config.json", 3, 3) == b""
        assert _content(hub, model, "empty.txt") == b""

    def test_content_is_that_of_the_revision(self, hub: Hub) -> None:
        assert _content(hub, hub.model(NAME, "v1", unheard), "config.json") == OLD["config.json"]

    @pytest.fixture
    def searched(self, hub_of: HubOf) -> Hub:
        """A Hub with models to look for."""
        return hub_of(
            dict(
                [
                    found("mlx-community/Tiny-1B-4bit", 10, "mlx"),
                    found("mlx-community/Tiny-7B-4bit", 30, "mlx", "gated"),
                    found("other/tiny-2b", 20, "mlx"),
                    found("other/tiny-gguf", 40, "gguf"),
                    found("mlx-community-fans/tiny", 5, "mlx"),
                    found("org/large", 50, "mlx"),
                ]
            )
        )

    @pytest.mark.parametrize(
        ("words", "author", "tag", "names"),
        [
            ("tiny", "mlx-community", None, ["mlx-community/Tiny-7B-4bit", "mlx-community/Tiny-1B-4bit"]),
            ("TINY-7b", None, None, ["mlx-community/Tiny-7B-4bit"]),
            ("tiny", "other", "mlx", ["other/tiny-2b"]),
            ("tiny", "other", None, ["other/tiny-gguf", "other/tiny-2b"]),
            ("tiny", None, "gguf", ["other/tiny-gguf"]),
            ("tiny", None, "nothing", []),
            ("tiny", "nobody", None, []),
            ("nothing", None, None, []),
            ("large", None, "mlx", ["org/large"]),
        ],
    )
    def test_a_search_is_for_a_part_of_the_name_of_one_author_with_one_tag_most_downloaded_first(
        self, searched: Hub, words: str, author: str | None, tag: str | None, names: list[str]
    ) -> None:
        hits = searched.search(words, author=author, tag=tag, limit=20, notice=unheard)
        assert [hit.name for hit in hits] == names

    def test_several_words_may_stand_anywhere_in_the_name(self, searched: Hub) -> None:
        hits = searched.search("4bit tiny", author=None, tag=None, limit=20, notice=unheard)
        assert [hit.name for hit in hits] == ["mlx-community/Tiny-7B-4bit", "mlx-community/Tiny-1B-4bit"]

    @pytest.mark.parametrize("limit", [1, 3, 5, 20])
    def test_a_search_ends_at_its_limit(self, searched: Hub, limit: int) -> None:
        hits = searched.search("tiny", author=None, tag=None, limit=limit, notice=unheard)
        assert [hit.downloads for hit in hits] == [40, 30, 20, 10, 5][:limit]

    def test_a_hit_tells_what_the_hub_knows(self, hub_of: HubOf) -> None:
        hub = hub_of({NAME: MemoryRepo({"main": dict(FILES)}, gated=True, downloads=7, tags=("mlx", "tiny"))})
        (hit,) = hub.search("model", author=None, tag=None, limit=1, notice=unheard)
        assert (hit.name, hit.downloads, hit.gated) == (NAME, 7, True)
        assert {"mlx", "tiny"} <= set(hit.tags)
        assert hit.size is not None
        assert 20_000 <= hit.size <= len(WEIGHTS)
        assert hit.modified is not None
        assert hit.modified > 1_000_000_000

    def test_the_size_of_a_model_without_weights_is_not_known(self, hub_of: HubOf) -> None:
        (hit,) = hub_of({NAME: repo(OLD)}).search("model", author=None, tag=None, limit=1, notice=unheard)
        assert hit.size is None

    @pytest.mark.parametrize("private", [True, False])
    def test_a_repo_is_made_as_private_as_was_said(self, hub: Hub, private: bool) -> None:  # noqa: FBT001
        hub.create_repo("org/new", private=private, notice=unheard)
        assert hub.model("org/new", "main", unheard).private is private

    def test_a_repo_that_exists_is_left_as_it_is(self, hub: Hub) -> None:
        before = hub.model(NAME, "main", unheard)
        hub.create_repo(NAME, private=True, notice=unheard)
        assert hub.model(NAME, "main", unheard) == before

    def test_a_branch_is_made_from_main_and_left_as_it_is_when_it_exists(self, hub: Hub, tmp_path: Path) -> None:
        hub.create_branch(NAME, "next", unheard)
        branch = hub.model(NAME, "next", unheard)
        assert branch.files == hub.model(NAME, "main", unheard).files
        made = hub.commit(_commit(branch.commit, tmp_path, {"new.txt": b"new"}, branch="next"), unheard)
        hub.create_branch(NAME, "next", unheard)
        assert hub.model(NAME, "next", unheard).commit == made.commit

    def test_a_commit_adds_changes_and_deletes_in_one_step(self, hub: Hub, tmp_path: Path) -> None:
        before = hub.model(NAME, "main", unheard)
        changes = {"config.json": b"[]", "new/model.safetensors": WEIGHTS + b"\0", "notes.txt": b"text"}
        made = hub.commit(_commit(before.commit, tmp_path, changes, ("empty.txt", "model.safetensors")), unheard)
        after = hub.model(NAME, "main", unheard)
        assert after.commit == made.commit != before.commit
        assert made.commit in made.url
        assert made.url.startswith(hub.page(NAME))
        assert {file.path: _content(hub, after, file.path) for file in after.files} == {
            "1_Pooling/config.json": b"{}",
            **changes,
        }

    def test_a_commit_changes_its_branch_and_no_other(self, hub: Hub, tmp_path: Path) -> None:
        hub.create_branch(NAME, "next", unheard)
        before = hub.model(NAME, "main", unheard)
        parent = hub.model(NAME, "next", unheard).commit
        made = hub.commit(_commit(parent, tmp_path, {"new.txt": b"new"}, branch="next"), unheard)
        assert hub.model(NAME, "next", unheard).commit == made.commit
        assert hub.model(NAME, "main", unheard) == before

    def test_a_commit_on_a_head_of_the_past_conflicts_and_changes_nothing(self, hub: Hub, tmp_path: Path) -> None:
        parent = hub.model(NAME, "main", unheard).commit
        hub.commit(_commit(parent, tmp_path, {"first.txt": b"1"}), unheard)
        before = hub.model(NAME, "main", unheard)
        with pytest.raises(Conflict):
            hub.commit(_commit(parent, tmp_path, {"second.txt": b"2"}, ("config.json",)), unheard)
        assert hub.model(NAME, "main", unheard) == before

    def test_the_first_commit_to_a_new_repo_needs_no_parent(self, hub: Hub, tmp_path: Path) -> None:
        hub.create_repo("org/new", private=True, notice=unheard)
        made = hub.commit(_commit(None, tmp_path, {"config.json": CONFIG}, name="org/new"), unheard)
        model = hub.model("org/new", "main", unheard)
        assert model.commit == made.commit
        assert _content(hub, model, "config.json") == CONFIG

    def test_a_commit_to_what_is_not_there_is_refused(self, hub: Hub, tmp_path: Path) -> None:
        parent = hub.model(NAME, "main", unheard).commit
        with pytest.raises(NotOnHub) as caught:
            hub.commit(_commit(parent, tmp_path, {"a.txt": b"a"}, name="org/nothing"), unheard)
        assert caught.value.missing == "repo"
        with pytest.raises(NotOnHub) as caught:
            hub.commit(_commit(parent, tmp_path, {"a.txt": b"a"}, branch="nothing"), unheard)
        assert caught.value.missing == "revision"

    @pytest.mark.parametrize(
        "call",
        [
            lambda hub: hub.model(NAME, "main", unheard),
            lambda hub: hub.check_access(NAME, unheard),
            lambda hub: hub.search("model", author=None, tag=None, limit=1, notice=unheard),
            lambda hub: hub.create_repo(NAME, private=True, notice=unheard),
            lambda hub: hub.create_branch(NAME, "next", unheard),
            lambda hub: hub.commit(Commit(NAME, "main", "message", None, (), ("config.json",)), unheard),
        ],
    )
    def test_offline_every_call_says_so(self, offline: Hub, call: Callable[[Hub], object]) -> None:
        with pytest.raises(NetworkProblem, match=r"[Oo]ffline"):
            call(offline)

    def test_offline_a_page_has_still_an_address(self, offline: Hub) -> None:
        assert offline.page(NAME).endswith(f"/{NAME}")


def _content(hub: Hub, model: HubModel, path: str, start: int = 0, stop: int | None = None) -> bytes:
    file = next(file for file in model.files if file.path == path)
    content = hub.content(model, Transport.HTTP, unheard)
    return b"".join(content.read(file, start, file.size if stop is None else stop))


def _commit(
    parent: str | None,
    folder: Path,
    uploads: Mapping[str, bytes],
    deletions: tuple[str, ...] = (),
    *,
    name: str = NAME,
    branch: str = "main",
) -> Commit:
    """A commit of files that are put below the folder first."""
    files = []
    for path, content in sorted(uploads.items()):
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content)
        files.append(LocalFile(path, str(place), len(content)))
    return Commit(name, branch, "a message", parent, tuple(files), deletions)
