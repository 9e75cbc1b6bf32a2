"""Pulling a model, decided on caches and Hubs in memory."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from mlxk2.adapters.memory import MemoryRepo, MemorySource, StoredModel, StoredRevision
from mlxk2.adapters.memory.hub import MemoryHub
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.names import folder_of
from mlxk2.domain.selection import Wanted
from mlxk2.domain.usecases.pull_model import (
    Preflight,
    PullModel,
    PullOptions,
    PullResult,
    PullStatus,
    UpdateCheck,
)
from mlxk2.ports.cache import RepoFacts
from mlxk2.ports.errors import DiskFull, Gated, NetworkProblem, NotOnHub, ValidationError
from mlxk2.ports.transfer import Checked, Delivery, Event, Watch, unwatched
from mlxk2.testing import MemoryCache, MemoryCatalogue, Placement, StoredFile, encoder_model, healthy_model, with_files
from mlxk2.testing.models import stored

NAME = "org/model"
FOLDER = folder_of(NAME)
FILES = {path: file.content for path, file in next(iter(healthy_model(NAME).revisions.values())).files.items()}
ENCODER = {path: file.content for path, file in next(iter(encoder_model().revisions.values())).files.items()}
SIZE = sum(len(content) for content in FILES.values())
COMMIT = MemoryRepo({"main": FILES}).commit("main")
OLD = "a1" * 20
BUNDLED = MemorySource("mlxk2/demo", FILES)
DEMO = BUNDLED.fetch().commit


def unheard(text: str) -> None:
    """For whoever does not want to be told."""


def cached(
    refs: Mapping[str, str], *commits: str, changes: Mapping[str, StoredFile | bytes | None] = {}
) -> StoredModel:
    """The model in the cache, the same files in every revision."""
    revisions = {commit: StoredRevision(stored(FILES), 1_000_000_000.0 + at) for at, commit in enumerate(commits)}
    return with_files(StoredModel(FOLDER, revisions, refs), changes)


WHOLE = cached({"main": COMMIT}, COMMIT)


class BusyAfterwards(MemoryCache):
    """Somebody who has waited for an installation to end takes a lock at that moment."""

    def __init__(self, lock: str) -> None:
        super().__init__()
        self._lock = lock
        self._locks: frozenset[str] = frozenset()

    def install(self, delivery: Delivery, watch: Watch) -> int:
        fetched = super().install(delivery, watch)
        self._locks = frozenset({self._lock})
        return fetched

    def repo(self, folder: str) -> RepoFacts:
        return super().repo(folder)._replace(held_locks=self._locks)


@dataclass
class Setting:
    """A program with one model on the Hub, and what its pulls told."""

    cache: MemoryCache
    hub: MemoryHub

    @property
    def pull(self) -> PullModel:
        return PullModel(self.cache, BUNDLED, self.hub, Inspector(self.cache, MemoryCatalogue()))

    def prepare(self, text: str = NAME, **options: Any) -> Preflight:
        return self.pull.prepare(text, replace(PullOptions(), **options), unheard)

    def __call__(self, text: str = NAME, **options: Any) -> PullResult:
        return self.pull.execute(self.prepare(text, **options), unwatched)

    def check_update(self, text: str = NAME, revision: str | None = None) -> UpdateCheck:
        return self.pull.check_update(text, revision, unheard)


def setting(*models: StoredModel, name: str = NAME, free: int = 10**12, gated: bool = False) -> Setting:
    repo = MemoryRepo({"main": dict(FILES)}, gated=gated)
    return Setting(MemoryCache(models, free_bytes=free), MemoryHub({name: repo}))


def offline(*models: StoredModel) -> Setting:
    return Setting(MemoryCache(models), MemoryHub(is_offline=True))


class TestPulling:
    def test_a_model_comes_whole_and_main_names_it(self) -> None:
        pull = setting()
        assert pull() == PullResult(NAME, COMMIT, PullStatus.SUCCESS, SIZE, len(FILES), len(FILES), None, None, None)
        assert pull.cache.repo(FOLDER).refs == {"main": COMMIT}

    def test_the_preflight_tells_what_will_come_and_writes_nothing(self) -> None:
        pull = setting()
        preflight = pull.prepare()
        assert (preflight.total, preflight.missing, preflight.is_done, preflight.has_work) == (SIZE, SIZE, False, True)
        assert [file.path for file in preflight.files] == sorted(FILES)
        assert pull.cache.folders() == []

    def test_equal_files_count_once(self) -> None:
        pull = setting()
        pull.hub.repos[NAME].branches["main"]["copy.json"] = FILES["config.json"]
        preflight = pull.prepare()
        assert (len(preflight.files), preflight.total) == (len(FILES) + 1, SIZE)

    def test_only_what_is_missing_comes(self) -> None:
        pull = setting(cached({"main": OLD}, OLD, changes={"config.json": b"{}", "README.md": None}))
        preflight = pull.prepare()
        assert preflight.missing == len(FILES["config.json"]) + len(FILES["README.md"])
        assert preflight.total == SIZE
        assert pull().fetched == preflight.missing

    def test_each_file_is_told_as_it_is_checked(self) -> None:
        pull = setting(cached({"main": OLD}, OLD, changes={"config.json": b"{}"}))
        events: list[Event] = []
        pull.pull.execute(pull.prepare(), events.append)
        assert events == [Checked(path, path == "config.json") for path in sorted(FILES)]

    def test_the_revision_that_a_branch_named_before_is_told_and_kept(self) -> None:
        pull = setting(cached({"main": OLD}, OLD))
        assert pull().previous == OLD
        repo = pull.cache.repo(FOLDER)
        assert repo.refs == {"main": COMMIT}
        assert {entry.commit for entry in repo.snapshots} == {OLD, COMMIT}

    def test_a_branch_or_tag_is_named_in_the_cache(self) -> None:
        pull = setting()
        pull.hub.repos[NAME].branches["v1"] = {**FILES, "README.md": b"old"}
        result = pull(f"{NAME}@v1")
        assert pull.cache.repo(FOLDER).refs == {"v1": result.commit}
        assert pull(revision="v1").status is PullStatus.ALREADY_EXISTS

    def test_a_commit_gets_no_ref(self) -> None:
        pull = setting()
        assert pull(revision=COMMIT).commit == COMMIT
        assert pull.cache.repo(FOLDER).refs == {}
        assert pull(f"{NAME}@{COMMIT.upper()}").status is PullStatus.ALREADY_EXISTS

    def test_the_choice_of_files_is_the_users(self) -> None:
        pull = setting()
        pull.hub.repos[NAME].branches["main"]["model.gguf"] = b"GGUF"
        assert "model.gguf" not in [file.path for file in pull.prepare().files]
        assert [file.path for file in pull.prepare(wanted=Wanted(("*.gguf",))).files] == ["model.gguf"]

    def test_files_that_came_are_counted_apart_from_those_that_were_here(self) -> None:
        pull = setting(cached({"main": OLD}, OLD, changes={"config.json": b"{}", "README.md": None}))
        result = pull()
        assert (result.new, result.verified) == (2, len(FILES))

    def test_why_a_model_cannot_be_run_is_told(self) -> None:
        pull = setting()
        pull.hub.repos[NAME].branches["main"] = dict(ENCODER)
        result = pull()
        assert (result.status, result.problem) == (PullStatus.SUCCESS, None)
        assert "no architecture for model_type 'bert'" in (result.cannot_run or "")

    @pytest.mark.parametrize("lock", [f"{COMMIT}.commit", f"{OLD}.commit", "a" * 64])
    def test_a_lock_that_somebody_else_takes_when_the_pull_ends_changes_no_verdict(self, lock: str) -> None:
        pull = Setting(BusyAfterwards(lock), setting().hub)
        result = pull()
        assert (result.status, result.problem, result.cannot_run) == (PullStatus.SUCCESS, None, None)
        assert pull.cache.repo(FOLDER).held_locks == {lock}

    def test_what_health_says_of_a_part_of_a_model_is_told(self) -> None:
        result = setting()(wanted=Wanted(include=("config.json",)))
        assert (result.status, result.verified, result.problem) == (
            PullStatus.SUCCESS,
            1,
            "incomplete: model.safetensors is missing",
        )


class TestNames:
    def test_a_bare_name_means_mlx_community(self) -> None:
        pull = setting(name="mlx-community/tiny")
        preflight = pull.prepare("tiny")
        assert (preflight.reference.typed, preflight.reference.name) == ("tiny", "mlx-community/tiny")
        assert pull("tiny").name == "mlx-community/tiny"
        assert pull.cache.folders() == ["models--mlx-community--tiny"]

    @pytest.mark.parametrize("text", ["mode", "org/mode", "MODEL", "Org/model", "model"])
    def test_a_name_is_never_completed_or_guessed(self, text: str) -> None:
        with pytest.raises(NotOnHub) as caught:
            setting(WHOLE).prepare(text)
        assert caught.value.missing == "repo"

    @pytest.mark.parametrize("text", ["demo", "mlxk2/demo", "demo@main", f"demo@{DEMO}", f"demo@{DEMO[:7].upper()}"])
    def test_the_demo_comes_from_this_package_without_any_network(self, text: str) -> None:
        pull = offline()
        assert pull(text) == PullResult(
            "mlxk2/demo", DEMO, PullStatus.SUCCESS, SIZE, len(FILES), len(FILES), None, None, None
        )
        assert pull.cache.repo("models--mlxk2--demo").refs == {"main": DEMO}

    def test_every_file_of_the_demo_is_looked_at_each_time(self) -> None:
        pull = offline()
        pull("demo")
        assert pull("demo") == PullResult(
            "mlxk2/demo", DEMO, PullStatus.ALREADY_EXISTS, 0, 0, len(FILES), None, None, None
        )

    def test_only_demo_is_the_demo(self) -> None:
        for text in ("Demo", "demo-2", "mlx-community/demo"):
            with pytest.raises(NetworkProblem):
                offline().prepare(text)

    def test_a_revision_that_the_demo_does_not_have_is_refused(self) -> None:
        with pytest.raises(ValidationError, match=f"has revision {DEMO[:12]}, not v7"):
            offline().prepare("demo@v7")

    @pytest.mark.parametrize(
        "text", ["", " ", "org/a--b", "../x", "a/b/c", "m@..", "m@a..b", "m@", "org/../m", "/m", "m@a/../b", "m\0"]
    )
    def test_odd_names_and_revisions_are_refused_before_the_hub_is_asked(self, text: str) -> None:
        with pytest.raises(ValidationError):
            offline().prepare(text)
        with pytest.raises(ValidationError):
            offline().check_update(text)

    def test_two_revisions_are_refused_before_the_hub_is_asked(self) -> None:
        with pytest.raises(ValidationError, match="Two revisions"):
            offline().prepare("org/model@v1", revision="v2")

    def test_a_repo_and_a_revision_that_are_not_there_are_told_apart(self) -> None:
        for text, missing in (("org/nothing", "repo"), (f"{NAME}@nothing", "revision")):
            with pytest.raises(NotOnHub) as caught:
                setting().prepare(text)
            assert caught.value.missing == missing

    def test_a_short_hash_of_a_cached_revision_stands_for_it(self) -> None:
        pull = setting(WHOLE)
        for length in (3, 7, 39):
            preflight = pull.prepare(f"{NAME}@{COMMIT[:length].upper()}")
            assert (preflight.reference.revision, preflight.is_done) == (COMMIT, True)

    @pytest.mark.parametrize("model", [WHOLE, cached({}, COMMIT, COMMIT[:20] + "0" * 20)])
    def test_a_short_hash_of_no_or_several_cached_revisions_is_for_the_hub_to_say(self, model: StoredModel) -> None:
        pull = setting(model)
        for short in ("fff0", COMMIT[:2]) if model is WHOLE else (COMMIT[:7],):
            with pytest.raises(NotOnHub, match=f"no revision '{short}'"):
                pull.prepare(f"{NAME}@{short}")


class TestNothingToDo:
    def test_a_healthy_model_under_its_name_is_left_alone(self) -> None:
        pull = setting(WHOLE)
        preflight = pull.prepare()
        assert (preflight.has_work, preflight.missing, preflight.previous) == (False, 0, None)
        assert pull() == PullResult(NAME, COMMIT, PullStatus.ALREADY_EXISTS, 0, 0, 0, None, None, None)

    @pytest.mark.parametrize(
        "model",
        [
            cached({}, COMMIT),
            cached({"v1": COMMIT}, COMMIT),
            cached({"main": OLD}, COMMIT, OLD),
            cached({"main": COMMIT}, OLD),
            cached({"main": COMMIT}, COMMIT, changes={"model.safetensors": None}),
            cached({"main": COMMIT}, COMMIT, changes={"model.safetensors": b"\0" * len(FILES["model.safetensors"])}),
            cached({"main": COMMIT}, COMMIT, changes={"config.json": b"[1]"}),
            cached({"main": COMMIT}, COMMIT, changes={"README.md": None}),
            cached({"main": COMMIT}, COMMIT, changes={"README.md": FILES["README.md"] + b"\n"}),
            cached(
                {"main": COMMIT},
                COMMIT,
                changes={"README.md": StoredFile(FILES["README.md"], placement=Placement.DANGLING)},
            ),
        ],
        ids=[
            *("no ref", "another ref", "the ref names another commit", "no snapshot", "no weights", "broken weights"),
            *("broken config", "a file is missing", "a file has another size", "a link leads nowhere"),
        ],
    )
    def test_anything_less_is_pulled_and_then_left_alone(self, model: StoredModel) -> None:
        pull = setting(model)
        assert not pull.prepare().is_done
        assert pull().status is PullStatus.SUCCESS
        assert pull.cache.repo(FOLDER).refs["main"] == COMMIT
        assert pull().status is PullStatus.ALREADY_EXISTS

    def test_files_that_were_not_chosen_before_are_pulled_now(self) -> None:
        pull = setting()
        pull.hub.repos[NAME].branches["main"]["model.gguf"] = b"GGUF"
        assert pull().verified == len(FILES)
        assert pull().status is PullStatus.ALREADY_EXISTS
        assert pull(wanted=Wanted(all_files=True)).fetched == 4
        assert pull(wanted=Wanted(all_files=True)).status is PullStatus.ALREADY_EXISTS

    def test_a_ref_is_made_without_fetching_what_is_here(self) -> None:
        pull = setting(cached({}, COMMIT))
        assert pull().fetched == 0
        assert pull.cache.repo(FOLDER).refs == {"main": COMMIT}

    def test_a_repair_looks_at_every_file_of_a_model_that_looks_whole(self) -> None:
        pull = setting(WHOLE)
        events: list[Event] = []
        preflight = pull.prepare(repair=True)
        result = pull.pull.execute(preflight, events.append)
        assert (preflight.is_done, preflight.has_work) == (True, True)
        assert result == PullResult(NAME, COMMIT, PullStatus.ALREADY_EXISTS, 0, 0, len(FILES), None, None, None)
        assert events == [Checked(path, fetched=False) for path in sorted(FILES)]

    def test_a_repair_of_a_model_that_is_not_whole_pulls_what_is_missing(self) -> None:
        pull = setting(cached({"main": COMMIT}, COMMIT, changes={"README.md": None}))
        result = pull(repair=True)
        assert (result.status, result.fetched, result.verified) == (
            PullStatus.SUCCESS,
            len(FILES["README.md"]),
            len(FILES),
        )


class TestDisk:
    def test_a_disk_without_room_is_told_with_both_numbers_before_anything_is_written(self) -> None:
        pull = setting(free=100)
        with pytest.raises(DiskFull) as caught:
            pull.prepare()
        assert caught.value.message == (
            f"'{NAME}' needs {SIZE} B more on the disk of the cache, which has 100 B left; free some space (mlxk2 rm),"
            " or move the cache with HF_HUB_CACHE"
        )
        assert pull.cache.folders() == []

    def test_room_for_what_is_missing_is_enough(self) -> None:
        model = cached({"main": OLD}, OLD, changes={"README.md": None})
        missing = len(FILES["README.md"])
        assert setting(model, free=missing)().fetched == missing
        with pytest.raises(DiskFull):
            setting(model, free=missing - 1).prepare()

    def test_a_model_that_is_here_needs_no_room(self) -> None:
        assert setting(WHOLE, free=0)().status is PullStatus.ALREADY_EXISTS


class TestGated:
    def test_terms_that_are_not_accepted_are_told_before_anything_is_written(self) -> None:
        pull = setting(gated=True)
        with pytest.raises(Gated, match=f"accept its terms at {pull.hub.page(NAME)}"):
            pull.prepare()
        with pytest.raises(Gated):
            pull.check_update()
        assert pull.cache.folders() == []


class TestOffline:
    def test_a_healthy_cached_revision_is_good_news(self) -> None:
        with pytest.raises(NetworkProblem) as caught:
            offline(WHOLE).prepare()
        assert caught.value.message == (
            f"Offline mode is on. Revision {COMMIT[:12]} of it is in the cache and healthy, and can be used"
        )

    @pytest.mark.parametrize("text", [f"{NAME}@{COMMIT}", f"{NAME}@{COMMIT[:7]}", f"{NAME}@{COMMIT.upper()}"])
    @pytest.mark.parametrize("refs", [{}, {"main": COMMIT}, {"main": OLD}], ids=["no ref", "its ref", "another ref"])
    def test_a_healthy_cached_commit_is_good_news_to_who_asks_for_it(self, text: str, refs: dict[str, str]) -> None:
        with pytest.raises(NetworkProblem) as caught:
            offline(cached(refs, COMMIT, OLD)).prepare(text)
        assert caught.value.message == (
            f"Offline mode is on. Revision {COMMIT[:12]} of it is in the cache and healthy, and can be used"
        )

    @pytest.mark.parametrize(
        ("model", "text"),
        [
            (cached({"main": COMMIT}, COMMIT, changes={"model.safetensors": None}), NAME),
            (cached({}, COMMIT, changes={"model.safetensors": None}), f"{NAME}@{COMMIT}"),
            (WHOLE, f"{NAME}@v1"),
            (WHOLE, f"{NAME}@{OLD}"),
            (WHOLE, f"{NAME}@fff0"),
            (WHOLE, "org/other"),
            (cached({}), NAME),
        ],
        ids=[
            *("unhealthy", "an unhealthy commit", "another revision is wanted", "another commit is wanted"),
            *("the beginning of another commit", "another model", "no revision"),
        ],
    )
    def test_nothing_is_promised_of_any_other(self, model: StoredModel, text: str) -> None:
        with pytest.raises(NetworkProblem) as caught:
            offline(model).prepare(text)
        assert caught.value.message == "Offline mode is on"

    def test_it_is_told_when_updates_are_checked_too(self) -> None:
        with pytest.raises(NetworkProblem) as caught:
            offline(WHOLE).check_update()
        assert caught.value.message.endswith("in the cache and healthy, and can be used")


class TestUpdates:
    @pytest.mark.parametrize(
        ("model", "revision", "here"),
        [
            (None, None, None),
            (WHOLE, None, COMMIT),
            (cached({"main": OLD}, OLD), None, OLD),
            (cached({"main": OLD}, OLD, COMMIT), None, OLD),
            (cached({}, OLD), None, OLD),
            (cached({"v1": OLD}, OLD), None, OLD),
            (cached({"main": OLD}), None, None),
            (WHOLE, "main", COMMIT),
            (cached({"main": OLD}, OLD), "main", OLD),
            (cached({"v1": OLD}, OLD), "v1", OLD),
            (cached({"main": OLD}, OLD), "v1", None),
            (cached({}, OLD), "main", None),
            (cached({}, COMMIT), COMMIT, COMMIT),
            (cached({}, COMMIT), COMMIT[:7], COMMIT),
            (cached({"main": OLD}, OLD), COMMIT, None),
        ],
    )
    def test_the_cached_commit_is_held_against_that_of_the_hub(
        self, model: StoredModel | None, revision: str | None, here: str | None
    ) -> None:
        pull = setting(*([model] if model else []))
        pull.hub.repos[NAME].branches["v1"] = dict(FILES)
        before = pull.cache.folders()
        check = pull.check_update(revision=revision)
        assert check == UpdateCheck(NAME, here, COMMIT)
        assert check.available is (here != COMMIT)
        assert pull.cache.folders() == before

    def test_a_revision_stands_for_the_model_when_the_one_that_main_names_is_not_here(self) -> None:
        assert setting(cached({"main": "b2" * 20}, OLD)).check_update() == UpdateCheck(NAME, OLD, COMMIT)

    def test_the_demo_is_held_against_the_one_of_this_package(self) -> None:
        pull = offline()
        assert pull.check_update("demo") == UpdateCheck("mlxk2/demo", None, DEMO)
        pull("demo")
        assert not pull.check_update("demo").available
