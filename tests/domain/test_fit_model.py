"""Where `fit` looks for a model, and what it takes from there."""

import json
from dataclasses import replace

import pytest

from mlxk2.adapters.memory import MemoryContent, MemoryHub, MemoryRepo
from mlxk2.adapters.memory.source import source_file
from mlxk2.domain.inspection import Inspector
from mlxk2.domain.usecases.fit_model import FitModel, ModelFit, Place
from mlxk2.ports.errors import (
    AmbiguousMatch,
    DownloadFailed,
    Gated,
    NetworkProblem,
    NotOnHub,
    OperationError,
    ValidationError,
)
from mlxk2.ports.hub import HubModel, Notice, Transport
from mlxk2.ports.sources import SourceFile
from mlxk2.testing import (
    MemoryCache,
    MemoryCatalogue,
    MemoryMachine,
    MemorySource,
    Pathology,
    StoredModel,
    gguf_model,
    healthy_model,
    safetensors,
    sick_model,
    with_files,
    with_listing,
)

CONFIG = {
    "model_type": "llama",
    "max_position_embeddings": 4096,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 8,
    "hidden_size": 16,
    "num_hidden_layers": 4,
}
WEIGHTS = safetensors()
FILES = {
    "README.md": b"never read",
    "config.json": json.dumps(CONFIG).encode(),
    "model.safetensors": WEIGHTS,
    "tokenizer.json": b"never read",
}
DEMO = MemorySource("mlxk2/demo", FILES)


class WatchedHub(MemoryHub):
    """Remembers what was fetched; `damage` takes the place of every content."""

    damage: bytes | None = None

    def __init__(self, repos: dict[str, MemoryRepo], *, is_offline: bool = False) -> None:
        super().__init__(repos, is_offline=is_offline)
        self.contents: list[MemoryContent] = []

    def content(self, model: HubModel, transport: Transport, notice: Notice) -> MemoryContent:
        content = super().content(model, transport, notice)
        if self.damage is not None:
            content.files = dict.fromkeys(content.files, self.damage)
        self.contents.append(content)
        return content


def unheard(text: str) -> None:
    """For whoever does not want to be told."""


def described(files: dict[str, bytes]) -> tuple[SourceFile, ...]:
    return tuple(source_file(path, content) for path, content in sorted(files.items()))


def hub(
    name: str = "org/model", *, config: bytes = FILES["config.json"], gated: bool = False, offline: bool = False
) -> WatchedHub:
    return WatchedHub({name: MemoryRepo({"main": {**FILES, "config.json": config}}, gated=gated)}, is_offline=offline)


def fit(reference: str, *models: StoredModel, on: MemoryHub | None = None, context: int | None = None) -> ModelFit:
    """With a Hub that refuses every call unless there is one `on` which it may be."""
    catalogue, online = MemoryCatalogue(), on or MemoryHub(is_offline=True)
    cache = MemoryCache(models)
    return FitModel(cache, Inspector(cache, catalogue), DEMO, lambda: online, catalogue, MemoryMachine())(
        reference, context, unheard
    )


class TestInTheCache:
    def test_a_model_in_the_cache_needs_no_hub(self) -> None:
        found = fit("tiny", healthy_model())
        assert (found.name, found.place) == ("mlx-community/tiny-4bit", Place.CACHE)
        assert found.needs.weights == len(WEIGHTS)
        assert (found.needs.context_length, found.unhealthy, found.cannot_run) == (2048, None, None)

    @pytest.mark.parametrize(
        ("model", "is_asked"),
        [
            (healthy_model("org/model"), False),
            (with_files(with_listing(healthy_model("org/model", shards=2)), {"config.json": None}), False),
            (with_files(healthy_model("org/model"), {"model.safetensors": None}), True),
        ],
        ids=["healthy", "sizes are recorded", "sizes are not known"],
    )
    def test_the_hub_is_asked_only_for_sizes_of_missing_files_that_nobody_has_recorded(
        self, model: StoredModel, is_asked: bool
    ) -> None:
        asked: list[str] = []

        class Asked(MemoryHub):
            def model(self, name: str, revision: str, notice: Notice) -> HubModel:  # noqa: ARG002
                asked.append(f"{name}@{revision}")
                return HubModel(name, revision, False, False, described(FILES))

        found = fit("model", model, on=Asked({}))
        (commit,) = model.revisions
        assert asked == ([f"org/model@{commit}"] if is_asked else [])
        assert found.place is Place.CACHE
        assert found.needs.weights is not None

    def test_all_shards_count(self) -> None:
        model = healthy_model(shards=3)
        (revision,) = model.revisions.values()
        sizes = [len(file.content) for name, file in revision.files.items() if name.endswith(".safetensors")]
        assert len(sizes) == 3
        assert fit("tiny", model).needs.weights == sum(sizes)

    def test_a_missing_shard_counts_with_the_size_in_the_listing(self) -> None:
        whole = with_listing(healthy_model(shards=2))
        torn = with_files(whole, {"model-00002-of-00002.safetensors": None})
        found = fit("tiny", torn)
        assert found.needs.weights == fit("tiny", whole).needs.weights
        assert found.unhealthy is not None

    def test_a_damaged_model_of_unknown_size_is_to_be_repaired_first(self) -> None:
        with pytest.raises(OperationError, match="repair it with: mlxk2 pull mlx-community/tiny-4bit --repair"):
            fit("tiny", sick_model(Pathology.MISSING_SHARD))

    def test_what_mlx_lm_cannot_load_is_told(self) -> None:
        found = fit("GGUF", gguf_model())
        assert found.needs.weights is None
        assert "safetensors only" in (found.cannot_run or "")

    def test_a_short_name_of_several_models_is_ambiguous(self) -> None:
        with pytest.raises(AmbiguousMatch):
            fit("tiny", healthy_model("org/tiny-a"), healthy_model("org/tiny-b"))

    def test_a_full_name_is_found_in_any_case(self) -> None:
        assert fit("ORG/Tiny", healthy_model("org/tiny")).place is Place.CACHE


class TestOnTheHub:
    def test_only_the_config_is_fetched(self) -> None:
        online = hub()
        found = fit("org/model", on=online)
        assert [read[0] for content in online.contents for read in content.reads] == ["config.json"]
        assert (found.place, found.commit) == (Place.HUB, online.repos["org/model"].commit("main"))
        assert (found.needs.weights, found.needs.context_length) == (len(WEIGHTS), 4096)
        assert found.needs.cost is not None

    def test_it_is_judged_as_the_same_model_in_the_cache(self) -> None:
        cached = fit("org/model", with_files(healthy_model("org/model"), {"config.json": FILES["config.json"]}))
        assert fit("org/model", on=hub()).fit == cached.fit

    def test_a_bare_name_is_one_of_mlx_community(self) -> None:
        assert fit("model", on=hub("mlx-community/model")).name == "mlx-community/model"

    def test_a_full_name_does_not_mean_a_cached_model_that_contains_it(self) -> None:
        found = fit("org/model", healthy_model("org/model-4bit"), healthy_model("org/model-8bit"), on=hub())
        assert (found.name, found.place) == ("org/model", Place.HUB)

    def test_a_branch_and_a_revision_that_is_not_cached_are_asked_for(self) -> None:
        online = hub()
        online.repos["org/model"].branches["dev"] = {**FILES, "model.safetensors": WEIGHTS + b"more"}
        found = fit("org/model@dev", healthy_model("org/model"), on=online)
        assert (found.place, found.needs.weights) == (Place.HUB, len(WEIGHTS) + 4)
        head = online.repos["org/model"].commit("main")
        assert fit(f"org/model@{head}", healthy_model("org/model"), on=online).place is Place.HUB

    def test_a_download_that_has_just_begun_is_looked_at_on_the_hub(self) -> None:
        begun = replace(healthy_model("org/model"), revisions={}, refs={}, partials=(("c0ffee", 12),))
        assert fit("org/model", begun, on=hub()).place is Place.HUB

    def test_an_architecture_that_mlx_lm_does_not_have_is_told(self) -> None:
        config = json.dumps({**CONFIG, "model_type": "other"}).encode()
        found = fit("org/model", on=hub(config=config))
        assert "model_type 'other'" in (found.cannot_run or "")

    def test_code_of_the_models_own_is_told(self) -> None:
        config = json.dumps({**CONFIG, "model_file": "evil.py"}).encode()
        assert "model_file: evil.py" in (fit("org/model", on=hub(config=config)).cannot_run or "")

    def test_a_config_that_cannot_be_read_leaves_the_cost_of_a_context_open(self) -> None:
        found = fit("org/model", on=hub(config=b"[1"))
        assert (found.needs.cost, found.fit.kv) == (None, None)
        assert found.cannot_run is not None

    def test_a_config_that_arrives_damaged_is_told(self) -> None:
        online = hub()
        online.damage = b"{}"
        with pytest.raises(DownloadFailed, match=r"config\.json of 'org/model' arrived damaged"):
            fit("org/model", on=online)

    def test_what_the_hub_refuses_is_told_in_its_words(self) -> None:
        with pytest.raises(NetworkProblem, match="Offline mode"):
            fit("org/model", on=hub(offline=True))
        with pytest.raises(Gated, match="accept its terms"):
            fit("org/model", on=hub(gated=True))
        with pytest.raises(NotOnHub, match="no model 'org/other'"):
            fit("org/other", on=hub())

    @pytest.mark.parametrize("reference", ["", "org/a--b", "../x", "org/model@", "org/model@a b"])
    def test_what_cannot_be_a_name_is_asked_of_nobody(self, reference: str) -> None:
        with pytest.raises(ValidationError):
            fit(reference)


class TestTheDemo:
    def test_it_needs_no_cache_and_no_hub(self) -> None:
        found = fit("demo")
        assert (found.name, found.place, found.needs.weights) == ("mlxk2/demo", Place.PACKAGE, len(WEIGHTS))

    def test_another_revision_than_this_version_has_is_refused(self) -> None:
        assert fit(f"demo@{DEMO.fetch().commit[:8]}").place is Place.PACKAGE
        with pytest.raises(ValidationError, match="not abc"):
            fit("demo@abc")
