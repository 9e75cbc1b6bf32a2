"""Which model a client means, and which ones a server offers, allows and pins."""

from dataclasses import replace

import pytest

from mlxk2.adapters.memory import MemoryCache, StoredModel
from mlxk2.domain.near import near_names
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.ports.cache import Removal
from mlxk2.ports.errors import AmbiguousMatch, Mlxk2Error, ModelNotFound, OperationError, ValidationError
from mlxk2.testing import Pathology, encoder_model, gguf_model, sick_model, with_files
from mlxk2.testing.files import document
from mlxk2.testing.models import CONFIG
from tests.domain.serving import TWO_MODELS, Bench, tiny


def refusal(bench: Bench, reference: str) -> Mlxk2Error:
    """The same for whoever looks it up and whoever wants it."""
    with pytest.raises(Mlxk2Error) as caught:
        bench.models.find(reference)
    assert str(bench.want(reference).error) == str(caught.value)
    assert bench.loader.loaded == []
    return caught.value


def two_revisions(name: str) -> StoredModel:
    """The first one is what `main` names."""
    model = tiny(name)
    (first, revision), *_ = model.revisions.items()
    assert not first.startswith("ddd")
    return replace(model, revisions={first: revision, "d" * 40: replace(revision, modified=1_800_000_000.0)})


def test_every_healthy_model_that_generates_text_and_runs_here_is_offered() -> None:
    bench = Bench(
        tiny("org/b"),
        tiny("org/a"),
        encoder_model(),
        gguf_model(),
        sick_model(Pathology.TRUNCATED_SHARD, "org/sick"),
    )
    offers = bench.models.offers()
    assert [offer.name for offer in offers] == ["org/a", "org/b"]
    assert (offers[0].model_type, offers[0].capabilities) == ("chat", ("text-generation", "chat"))
    assert (offers[0].context_length, offers[0].created, offers[0].state) == (64, 1_700_000_000, "unloaded")


def test_an_offer_tells_whether_the_model_is_loaded() -> None:
    bench = Bench()
    bench.want("org/b")
    bench.ask("org/c")
    bench.background.step()
    assert [offer.state for offer in bench.models.offers()] == ["unloaded", "loaded", "loading"]
    assert bench.models.find("b").state == "loaded"


def test_a_name_that_means_nothing_is_answered_with_similar_ones_and_how_to_get_it() -> None:
    bench = Bench(tiny("mlx-community/Qwen3-4B-4bit"), tiny("mlx-community/gemma-3-1b-it"))
    error = refusal(bench, "mlx-community/qwen-4b-4bit")
    assert isinstance(error, ModelNotFound)
    assert error.message == (
        "No model in the cache matches 'mlx-community/qwen-4b-4bit'; did you mean mlx-community/Qwen3-4B-4bit? See what"
        " is there with: mlxk2 list --all, or download it with: mlxk2 pull mlx-community/qwen-4b-4bit"
    )


def test_without_similar_names_the_next_step_is_told() -> None:
    assert refusal(Bench(), "nothing-like-it").message == (
        "No model in the cache matches 'nothing-like-it'; see what is there with: mlxk2 list --all, or download it"
        " with: mlxk2 pull nothing-like-it"
    )


def test_the_demo_model_that_is_not_there_is_not_replaced_by_another_one() -> None:
    assert "mlxk2 pull demo" in refusal(Bench(tiny("org/demo-2")), "demo").message


def test_near_names_may_miss_the_organisation_and_are_few() -> None:
    names = ["org/llama-3-8b", "other/llama-3-8b", "org/llama-3-70b", "org/mistral", "org/llama-3-8x"]
    assert near_names("LLAMA-3-8B", names)[0] in names[:2]
    assert near_names("wrong/mistral", names) == ["org/mistral"]
    assert len(near_names("org/llama-3-8", names)) == 3
    assert near_names("zzz", names) == []


@pytest.mark.parametrize(
    ("reference", "kind"),
    [
        ("org", AmbiguousMatch),
        ("", ValidationError),
        ("../../etc/passwd", ValidationError),
        ("org/a@xyz", ValidationError),
        ("org/a@0000", ModelNotFound),
    ],
)
def test_a_reference_that_names_no_single_snapshot_is_refused(reference: str, kind: type[Mlxk2Error]) -> None:
    assert type(refusal(Bench(), reference)) is kind


def test_a_very_long_reference_is_not_repeated() -> None:
    error = refusal(Bench(), "org/a@" + "a" * 10**6)
    assert type(error) is ValidationError
    assert error.message == "The model reference has 1000006 characters: it may have at most 137"


def test_what_is_no_reference_is_refused_without_any_work() -> None:
    bench = Bench()
    assert bench.ask("../../etc/passwd").has_ended
    assert bench.background.is_empty


def test_a_revision_that_is_not_there_is_answered_with_those_that_are() -> None:
    assert "cached revisions: " in refusal(Bench(), "org/a@0000").message


def test_an_unhealthy_model_is_not_served() -> None:
    error = refusal(Bench(sick_model(Pathology.TRUNCATED_SHARD, "org/sick")), "org/sick")
    assert type(error) is OperationError
    assert "repair it with: mlxk2 pull org/sick --repair" in error.message


def test_a_model_that_generates_no_text_is_not_served() -> None:
    error = refusal(Bench(encoder_model()), "tiny-encoder")
    assert error.message == (
        "'mlx-community/tiny-encoder' generates no text (its type is embedding), and this server only generates text;"
        " ask for another model"
    )


def test_a_model_that_mlx_lm_cannot_load_is_not_served() -> None:
    assert "GGUF" in refusal(Bench(gguf_model("org/gguf")), "org/gguf").message


def test_a_model_that_brings_its_own_code_is_not_served() -> None:
    code = with_files(tiny("org/code"), {"config.json": document({**CONFIG, "model_file": "evil.py"})})
    assert "the model's own code" in refusal(Bench(code), "org/code").message


def test_a_revision_is_loaded_beside_the_one_that_the_name_stands_for() -> None:
    bench = Bench(two_revisions("org/a"))
    main, other = bench.want("org/a").lease, bench.want("org/a@ddd").lease
    assert main.engine is not other.engine
    assert other.offer.commit == "d" * 40
    bench.models.unload("org/a@ddd", force=True)
    bench.background.run()
    assert [status.offer.commit for status in bench.models.status().models] == [main.offer.commit]


def test_what_happens_to_the_cache_is_seen_after_two_seconds() -> None:
    bench = Bench(tiny("org/a"))
    bench.want("org/a").lease.release()
    bench.cache.remove(Removal("models--org--a", (), (), (), 0))
    assert bench.models.find("org/a").state == "loaded"
    bench.clock.advance(2)
    assert isinstance(bench.want("org/a").error, ModelNotFound)


def test_the_offers_are_read_anew_after_two_seconds() -> None:
    bench = Bench(tiny("org/a"))
    assert len(bench.models.offers()) == 1
    bench.cache.remove(Removal("models--org--a", (), (), (), 0))
    assert len(bench.models.offers()) == 1
    bench.clock.advance(2)
    assert bench.models.offers() == []


def test_only_allowed_models_are_offered_and_asked_for() -> None:
    bench = Bench(limits=ServeLimits(allowed=("a", "org/b")))
    assert [offer.name for offer in bench.models.offers()] == ["org/a", "org/b"]
    assert bench.want("a").lease.offer.name == "org/a"
    bench = Bench(limits=ServeLimits(allowed=("a", "org/b")))
    error = refusal(bench, "zzz")
    assert isinstance(error, ModelNotFound)
    assert error.message == "This server does not offer 'zzz'; it offers a, org/b"
    assert refusal(bench, "org/aa").message == "This server does not offer 'org/aa'; did you mean org/a?"
    assert isinstance(refusal(bench, "org/c"), ModelNotFound)


def test_names_mean_what_they_mean_among_the_allowed_models() -> None:
    bench = Bench(limits=ServeLimits(allowed=("org/b",)))
    assert bench.models.find("org").name == "org/b"


def test_a_revision_may_be_allowed_alone() -> None:
    bench = Bench(two_revisions("org/a"), limits=ServeLimits(allowed=("org/a@ddd",)))
    assert bench.models.find("org/a@dddd").commit == "d" * 40
    assert "does not offer that revision of 'org/a'; it offers org/a@ddd" in refusal(bench, "org/a").message
    assert bench.models.offers() == []


@pytest.mark.parametrize("limits", [ServeLimits(allowed=("org/x",)), ServeLimits(pinned=("org/x",))])
def test_a_server_whose_own_models_are_not_there_does_not_start(limits: ServeLimits) -> None:
    with pytest.raises(ModelNotFound, match="org/x"):
        Bench(limits=limits)


def test_a_pinned_model_is_not_evicted_by_whatever_name_it_is_asked_for() -> None:
    bench = Bench(limits=ServeLimits(TWO_MODELS, pinned=("a",)))
    bench.want("org/a").lease.release()
    bench.want("org/b").lease.release()
    bench.want("org/c").lease.release()
    assert [status.offer.name for status in bench.models.status().models] == ["org/a", "org/c"]


def test_to_be_pinned_does_not_load_a_model() -> None:
    bench = Bench(limits=ServeLimits(pinned=("org/a",)))
    bench.background.run()
    assert bench.loader.loaded == []


def test_a_pin_follows_the_name_to_its_new_revision() -> None:
    bench = Bench(two_revisions("org/a"), limits=ServeLimits(pinned=("org/a",)))
    bench.want("org/a").lease.release()
    bench.want("org/a@ddd").lease.release()
    assert [status.pinned for status in bench.models.status().models] == [True, False]
    point_main_at(bench.cache, "d" * 40)
    bench.clock.advance(2)
    bench.want("org/a").lease.release()
    assert [status.pinned for status in bench.models.status().models] == [False, True]


def point_main_at(cache: MemoryCache, commit: str) -> None:
    """As a pull of an update does."""
    cache._models = {folder: replace(model, refs={"main": commit}) for folder, model in cache._models.items()}
