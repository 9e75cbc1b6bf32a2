"""`verify` on caches in memory: what is read, what is said, and what is remembered."""

from dataclasses import replace

from mlxk2.adapters.memory import MemoryCache, MemoryCatalogue, MemoryClock, MemoryHasher, StoredFile, StoredModel
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.usecases.verify_models import Found, Planned, VerifiedModel, VerifyModels, VerifyReport
from mlxk2.ports.verifying import Event, Target
from mlxk2.testing import Pathology, Placement, healthy_model, sick_model, with_files, with_listing
from mlxk2.testing.models import commit_of

NAME = "org/model"
COMMIT, OTHER = commit_of(NAME), commit_of(NAME, 2)
DAY = 86_400.0
MONTH = 30 * DAY
DAMAGED = "is damaged: its content does not have its hash"
GOOD = healthy_model(NAME)
FILES = len(GOOD.revisions[COMMIT].files)
SIZE = sum(len(file.content) for file in GOOD.revisions[COMMIT].files.values())


class Desk:
    """The use case on some models, with everything that it tells."""

    def __init__(self, *models: StoredModel) -> None:
        self.cache = MemoryCache(models)
        self.hasher = MemoryHasher(self.cache)
        self.clock = MemoryClock()
        self.events: list[Planned | Event | Found] = []
        inspector = Inspector(self.cache, MemoryCatalogue())
        self._verify = VerifyModels(self.cache, inspector, self.hasher, self.clock)

    def verify(self, pattern: str | None = None, max_age: float | None = MONTH) -> VerifyReport:
        self.events.clear()
        self.hasher.reads.clear()
        return self._verify(pattern, max_age, self.events.append)

    def one(self, pattern: str | None = None) -> VerifiedModel:
        (model,) = self.verify(pattern).models
        return model

    @property
    def read(self) -> set[str]:
        return {target.path for target in self.hasher.reads}

    @property
    def found(self) -> list[tuple[str, str]]:
        return [(event.name, event.damage.path) for event in self.events if isinstance(event, Found)]


def flipped(model: StoredModel, path: str, commit: str | None = None) -> StoredModel:
    """The model with one bit of a file wrong, where nothing but its hash can tell; in every revision, or in one."""
    file = model.revisions[commit or COMMIT].files[path]
    wrong = bytes([*file.content[:-2], file.content[-2] ^ 1, file.content[-1]])
    changed = replace(file, content=wrong, named=file.etag)
    revisions = {
        key: replace(revision, files={**revision.files, path: changed}) if commit in (None, key) else revision
        for key, revision in model.revisions.items()
    }
    return replace(model, revisions=revisions)


def with_old_revision(model: StoredModel) -> StoredModel:
    """A second, older revision that differs in its README."""
    revision = model.revisions[COMMIT]
    old = replace(revision, files={**revision.files, "README.md": StoredFile(b"# the old text\n")}, modified=1.0)
    return replace(model, revisions={COMMIT: revision, OTHER: old})


def test_every_content_of_a_model_is_read_once() -> None:
    desk = Desk(with_files(GOOD, {"copy.json": GOOD.revisions[COMMIT].files["config.json"]}))
    model = desk.one()
    assert model.summary.health.healthy
    assert (model.commits, model.unknown, model.damages) == ((COMMIT,), (), ())
    assert (len(desk.hasher.reads), model.files, model.size) == (FILES, FILES, SIZE)


def test_a_flipped_bit_makes_a_model_unhealthy_and_both_hashes_are_told() -> None:
    desk = Desk(flipped(GOOD, "model.safetensors"), healthy_model("org/other"))
    report = desk.verify()
    (model,) = report.unhealthy
    file = GOOD.revisions[COMMIT].files["model.safetensors"]
    assert model.summary.name == NAME
    assert model.summary.health.reason == f"model.safetensors {DAMAGED}"
    (damage,) = model.damages
    assert (damage.commit, damage.path, damage.expected) == (COMMIT, "model.safetensors", file.etag)
    assert damage.found not in (None, file.etag)
    assert [other.summary.name for other in report.healthy] == ["org/other"]
    assert desk.found == [(NAME, "model.safetensors")]


def test_damage_comes_before_what_health_says_anyway() -> None:
    model = flipped(with_files(GOOD, {"config.json": b"[1]  "}), "model.safetensors")
    assert Desk(model).one().summary.health.reason == f"model.safetensors {DAMAGED}"


def test_what_health_says_stays_when_the_content_is_right() -> None:
    reason = Desk(sick_model(Pathology.MISSING_SHARD, NAME)).one().summary.health.reason
    assert reason == "incomplete: 1 of 2 shards missing: model-00002-of-00002.safetensors"


def test_a_model_is_all_its_revisions() -> None:
    model = flipped(with_old_revision(GOOD), "README.md", OTHER)
    verified = Desk(model).one()
    assert verified.commits == (COMMIT, OTHER)
    assert verified.summary.health.reason == f"README.md (revision {OTHER[:12]}) {DAMAGED}"


def test_a_hash_chooses_one_revision() -> None:
    desk = Desk(flipped(with_old_revision(GOOD), "README.md", OTHER))
    assert desk.one(f"{NAME}@{COMMIT[:8]}").summary.health.healthy
    bad = desk.one(f"{NAME}@{OTHER[:8]}")
    assert (bad.commits, bad.summary.health.reason) == ((OTHER,), f"README.md {DAMAGED}")
    assert desk.verify(f"{NAME}@{'0' * 8}").models == ()


def test_a_dangling_link_of_another_revision_is_told() -> None:
    model = with_old_revision(GOOD)
    old = model.revisions[OTHER]
    gone = replace(old.files["README.md"], placement=Placement.DANGLING)
    broken = replace(model, revisions={**model.revisions, OTHER: replace(old, files={**old.files, "README.md": gone})})
    assert Desk(broken).one().summary.health.reason == f"README.md (revision {OTHER[:12]}) is a dangling link"


def test_real_files_are_held_against_the_listing_and_cannot_be_checked_without() -> None:
    files = {path: replace(file, placement=Placement.PLAIN) for path, file in GOOD.revisions[COMMIT].files.items()}
    plain = with_files(GOOD, files)
    unlisted = Desk(plain).one()
    assert (unlisted.files, len(unlisted.unknown), unlisted.summary.health.healthy) == (0, FILES, True)
    listed = Desk(with_listing(plain)).one()
    assert (listed.files, listed.size, listed.unknown) == (FILES, SIZE, ())
    listing = with_listing(plain).revisions[COMMIT].listing
    wrong = flipped(plain, "model.safetensors")
    changed = replace(wrong, revisions={COMMIT: replace(wrong.revisions[COMMIT], listing=listing)})
    assert Desk(changed).one().summary.health.reason == f"model.safetensors {DAMAGED}"


def test_a_link_to_the_blob_of_another_file_is_found_by_the_listing() -> None:
    files = GOOD.revisions[COMMIT].files
    listed = with_listing(GOOD).revisions[COMMIT].listing
    swapped = with_files(GOOD, {"README.md": files["config.json"]})
    model = replace(swapped, revisions={COMMIT: replace(swapped.revisions[COMMIT], listing=listed)})
    reason = Desk(model).one().summary.health.reason
    assert reason == "README.md is not the file that the commit has under this name"


def test_the_second_time_nothing_is_read() -> None:
    desk = Desk(flipped(GOOD, "model.safetensors"))
    first, second = desk.verify(), desk.verify()
    assert (first.read, second.read, desk.read) == (SIZE, 0, set())
    assert first.models == second.models


def test_after_its_time_a_file_is_read_again() -> None:
    desk = Desk(GOOD)
    desk.verify()
    desk.clock.advance(MONTH - 1)
    assert desk.verify().read == 0
    desk.clock.advance(2)
    assert desk.verify().read == SIZE
    assert desk.verify().read == 0


def test_bit_rot_shows_after_its_time() -> None:
    desk = Desk(GOOD)
    desk.verify()
    desk.cache.put(GOOD.folder, flipped(GOOD, "model.safetensors"))
    assert desk.one().summary.health.healthy
    desk.clock.advance(MONTH + 1)
    assert desk.one().summary.health.reason == f"model.safetensors {DAMAGED}"


def test_everything_is_read_again_when_that_is_asked_for() -> None:
    desk = Desk(GOOD)
    desk.verify()
    assert desk.verify(max_age=None).read == SIZE


def test_a_pattern_chooses_models() -> None:
    desk = Desk(GOOD, healthy_model("other/thing"))
    assert [model.summary.name for model in desk.verify("MODEL").models] == [NAME]
    assert desk.verify("nothing").models == ()
    assert desk.hasher.reads == []


def test_what_is_planned_is_told_first() -> None:
    desk = Desk(with_old_revision(GOOD))
    desk.verify()
    assert desk.events[0] == Planned(1, FILES + 1, SIZE + len(b"# the old text\n"))


def test_a_file_that_goes_away_meanwhile_is_told() -> None:
    desk = Desk(GOOD)

    class Vanishing(MemoryHasher):
        def _content(self, target: Target) -> bytes | None:
            return None if target.path == "README.md" else super()._content(target)

    inspector = Inspector(desk.cache, MemoryCatalogue())
    report = VerifyModels(desk.cache, inspector, Vanishing(desk.cache), desk.clock)(None, MONTH, desk.events.append)
    assert report.models[0].summary.health.reason == "README.md was deleted while it was checked"
