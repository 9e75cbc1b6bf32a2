"""`list`, `show` and `health` on a real cache: the JSON contract and the words for people."""

import json
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from mlxk2.adapters.memory import MemoryCache, MemoryClock, Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.testing import (
    Pathology,
    Run,
    encoder_model,
    gguf_model,
    healthy_model,
    memory_program,
    pytorch_model,
    safetensors,
    sick_model,
    with_files,
)
from mlxk2.testing.models import commit_of, stored
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

MODEL_KEYS = [
    *("name", "hash", "size_bytes", "last_modified", "framework", "model_type", "capabilities", "health"),
    *("runtime_compatible", "reason", "cached"),
]
STRICT_KEYS = [key for key in MODEL_KEYS if key not in ("runtime_compatible", "reason")]
GOOD = healthy_model("mlx-community/good-4bit")
BAD = sick_model(Pathology.MISSING_SHARD, "mlx-community/bad-4bit")


def data(run: Any) -> Any:
    document = json.loads(run.out)
    assert document["status"] == "success"
    assert document["error"] is None
    assert run.err == ""
    return document["data"]


def test_an_empty_cache_is_a_success(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    assert data(cli("list", "--json")) == {"models": [], "count": 0}
    run = cli("list")
    assert (run.code, run.out) == (0, "")
    place = f"No model in the cache ({model_cache.root})"
    assert run.err == f"{place}; get the demo: mlxk2 pull demo, or find one: mlxk2 search qwen\n"
    assert model_cache.root.exists()


def test_a_cache_that_does_not_exist_is_an_empty_one(cli: CommandLine) -> None:
    assert data(cli("list", "--json")) == {"models": [], "count": 0}
    assert data(cli("health", "--json"))["summary"]["total"] == 0


def test_a_model_object_has_exactly_the_published_keys(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD)
    (model,) = data(cli("list", "--json"))["models"]
    assert list(model) == MODEL_KEYS
    assert model == {
        "name": "mlx-community/good-4bit",
        "hash": commit_of("mlx-community/good-4bit"),
        "size_bytes": 481,
        "last_modified": "2023-11-14T22:13:20Z",
        "framework": "MLX",
        "model_type": "chat",
        "capabilities": ["text-generation", "chat"],
        "health": "healthy",
        "runtime_compatible": True,
        "reason": None,
        "cached": True,
    }


def test_the_first_published_form_is_still_there(
    cli: CommandLine, model_cache: ModelCacheOnDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    model_cache.add(GOOD)
    assert list(data(cli("list", "--json", "--json-spec", "0.1.3"))["models"][0]) == STRICT_KEYS
    assert list(data(cli("--json-spec", "0.1.3", "show", "good", "--json"))["model"]) == STRICT_KEYS
    monkeypatch.setenv("MLXK2_JSON_SPEC", "0.1.3")
    assert list(data(cli("list", "--json"))["models"][0]) == STRICT_KEYS
    assert list(data(cli("list", "--json", "--json-spec", "0.2.3"))["models"][0]) == MODEL_KEYS


def test_json_lists_every_framework_and_people_see_mlx_first(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD, gguf_model(), pytorch_model(), encoder_model())
    assert data(cli("list", "--json"))["count"] == 4
    run = cli("list")
    assert [line.split()[0] for line in run.out.splitlines()] == ["NAME", "good-4bit", "tiny-encoder"]
    assert "2 models of other frameworks or without weights not shown" in run.err
    assert "tiny-GGUF" in cli("list", "--all").out


def test_a_pattern_is_a_part_of_the_name_in_any_case(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD, BAD)
    assert [model["name"] for model in data(cli("list", "GOOD", "--json"))["models"]] == ["mlx-community/good-4bit"]
    assert data(cli("list", "nothing", "--json")) == {"models": [], "count": 0}
    assert "matches 'nothing'" in cli("list", "nothing").err


def test_one_broken_model_never_hides_the_others(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    sick = [sick_model(pathology, f"org/{pathology.name.lower()}") for pathology in Pathology]
    model_cache.add(GOOD, *sick)
    rows = {model["name"]: model for model in data(cli("list", "--json"))["models"]}
    assert len(rows) == len(sick) + 1
    assert rows["mlx-community/good-4bit"]["health"] == "healthy"
    broken = [row for name, row in rows.items() if name != "mlx-community/good-4bit"]
    assert all(row["health"] == "unhealthy" and row["reason"] for row in broken)


def test_health_and_list_and_show_agree(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    sick = [sick_model(pathology, f"org/{pathology.name.lower()}") for pathology in Pathology]
    model_cache.add(GOOD, *sick)
    listed = {model["name"]: (model["health"], model["reason"]) for model in data(cli("list", "--json"))["models"]}
    report = data(cli("health", "--json"))
    judged = {row["name"]: (row["status"], row["reason"]) for row in (*report["healthy"], *report["unhealthy"])}
    assert judged == listed
    for name, verdict in listed.items():
        model = data(cli("show", name, "--json"))["model"]
        assert (model["health"], model["reason"]) == verdict


def test_health_counts_and_exits_only_when_asked_to(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD, BAD)
    report = data(cli("health", "--json"))
    assert report["summary"] == {"total": 2, "healthy_count": 1, "unhealthy_count": 1}
    assert report["unhealthy"] == [
        {
            "name": "mlx-community/bad-4bit",
            "status": "unhealthy",
            "reason": "incomplete: 1 of 2 shards missing: model-00002-of-00002.safetensors",
        }
    ]
    assert [cli("health").code, cli("health", "--fail").code, cli("health", "good", "--fail").code] == [0, 1, 0]
    assert cli("health", "--fail", "--json").code == 1
    assert data(cli("health", "nothing", "--json"))["summary"]["total"] == 0


def test_a_size_counts_each_blob_once(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    weights = StoredFile(safetensors(), lfs=True)
    twice = with_files(GOOD, {"model.safetensors": weights, "copy/model.safetensors": weights})
    model_cache.add(twice)
    assert data(cli("list", "--json"))["models"][0]["size_bytes"] == 481


def test_a_shared_payload_counts_with_its_own_size(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(
        with_files(GOOD, {"model.safetensors": StoredFile(safetensors(), lfs=True, placement=Placement.SHARED)})
    )
    (model,) = data(cli("list", "--json"))["models"]
    assert (model["size_bytes"], model["health"]) == (481, "healthy")


def test_a_hash_selects_and_judges_its_own_snapshot(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    (commit,) = GOOD.revisions
    broken = StoredRevision(stored({"config.json": b"[1]"}), 1_600_000_000.0)
    model_cache.add(StoredModel(GOOD.folder, {**GOOD.revisions, "0" * 40: broken}, {"main": commit}))
    assert data(cli("show", "good", "--json"))["model"]["health"] == "healthy"
    old = data(cli("show", "good@000", "--json"))["model"]
    assert (old["hash"], old["health"]) == ("0" * 40, "unhealthy")
    assert data(cli("health", "good@000", "--json"))["summary"]["unhealthy_count"] == 1
    assert data(cli("health", f"good@{commit[:8]}", "--json"))["summary"]["healthy_count"] == 1
    assert data(cli("health", "good@fff000", "--json"))["summary"]["total"] == 0


@pytest.mark.parametrize("zone", ["UTC", "Asia/Tokyo", "America/New_York"])
def test_last_modified_is_utc_in_every_time_zone(
    cli: CommandLine, model_cache: ModelCacheOnDisk, monkeypatch: pytest.MonkeyPatch, zone: str
) -> None:
    model_cache.add(GOOD)
    monkeypatch.setenv("TZ", zone)
    time.tzset()
    try:
        assert data(cli("list", "--json"))["models"][0]["last_modified"] == "2023-11-14T22:13:20Z"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_show_gives_the_numbers_of_the_config(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD)
    shown = data(cli("show", "good", "--json"))
    assert list(shown) == ["model", "metadata"]
    assert shown["metadata"]["quantization"] == "4bit"
    assert shown["metadata"]["context_length"] == 2048
    full = data(cli("show", "good", "--files", "--config", "--json"))
    assert full["config"] == full["model_config"]
    assert full["config"]["model_type"] == "llama"
    assert {"name": "model.safetensors", "size": "126B", "type": "weights"} in full["files"]


def test_show_of_a_broken_model_still_answers(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(sick_model(Pathology.BROKEN_CONFIG, "org/broken"), sick_model(Pathology.NO_SNAPSHOT, "org/absent"))
    broken = data(cli("show", "broken", "--config", "--json"))
    assert (broken["metadata"], broken["model"]["reason"]) == (None, "config.json is not valid JSON")
    assert data(cli("show", "absent", "--files", "--json"))["files"] == []
    assert "config.json is missing or cannot be read" in cli("show", "broken", "--config").out


def test_numbers_that_json_does_not_have_are_told_by_name(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    config = b'{"model_type": "llama", "limit": [Infinity, -Infinity], "nested": {"x": NaN}}'
    model_cache.add(with_files(GOOD, {"config.json": config}))
    shown = data(cli("show", "good", "--config", "--json"))["config"]
    assert (shown["limit"], shown["nested"]) == (["Infinity", "-Infinity"], {"x": "NaN"})


def test_a_config_nested_too_deeply_is_an_error_in_words(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    deep = b'{"a":' * 950 + b"1" + b"}" * 950
    model_cache.add(with_files(GOOD, {"config.json": deep}))
    run = cli("show", "good", "--config", "--json")
    document = json.loads(run.out)
    assert document["status"] == "success" or document["error"]["type"] == "OperationError"
    assert cli("show", "good", "--json").code == 0


def test_a_date_of_the_far_future_is_told_as_the_last_one(cli: CommandLine) -> None:
    program = memory_program(MemoryCache([replace(GOOD, modified=3e11)]))
    run = cli("list", "--json", services=program)
    assert json.loads(run.out)["data"]["models"][0]["last_modified"] == "9999-12-31T23:59:59Z"
    assert cli("list", services=program).code == 0


def test_no_path_of_the_machine_is_told(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    model_cache.add(GOOD, BAD)
    for run in (cli("list", "--json"), cli("show", "good", "--files", "--json"), cli("health", "--json")):
        assert str(model_cache.root) not in run.out


def test_the_human_list(cli: CommandLine, model_cache: ModelCacheOnDisk) -> None:
    del model_cache
    program = memory_program(MemoryCache([GOOD, BAD, gguf_model()]), clock=MemoryClock(1_700_000_000.0 + 3 * 3600))
    assert cli("list", services=program).out == (
        "NAME       HASH      SIZE  MODIFIED  TYPE\n"
        "bad-4bit   a69fc1e  604 B  3h ago    chat\n"
        "good-4bit  041f893  481 B  3h ago    chat\n"
    )
    assert cli("list", services=program).err == (
        "1 model of other frameworks or without weights not shown; see them with: mlxk2 list --all\n"
        "1 model is not healthy; see which and why with: mlxk2 list --verbose\n"
    )
    assert "not healthy" not in cli("list", "--health", services=program).err
    assert cli("list", "--health", "--all", services=program).out == (
        "NAME                 HASH      SIZE  MODIFIED  TYPE     FRAMEWORK  HEALTH\n"
        "bartowski/tiny-GGUF  8bf6502   56 B  3h ago    unknown  GGUF       healthy\n"
        "bad-4bit             a69fc1e  604 B  3h ago    chat     MLX        unhealthy\n"
        "good-4bit            041f893  481 B  3h ago    chat     MLX        healthy\n"
    )
    assert cli("list", "--verbose", services=program).out == (
        "NAME                     HASH      SIZE  MODIFIED  TYPE  HEALTH\n"
        "mlx-community/bad-4bit   a69fc1e  604 B  3h ago    chat  unhealthy\n"
        "mlx-community/good-4bit  041f893  481 B  3h ago    chat  healthy\n"
        "mlx-community/bad-4bit: incomplete: 1 of 2 shards missing: model-00002-of-00002.safetensors\n"
    )


def test_a_pipe_gets_one_line_a_model_however_long(cli: CommandLine) -> None:
    long = healthy_model("organisation-with-a-long-name/model-with-a-very-long-name-indeed-4bit")
    lines = cli("list", "--all", "--health", services=memory_program(MemoryCache([GOOD, long]))).out.splitlines()
    assert len(lines) == 3
    assert lines[2].startswith("organisation-with")
    assert lines[2].endswith("healthy")


def test_a_long_name_gets_a_line_of_its_own_on_a_terminal_and_nothing_is_cut(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = healthy_model("organisation-with-a-long-name/model-with-a-very-long-name-indeed-4bit")
    monkeypatch.setenv("COLUMNS", "80")
    out = cli("list", services=memory_program(MemoryCache([GOOD, long]))).out
    assert "organisation-with-a-long-name/model-with-a-very-long-name-indeed-4bit\n" in out
    assert max(len(line) for line in out.splitlines()) <= 80


def test_the_human_health_report(cli: CommandLine) -> None:
    program = memory_program(MemoryCache([GOOD, BAD]))
    assert cli("health", services=program) == Run(
        0,
        "unhealthy  bad-4bit: incomplete: 1 of 2 shards missing: model-00002-of-00002.safetensors\n"
        "2 models: 1 healthy, 1 unhealthy\n",
        "Fetch what is missing or damaged with: mlxk2 pull mlx-community/bad-4bit --repair\n",
    )
    assert cli("health", "good", services=program) == Run(0, "healthy    good-4bit\n1 model: 1 healthy\n", "")


WAIT = "Wait for the download to end\n"
LOADING, LOADING_TOO = (sick_model(Pathology.DOWNLOAD_IN_PROGRESS, f"org/loading-{number}") for number in (1, 2))
REPAIR = "Fetch what is missing or damaged with: mlxk2 pull {} --repair\n"


@pytest.mark.parametrize(
    ("models", "advice"),
    [
        ((BAD,), REPAIR.format("mlx-community/bad-4bit")),
        ((GOOD, BAD, LOADING), REPAIR.format("mlx-community/bad-4bit")),
        ((BAD, sick_model(Pathology.NO_WEIGHTS, "org/bad")), REPAIR.format("<org/model>")),
        ((LOADING, BAD, sick_model(Pathology.NO_WEIGHTS, "org/bad")), REPAIR.format("<org/model>")),
        ((sick_model(Pathology.DOWNLOAD_INCOMPLETE, "org/cut"),), REPAIR.format("org/cut")),
        ((sick_model(Pathology.NO_SNAPSHOT, "org/begun"),), REPAIR.format("org/begun")),
        ((sick_model(Pathology.NO_WEIGHTS, "mlxk2/demo"),), REPAIR.format("demo")),
        ((LOADING,), WAIT),
        ((GOOD, LOADING, LOADING_TOO), WAIT),
        ((GOOD,), ""),
    ],
)
def test_the_advice_of_health_is_the_next_step(cli: CommandLine, models: Sequence[StoredModel], advice: str) -> None:
    assert cli("health", services=memory_program(MemoryCache(models))).err == advice


BEGUN = StoredModel("models--org--begun", {}, {}, partials=(("a" * 64, 7),))
NAMED = sick_model(Pathology.NO_SNAPSHOT, "org/named")
COMING = StoredModel("models--org--coming", {}, {}, held_locks=frozenset({"a" * 64}))
NOTHING = StoredModel("models--org--nothing", {}, {})


def test_what_is_being_downloaded_or_was_broken_off_is_listed_too(cli: CommandLine) -> None:
    models = (GOOD, gguf_model(), BEGUN, NAMED, COMING, LOADING, NOTHING)
    program = memory_program(MemoryCache(models), clock=MemoryClock(1_700_000_000.0))
    run = cli("list", services=program)
    assert [(line.split()[0], line.split()[-1]) for line in run.out.splitlines()] == [
        ("NAME", "TYPE"),
        ("good-4bit", "chat"),
        ("org/begun", "incomplete"),
        ("org/coming", "downloading"),
        ("org/loading-1", "downloading"),
        ("org/named", "incomplete"),
    ]
    assert run.err == "2 models of other frameworks or without weights not shown; see them with: mlxk2 list --all\n"
    rows = {line.split()[0]: line.split() for line in cli("list", "--all", services=program).out.splitlines()}
    kinds = {name: (row[-2], row[-1]) for name, row in rows.items()}
    assert kinds["org/coming"] == ("downloading", "Unknown")
    assert kinds["org/nothing"] == ("unknown", "Unknown")
    assert kinds["bartowski/tiny-GGUF"] == ("unknown", "GGUF")


def test_json_tells_the_type_by_the_words_of_the_specification(cli: CommandLine) -> None:
    listed = data(cli("list", "--json", services=memory_program(MemoryCache([BEGUN, COMING, LOADING]))))["models"]
    assert [(model["model_type"], model["reason"]) for model in listed] == [
        ("unknown", "download incomplete"),
        ("unknown", "download in progress"),
        ("chat", "download in progress"),
    ]


def test_a_download_that_was_broken_off_after_it_had_a_snapshot_keeps_its_type(cli: CommandLine) -> None:
    cut = sick_model(Pathology.DOWNLOAD_INCOMPLETE, "org/cut")
    assert cli("list", services=memory_program(MemoryCache([cut]))).out.splitlines()[1].endswith("  chat")


def test_show_says_that_a_broken_model_runs_only_once_repaired(cli: CommandLine) -> None:
    program = memory_program(MemoryCache([BAD]))
    assert "Runs here:    yes, once its files are repaired\n" in cli("show", "bad", services=program).out


def test_the_human_show(cli: CommandLine) -> None:
    program = memory_program(MemoryCache([GOOD]), clock=MemoryClock(1_700_000_000.0 + 90))
    assert cli("show", "good", services=program).out == (
        "Name:         mlx-community/good-4bit\n"
        f"Revision:     {commit_of('mlx-community/good-4bit')}\n"
        "Size:         481 B\n"
        "Modified:     2023-11-14T22:13:20Z (1m ago)\n"
        "Framework:    MLX\n"
        "Type:         chat\n"
        "Capabilities: text-generation, chat\n"
        "Health:       healthy\n"
        "Runs here:    yes\n"
        "Architecture: llama\n"
        "Quantization: 4bit\n"
        "Context:      2,048 tokens\n"
        "Vocabulary:   1,000 tokens\n"
        "Layers:       2\n"
        "Hidden size:  64\n"
        "Heads:        4\n"
    )


def test_the_advice_for_one_revision_names_it(cli: CommandLine) -> None:
    (commit,) = BAD.revisions
    run = cli("health", f"bad@{commit[:8]}", services=memory_program(MemoryCache([GOOD, BAD])))
    assert run.err.endswith(f"with: mlxk2 pull mlx-community/bad-4bit@{commit[:12]} --repair\n")
