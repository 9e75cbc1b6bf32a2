"""Searching, on Hubs in memory."""

from collections.abc import Mapping

import pytest

from mlxk2.adapters.memory import MemoryHub, MemoryRepo
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.usecases.search_models import Hit, SearchModels
from mlxk2.ports.errors import NetworkProblem, ValidationError
from mlxk2.testing import MemoryCache, MemoryCatalogue, MemoryMachine, StoredModel, healthy_model


def unheard(text: str) -> None:
    """For whoever does not want to be told."""


def repo(
    downloads: int, *, weights: int | None = None, tags: tuple[str, ...] = ("mlx",), gated: bool = False
) -> MemoryRepo:
    files = {} if weights is None else {"model.safetensors": bytes(weights)}
    return MemoryRepo({"main": files}, downloads=downloads, tags=tags, gated=gated)


REPOS = {
    "other/tiny-a": repo(900),
    "mlx-community/tiny-1": repo(10),
    "mlx-community/tiny-2": repo(50),
    "other/tiny-b": repo(1000),
    "other/tiny-torch": repo(5000, tags=("pytorch",)),
    "mlx-community/large": repo(99),
    "mlx-community/tiny-untagged": repo(1, tags=()),
}


def search(
    *words: str,
    repos: Mapping[str, MemoryRepo] = REPOS,
    limit: int = 20,
    everything: bool = False,
    memory: int | None = 16 * 10**9,
    models: tuple[StoredModel, ...] = (),
) -> list[Hit]:
    inspector = Inspector(MemoryCache(models), MemoryCatalogue())
    searching = SearchModels(MemoryHub(repos), inspector, MemoryMachine(memory))
    return searching(list(words), limit=limit, all_libraries=everything, notice=unheard)


def names(hits: list[Hit]) -> list[str]:
    return [hit.model.name for hit in hits]


MLX_COMMUNITY = ["mlx-community/tiny-2", "mlx-community/tiny-1", "mlx-community/tiny-untagged"]


def test_mlx_community_comes_first_then_others_for_mlx_each_by_downloads() -> None:
    assert names(search("tiny")) == [*MLX_COMMUNITY, "other/tiny-b", "other/tiny-a"]


def test_all_are_those_that_are_not_made_for_mlx_too() -> None:
    assert names(search("tiny", everything=True)) == [
        *MLX_COMMUNITY,
        "other/tiny-torch",
        "other/tiny-b",
        "other/tiny-a",
    ]


@pytest.mark.parametrize("limit", range(1, 7))
def test_the_limit_cuts_from_behind(limit: int) -> None:
    assert names(search("tiny", limit=limit)) == [*MLX_COMMUNITY, "other/tiny-b", "other/tiny-a"][:limit]


@pytest.mark.parametrize("limit", [0, -1, 501])
def test_a_limit_out_of_range_is_refused(limit: int) -> None:
    with pytest.raises(ValidationError, match=f"--limit {limit} is out of range: it must be from 1 to 500"):
        search("tiny", limit=limit)


@pytest.mark.parametrize("words", [(), ("",), (" ", "\t")])
def test_nothing_to_look_for_is_refused(words: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="Nothing to look for"):
        search(*words)


def test_nothing_found_is_an_empty_answer() -> None:
    assert search("nothing") == []


@pytest.mark.parametrize(
    ("weights", "memory", "fits"),
    [(680, 1000, True), (690, 1000, False), (None, 1000, None), (680, None, None)],
)
def test_a_hit_tells_whether_its_weights_fit_into_the_memory(
    weights: int | None, memory: int | None, fits: bool | None
) -> None:
    (hit,) = search("m", repos={"org/m": repo(1, weights=weights)}, memory=memory)
    assert (hit.model.size, hit.fits) == (weights, fits)


def test_a_hit_tells_whether_it_is_in_the_cache() -> None:
    hits = search("tiny", models=(healthy_model("mlx-community/tiny-1"), healthy_model("other/tiny")))
    assert [hit.model.name for hit in hits if hit.cached] == ["mlx-community/tiny-1"]


def test_a_hit_tells_whether_it_is_gated() -> None:
    (hit,) = search("m", repos={"org/m": repo(1, gated=True)})
    assert hit.model.gated


def test_without_network_nothing_is_found_out() -> None:
    searching = SearchModels(MemoryHub(is_offline=True), Inspector(MemoryCache(), MemoryCatalogue()), MemoryMachine())
    with pytest.raises(NetworkProblem):
        searching(["tiny"], limit=20, all_libraries=False, notice=unheard)
