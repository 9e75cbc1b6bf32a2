"""From references to models and snapshots."""

import pytest

from mlxk2.domain.names import parse_reference
from mlxk2.domain.resolution import choose_commit, find_commit, matching_names, resolve_name
from mlxk2.ports.cache import RepoFacts, SnapshotEntry
from mlxk2.ports.errors import AmbiguousMatch, ModelNotFound

NAMES = ("mlx-community/phi-3", "mlx-community/phi-3-mini", "org/phi", "phi", "Org/Qwen", "mlx-community/llama")
OLD, NEW = "a" * 40, "b" * 40


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("org/phi", "org/phi"),
        ("phi", "phi"),
        ("phi-3", "mlx-community/phi-3"),
        ("QWEN", "Org/Qwen"),
        ("lam", "mlx-community/llama"),
        ("phi-3-m", "mlx-community/phi-3-mini"),
    ],
)
def test_the_first_step_that_hits_decides(text: str, name: str) -> None:
    assert resolve_name(parse_reference(text), NAMES) == name


def test_several_hits_at_the_deciding_step_are_ambiguous_and_sorted() -> None:
    with pytest.raises(AmbiguousMatch) as caught:
        resolve_name(parse_reference("community/PHI"), tuple(reversed(NAMES)))
    assert caught.value.matches == ("mlx-community/phi-3", "mlx-community/phi-3-mini")


def test_of_many_matches_the_message_names_the_first_and_the_error_all() -> None:
    names = tuple(f"org/model-{number:02}" for number in range(30))
    with pytest.raises(AmbiguousMatch) as caught:
        resolve_name(parse_reference("model"), names)
    assert caught.value.matches == names
    assert caught.value.message.endswith("org/model-07 and 22 more")


def test_no_hit_says_what_to_do_next() -> None:
    with pytest.raises(ModelNotFound, match="mlxk2 list --all"):
        resolve_name(parse_reference("nothing"), NAMES)
    with pytest.raises(ModelNotFound, match="mlxk2 pull demo"):
        resolve_name(parse_reference("demo"), (*NAMES, "mlxk2/demo-mine"))


def test_a_pattern_matches_any_part_of_the_name_in_any_case() -> None:
    assert matching_names("COMMUNITY/l", NAMES) == ["mlx-community/llama"]
    assert matching_names(None, NAMES) == list(NAMES)


def repo(refs: dict[str, str], *snapshots: tuple[str, float]) -> RepoFacts:
    return RepoFacts("models--org--m", refs, tuple(SnapshotEntry(*snapshot) for snapshot in snapshots), {})


def test_main_decides_which_snapshot_stands_for_the_model() -> None:
    assert choose_commit(repo({"main": OLD}, (OLD, 1.0), (NEW, 2.0))) == OLD


def test_without_main_the_newest_snapshot_stands_for_the_model() -> None:
    assert choose_commit(repo({}, (OLD, 1.0), (NEW, 2.0))) == NEW
    assert choose_commit(repo({"main": "c" * 40}, (OLD, 3.0), (NEW, 2.0))) == OLD
    assert choose_commit(repo({"main": OLD})) is None


def test_a_hash_prefix_selects_the_snapshot_that_starts_with_it() -> None:
    two = repo({}, (OLD, 1.0), (NEW, 2.0))
    assert find_commit(two, "org/m", "bbb") == NEW


def test_a_hash_prefix_of_several_snapshots_is_ambiguous() -> None:
    similar = "a" * 39 + "b"
    with pytest.raises(AmbiguousMatch) as caught:
        find_commit(repo({}, (OLD, 1.0), (similar, 2.0)), "org/m", "aaa")
    assert caught.value.available_hashes == (OLD, similar)


def test_an_unknown_hash_names_those_that_are_there() -> None:
    with pytest.raises(ModelNotFound, match="aaaaaaaaaaaa"):
        find_commit(repo({}, (OLD, 1.0)), "org/m", "ccc")
    with pytest.raises(ModelNotFound, match="it has none"):
        find_commit(repo({}), "org/m", "ccc")
