"""Which hash a file should have, and what is said when it has another."""

from mlxk2.domain.verification import Damage, expectations, reason
from mlxk2.ports.cache import FileFact, LinkState, ListedFile, SnapshotFacts
from mlxk2.ports.verifying import Target
from mlxk2.testing.models import commit_of

NAME = "org/model"
FOLDER = "models--org--model"
COMMIT, OTHER = commit_of(NAME), commit_of(NAME, 2)
GIT, SHA = "a" * 40, "b" * 64
DAY = 86_400.0
DAMAGED = "is damaged: its content does not have its hash"


def facts(*files: FileFact, listing: tuple[ListedFile, ...] | None = None) -> SnapshotFacts:
    return SnapshotFacts(COMMIT, files, listing)


def expected(*files: FileFact, listing: tuple[ListedFile, ...] | None = None) -> list[tuple[str, str, bool]]:
    """(path, hash, whether it is sha256) of every file that can be checked."""
    revision = expectations(FOLDER, facts(*files, listing=listing), {})
    return [(wanted.path, wanted.expected, wanted.target.sha256) for wanted in revision.wanted]


def test_a_blob_should_have_the_hash_that_it_is_named_by() -> None:
    files = (FileFact("a", LinkState.FILE, 1, GIT), FileFact("b", LinkState.FILE, 1, SHA))
    assert expected(*files) == [("a", GIT, False), ("b", SHA, True)]


def test_a_blob_with_another_name_is_held_against_the_listing() -> None:
    file = FileFact("a", LinkState.FILE, 1, "an-etag-of-a-mirror")
    assert expected(file, listing=(ListedFile("a", 1, SHA),)) == [("a", SHA, True)]
    assert expectations(FOLDER, facts(file), {}).unknown == ("a",)


def test_a_real_file_is_held_against_the_listing() -> None:
    file = FileFact("sub/a", LinkState.FILE, 7)
    (wanted,) = expectations(FOLDER, facts(file, listing=(ListedFile("sub/a", 7, GIT),)), {}).wanted
    assert wanted.target == Target(FOLDER, None, COMMIT, "sub/a", 7, sha256=False)
    assert expectations(FOLDER, facts(file, listing=(ListedFile("b", 7, GIT),)), {}).unknown == ("sub/a",)


def test_a_listing_without_a_hash_tells_nothing() -> None:
    file = FileFact("a", LinkState.FILE, 1)
    assert expectations(FOLDER, facts(file, listing=(ListedFile("a", 1, "None"),)), {}).unknown == ("a",)


def test_a_blob_that_the_listing_names_otherwise_should_have_both_hashes() -> None:
    file = FileFact("a", LinkState.FILE, 1, SHA)
    assert expected(file, listing=(ListedFile("a", 1, GIT),)) == [("a", SHA, True), ("a", GIT, False)]


def test_files_whose_bytes_cannot_be_reached_are_broken() -> None:
    states = (LinkState.DANGLING, LinkState.OUTSIDE, LinkState.UNREADABLE, LinkState.NOT_A_FILE)
    revision = expectations(FOLDER, facts(*(FileFact(state.name, state, 0, SHA) for state in states)), {})
    assert (revision.wanted, revision.unknown) == ((), ())
    assert {damage.path: damage.why for damage in revision.broken} == {
        "DANGLING": "is a dangling link",
        "OUTSIDE": "is a link that leaves the model's folder",
        "UNREADABLE": "cannot be read",
        "NOT_A_FILE": "is not a file",
    }


def damage(path: str, commit: str = COMMIT, why: str = "is bad", hash_of: str | None = None) -> Damage:
    return Damage(commit, path, why, hash_of or path)


def test_the_reason_names_three_files_and_counts_the_others() -> None:
    assert reason([damage("a")], COMMIT) == "a is bad"
    assert reason([damage("a"), damage("b")], COMMIT) == "a, b: each is bad"
    assert reason([damage(name) for name in "edcba"], COMMIT) == "a, b, c and 2 more: each is bad"
    assert reason([], COMMIT) is None


def test_the_reason_tells_kinds_of_damage_and_revisions_apart() -> None:
    found = [damage("b", why="cannot be read"), damage("a"), damage("a", OTHER, hash_of="x"), damage("a", OTHER, "odd")]
    assert reason(found, COMMIT) == f"a is bad; b cannot be read; a (revision {OTHER[:12]}) is bad"


def test_a_content_that_revisions_share_is_named_for_the_one_that_stands_for_the_model() -> None:
    assert reason([damage("a", OTHER), damage("a", COMMIT)], COMMIT) == "a is bad"


def test_names_in_the_reason_are_printable() -> None:
    assert reason([damage("a\x1b[2J")], COMMIT) == "a\\x1b[2J is bad"
