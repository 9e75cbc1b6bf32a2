"""Health: one table of every damage with its words, then the rules one by one."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.adapters.memory import Placement, StoredFile, StoredModel, StoredRevision
from mlxk2.domain import contents
from mlxk2.ports.cache import ListedFile
from mlxk2.testing import (
    Pathology,
    encoder_model,
    gguf,
    gguf_model,
    healthy_model,
    lfs_pointer,
    pytorch_model,
    safetensors,
    sick_model,
    with_files,
    with_listing,
)
from mlxk2.testing.files import document
from mlxk2.testing.models import CONFIG
from tests.domain.judging import judged, reason

INDEX = "model.safetensors.index.json"
FIRST, SECOND = "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"
SIZE = len(safetensors())
NO_TOKENIZER = "no tokenizer: tokenizer.json, tokenizer.model, or vocab.json with merges.txt is needed"

REASONS = {
    Pathology.MISSING_CONFIG: "config.json is missing",
    Pathology.BROKEN_CONFIG: "config.json is not valid JSON",
    Pathology.CONFIG_IS_A_LIST: "config.json is not a JSON object",
    Pathology.CONFIG_NOT_UTF8: "config.json is not valid JSON",
    Pathology.EMPTY_CONFIG_OBJECT: "config.json is an empty object",
    Pathology.NO_WEIGHTS: "no weights",
    Pathology.ONLY_LORA: "no weights: only LoRA weights of another model",
    Pathology.MISSING_SHARD: f"incomplete: 1 of 2 shards missing: {SECOND}",
    Pathology.MISSING_SHARD_NO_INDEX: f"incomplete: 1 of 2 shards missing: {SECOND}",
    Pathology.TRUNCATED_SHARD: f"{SECOND} is truncated: {SIZE - 3} of {SIZE} bytes",
    Pathology.GARBAGE_WEIGHTS: "model.safetensors has a damaged safetensors header",
    Pathology.EMPTY_WEIGHTS: "model.safetensors is empty",
    Pathology.LFS_POINTER: "model.safetensors is a git-LFS pointer, not the file itself",
    Pathology.DANGLING_WEIGHTS: "model.safetensors is a dangling link",
    Pathology.DANGLING_SHARED: "model.safetensors is a dangling link",
    Pathology.LINK_OUTSIDE: "model.safetensors is a link that leaves the model's folder",
    Pathology.BLOB_OUTSIDE: "model.safetensors is a link that leaves the model's folder",
    Pathology.LINK_TO_FOLDER: "model.safetensors is not a file",
    Pathology.INDEX_OUTSIDE: f"{INDEX} names a file outside the model: ../../../secret.safetensors",
    Pathology.INDEX_IS_A_LIST: f"{INDEX} has no weight_map",
    Pathology.NO_TOKENIZER: NO_TOKENIZER,
    Pathology.BROKEN_TOKENIZER_CONFIG: "tokenizer_config.json is not valid JSON",
    Pathology.BROKEN_LARGE_TOKENIZER: "tokenizer.json is not valid JSON",
    Pathology.LISTED_FILE_MISSING: "incomplete: tokenizer_config.json is missing",
    Pathology.LISTED_SIZE_DIFFERS: "tokenizer.json is truncated: 44 of 49 bytes",
    Pathology.DOWNLOAD_IN_PROGRESS: "download in progress",
    Pathology.DOWNLOAD_INCOMPLETE: "download incomplete",
    Pathology.NO_SNAPSHOT: "download incomplete: refs/main names 3f718c2b3822, which is not here",
}


@pytest.mark.parametrize("pathology", Pathology)
def test_every_damage_is_found_and_named(pathology: Pathology) -> None:
    expected = REASONS[pathology]
    if pathology is Pathology.NO_SNAPSHOT:
        main = sick_model(pathology).refs["main"][:12]
        expected = f"download incomplete: refs/main names {main}, which is not here"
    assert reason(sick_model(pathology)) == expected


@pytest.mark.parametrize(
    "model",
    [
        healthy_model(),
        healthy_model(shards=3),
        healthy_model(shards=3, indexed=False),
        with_listing(healthy_model(shards=2)),
        gguf_model(),
        pytorch_model(),
        encoder_model(),
    ],
    ids=["single", "indexed", "numbered without index", "listed", "gguf", "pytorch", "encoder"],
)
def test_a_complete_model_of_each_kind_is_healthy(model: StoredModel) -> None:
    assert reason(model) is None


@pytest.mark.parametrize("placement", [Placement.SHARED, Placement.PLAIN])
def test_weights_in_the_shared_store_or_without_links_are_healthy(placement: Placement) -> None:
    weights = StoredFile(safetensors(), lfs=True, placement=placement)
    assert reason(with_files(healthy_model(), {"model.safetensors": weights})) is None


@pytest.mark.parametrize(
    "name",
    ["partial_rotary_notes.md", "download.incomplete.txt", "notes.lock", "training_args.bin", "empty.md", ".gitkeep"],
)
def test_a_harmless_file_does_not_matter_whatever_its_name(name: str) -> None:
    content = b"" if name in ("empty.md", ".gitkeep") else b"text"
    assert reason(with_files(healthy_model(), {name: content})) is None


def test_training_arguments_are_not_weights() -> None:
    model = with_files(healthy_model(), {"model.safetensors": None, "training_args.bin": b"PK"})
    assert reason(model) == "no weights"


@pytest.mark.parametrize(
    "files",
    [
        {"tokenizer.model": b"sentencepiece"},
        {"vocab.json": b'{"a": 1}', "merges.txt": b"a b"},
        {"qwen.tiktoken": b"YQ== 0", "tokenization_qwen.py": b"code"},
    ],
)
def test_each_form_of_tokenizer_that_the_loader_knows_is_enough(files: dict[str, bytes]) -> None:
    assert reason(with_files(healthy_model(), {"tokenizer.json": None, **files})) is None


@pytest.mark.parametrize("name", ["vocab.json", "merges.txt", "vocab.txt", "qwen.tiktoken"])
def test_half_a_vocabulary_is_no_tokenizer(name: str) -> None:
    assert reason(with_files(healthy_model(), {"tokenizer.json": None, name: b"{}"})) == NO_TOKENIZER


@pytest.mark.parametrize("name", ["tokenizer.json", "tokenizer_config.json", "generation_config.json"])
@pytest.mark.parametrize(
    ("content", "words"),
    [(b"", "is empty"), (b"{", "is not valid JSON"), (lfs_pointer(), "is a git-LFS pointer, not the file itself")],
)
def test_every_file_that_the_loader_reads_must_be_whole(name: str, content: bytes, words: str) -> None:
    assert reason(with_files(healthy_model(), {name: content})) == f"{name} {words}"


def test_json_of_any_depth_is_judged_and_never_crashes() -> None:
    deep = b"[" * 100_000 + b"]" * 100_000
    assert reason(with_files(healthy_model(), {"tokenizer.json": deep})) == "tokenizer.json is not valid JSON"


def test_a_large_json_file_is_judged_by_its_ends_and_its_listed_size() -> None:
    large = b'{"vocab": "' + b"x" * 300_000 + b'"}\n'
    model = with_files(healthy_model(), {"tokenizer.json": large})
    assert reason(model) is None
    shorter = StoredFile(large[:-10] + b"}")
    listed = with_files(with_listing(model), {"tokenizer.json": shorter})
    assert reason(listed) == f"tokenizer.json is truncated: {len(large) - 9} of {len(large)} bytes"


def test_a_dangling_link_is_a_damage_wherever_it_is() -> None:
    dangling = StoredFile(b"# card", placement=Placement.DANGLING)
    assert reason(with_files(healthy_model(), {"docs/CARD.md": dangling})) == "docs/CARD.md is a dangling link"


def test_the_listing_asks_only_for_what_the_loader_needs() -> None:
    extra = {
        "README.md": None,
        "original/consolidated.00.pth": None,
        "pytorch_model.bin": None,
        "tokenizer.model": None,
    }
    whole = with_files(healthy_model(), {"original/consolidated.00.pth": b"x", "tokenizer.model": b"x"})
    listed = with_files(with_listing(with_files(whole, {"pytorch_model.bin": b"PK"})), extra)
    assert reason(listed) is None


def test_a_single_weight_file_that_only_the_listing_knows_is_missed() -> None:
    model = with_files(with_listing(healthy_model()), {"model.safetensors": None})
    assert reason(model) == "incomplete: model.safetensors is missing"


def test_a_half_downloaded_indexed_model_names_its_missing_shards_and_nothing_else() -> None:
    etag = "e" * 64
    half = replace(sick_model(Pathology.MISSING_SHARD), partials=((etag, 5),))
    assert reason(with_files(half, {"tokenizer.json": None})) == f"incomplete: 1 of 2 shards missing: {SECOND}"


def test_many_missing_shards_are_counted_and_the_first_three_named() -> None:
    model = with_files(healthy_model(shards=6), {f"model-0000{n}-of-00006.safetensors": None for n in range(2, 7)})
    assert reason(model) == (
        "incomplete: 5 of 6 shards missing: model-00002-of-00006.safetensors, model-00003-of-00006.safetensors,"
        " model-00004-of-00006.safetensors and 2 more"
    )


def test_an_index_is_not_needed_when_all_numbers_are_there() -> None:
    assert reason(with_files(healthy_model(shards=2), {INDEX: None})) is None


def test_a_partial_file_whose_blob_is_finished_is_only_rubbish() -> None:
    model = healthy_model()
    (revision,) = model.revisions.values()
    etag = revision.files["model.safetensors"].etag
    assert reason(replace(model, partials=((etag, 3),))) is None


def test_a_partial_file_names_the_listed_file_it_belongs_to() -> None:
    model = with_listing(with_files(healthy_model(), {"generation_config.json": b"{}"}))
    (revision,) = model.revisions.values()
    etag = revision.files["generation_config.json"].etag
    gone = with_files(replace(model, partials=((etag, 3),)), {"generation_config.json": None})
    assert reason(gone) == "download incomplete: generation_config.json"


def test_locks_and_partials_of_another_revision_do_not_matter_to_a_listed_one() -> None:
    other = "d" * 64
    model = replace(with_listing(healthy_model()), held_locks=frozenset({other}), partials=((other, 3),))
    assert reason(model) is None


def test_a_stale_lock_file_does_not_matter() -> None:
    assert reason(replace(healthy_model(), stale_locks=frozenset({"d" * 64}))) is None


def test_a_folder_without_any_snapshot_says_so() -> None:
    assert reason(StoredModel("models--org--m", {}, {})) == "no snapshot"
    assert reason(StoredModel("models--org--m", {}, {}, partials=(("d" * 64, 3),))) == "download incomplete"
    locked = StoredModel("models--org--m", {}, {}, held_locks=frozenset({"d" * 64}))
    assert reason(locked) == "download in progress"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"GGML" + bytes(40), "is not a GGUF file"),
        (b"GGUF" + bytes(4), "has a GGUF header that cannot be read"),
        (gguf(version=9), "has a GGUF header that cannot be read"),
        (gguf(tensors=0), "holds no tensors"),
        (b"", "is empty"),
        (lfs_pointer(), "is a git-LFS pointer, not the file itself"),
    ],
)
def test_a_gguf_model_needs_a_readable_header(content: bytes, words: str) -> None:
    name = "tiny-Q4_K_M.gguf"
    model = with_files(gguf_model(), {name: StoredFile(content, lfs=True)})
    assert reason(model) == f"{name} {words}"


def test_a_gguf_set_needs_every_number() -> None:
    model = with_files(gguf_model(), {"tiny-Q4_K_M.gguf": None, "big-00001-of-00002.gguf": gguf()})
    assert reason(model) == "incomplete: 1 of 2 shards missing: big-00002-of-00002.gguf"


def test_one_of_many_listed_quantizations_is_a_whole_gguf_model() -> None:
    many = {f"tiny-Q{bits}.gguf": StoredFile(gguf(), lfs=True) for bits in range(2, 9)}
    offered = with_listing(with_files(gguf_model(), many))
    assert reason(with_files(offered, {name: None for name in many if name != "tiny-Q5.gguf"})) is None
    assert reason(with_files(offered, dict.fromkeys([*many, "tiny-Q4_K_M.gguf"]))) == (
        "incomplete: 8 of 8 shards missing: tiny-Q2.gguf, tiny-Q3.gguf, tiny-Q4.gguf and 5 more"
    )


def test_gguf_weights_may_lie_in_a_folder_of_their_quantization() -> None:
    files = {"tiny-Q4_K_M.gguf": None, "Q8/tiny-00001-of-00002.gguf": gguf(), "Q8/tiny-00002-of-00002.gguf": gguf()}
    assert reason(with_files(gguf_model(), files)) is None
    broken = {**files, "Q8/tiny-00002-of-00002.gguf": StoredFile(b"junk" * 9, lfs=True)}
    assert reason(with_files(gguf_model(), broken)) == "Q8/tiny-00002-of-00002.gguf is not a GGUF file"


@pytest.mark.parametrize("other", ["pytorch_model.bin", "tiny.gguf"])
def test_listed_safetensors_are_missed_even_where_other_weights_are(other: str) -> None:
    content = gguf() if other.endswith("gguf") else b"PK"
    both = with_listing(with_files(healthy_model(), {other: content}))
    assert reason(with_files(both, {"model.safetensors": None})) == "incomplete: model.safetensors is missing"


@pytest.mark.parametrize("name", ["mmproj-f16.gguf", "tiny.imatrix.gguf"])
def test_a_projector_or_matrix_is_not_the_model(name: str) -> None:
    listed = with_listing(with_files(gguf_model(), {name: gguf()}))
    assert reason(with_files(listed, {"tiny-Q4_K_M.gguf": None})) == "incomplete: tiny-Q4_K_M.gguf is missing"


def test_a_config_of_a_megabyte_is_read_whole() -> None:
    large = {**CONFIG, "layers": {str(number): {"bits": 4, "group_size": 64} for number in range(20_000)}}
    assert len(document(large)) > 500_000
    assert reason(with_files(healthy_model(), {"config.json": document(large)})) is None
    broken = document(large)[:300_000] + b"}"
    assert reason(with_files(healthy_model(), {"config.json": broken})) == "config.json is not valid JSON"


def test_an_index_of_a_megabyte_is_read_whole() -> None:
    weight_map = {f"model.layers.{number}.weight.{'x' * 60}": FIRST for number in range(12_000)}
    index = document({"weight_map": {**weight_map, "last": "model-extra.safetensors"}})
    assert len(index) > 1_000_000
    model = with_files(healthy_model(shards=2), {INDEX: index})
    assert reason(model) == "incomplete: 1 of 3 shards missing: model-extra.safetensors"


def test_a_set_that_counts_from_zero_is_whole_by_its_index() -> None:
    names = [f"model-0000{number}-of-00003.safetensors" for number in range(3)]
    index = document({"weight_map": {f"w{number}": name for number, name in enumerate(names)}})
    files = {"model.safetensors": None, INDEX: index, **dict.fromkeys(names, safetensors())}
    assert reason(with_files(healthy_model(), files)) is None


def test_the_listing_overrules_an_index_of_files_that_are_not_in_the_commit() -> None:
    index = document({"weight_map": {"w": "model-00001-of-00009.safetensors"}})
    model = with_listing(with_files(healthy_model(), {INDEX: index}))
    assert reason(model) is None
    unlisted = with_files(healthy_model(), {INDEX: index})
    assert (reason(unlisted) or "").startswith("incomplete: 9 of 10 shards missing: model-00001-of-00009.safetensors")


def test_an_index_cannot_hide_shards_that_its_own_names_count() -> None:
    partial = document({"weight_map": {"w": FIRST}})
    assert reason(with_files(sick_model(Pathology.MISSING_SHARD), {INDEX: partial})) == (
        f"incomplete: 1 of 2 shards missing: {SECOND}"
    )
    empty = document({"weight_map": {}})
    assert reason(with_files(healthy_model(shards=2), {INDEX: empty})) == f"{INDEX} names no file"


def test_one_file_without_tensors_beside_whole_weights_is_no_problem() -> None:
    nothing = StoredFile((2).to_bytes(8, "little") + b"{}", lfs=True)
    assert reason(with_files(healthy_model(), {"model-extra.safetensors": nothing})) is None


def test_an_empty_chat_template_would_make_every_prompt_empty() -> None:
    assert reason(with_files(healthy_model(), {"chat_template.jinja": b""})) == "chat_template.jinja is empty"


def test_a_ref_that_holds_no_commit_cannot_steer_a_terminal() -> None:
    words = reason(StoredModel("models--org--m", {}, {"main": "\x1b[31mevil"}))
    assert words == "download incomplete: refs/main names \\x1b[31mevil, which is not here"


def test_weights_in_a_folder_that_the_index_names_are_read() -> None:
    files = {"model.safetensors": None, "sub/model.safetensors": safetensors()}
    index = document({"weight_map": {"w": "sub/model.safetensors"}})
    assert reason(with_files(healthy_model(), {**files, INDEX: index})) is None


@pytest.mark.parametrize("name", ["generation_config.json", "tokenizer_config.json", "special_tokens_map.json"])
@pytest.mark.parametrize("content", [b"[1]", b"null", b"7"])
def test_json_that_the_loader_reads_must_be_an_object(name: str, content: bytes) -> None:
    assert reason(with_files(healthy_model(), {name: content})) == f"{name} is not a JSON object"


@pytest.mark.parametrize("content", [b' {"a": 1}', b'\n{"a": 1}\n\n', b'{"a": NaN}'])
def test_json_is_read_as_the_loader_reads_it(content: bytes) -> None:
    assert reason(with_files(healthy_model(), {"generation_config.json": content})) is None


@pytest.mark.parametrize("content", [b'{"a": 1} x', b"{} {}", b'\xef\xbb\xbf{"a": 1}', b"{'a': 1}", b"   "])
def test_json_that_the_loader_cannot_read_is_broken(content: bytes) -> None:
    broken = with_files(healthy_model(), {"generation_config.json": content})
    assert reason(broken) == "generation_config.json is not valid JSON"


def test_an_empty_tokenizer_is_none() -> None:
    for content in (b"{}", b'{"version": "1.0"}'):
        assert reason(with_files(healthy_model(), {"tokenizer.json": content})) == "tokenizer.json holds no tokenizer"
    large = b"[" + b"1," * 200_000 + b"1]"
    assert reason(with_files(healthy_model(), {"tokenizer.json": large})) == "tokenizer.json is not a JSON object"


def test_older_forms_beside_a_tokenizer_do_not_matter() -> None:
    older = {"merges.txt": b"", "tokenizer.model": b"", "vocab.json": b"{"}
    assert reason(with_files(healthy_model(), older)) is None


def test_a_kind_that_nobody_knows_is_healthy_when_every_listed_file_is_there() -> None:
    bare = dict.fromkeys(["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json", "README.md"])
    diffusers = with_files(healthy_model(), {**bare, "model_index.json": b"{}", "unet/weights.onnx": b"bytes"})
    assert reason(diffusers) == "config.json is missing"
    listed = with_listing(diffusers)
    assert reason(listed) is None
    etag = listed.revisions[next(iter(listed.revisions))].files["unet/weights.onnx"].etag
    coming = replace(listed, held_locks=frozenset({etag}), partials=((etag, 1),))
    assert reason(coming) == "download in progress"
    assert reason(replace(coming, partials=())) is None  # somebody looks at a file that is whole
    outside = StoredFile(b"x", placement=Placement.OUTSIDE)
    assert reason(with_files(listed, {"extra": outside})) == "extra is a link that leaves the model's folder"
    assert reason(with_files(listed, {"unet/weights.onnx": None})) == "config.json is missing"
    assert reason(with_files(listed, {"unet/weights.onnx": b"byte"})) == "config.json is missing"


def test_names_from_a_repo_cannot_steer_a_terminal() -> None:
    index = document({"weight_map": {"w": "model-\x1b[31m\n.safetensors"}})
    words = reason(with_files(healthy_model(), {INDEX: index}))
    assert words == "incomplete: 1 of 2 shards missing: model-\\x1b[31m\\x0a.safetensors"


HEADERS = st.dictionaries(
    st.text(min_size=1, max_size=5),
    st.fixed_dictionaries(
        {
            "dtype": st.sampled_from(["F32", "BF16", "U8", 'f"x']),
            "shape": st.lists(st.integers(0, 9), max_size=3),
            "data_offsets": st.tuples(st.integers(0, 50), st.integers(0, 99)),
        }
    ),
    max_size=4,
)


@given(HEADERS, st.sampled_from([None, "mlx", "pt", "M L"]), st.sampled_from(["", " ", ",", "}"]), st.booleans())
def test_the_fast_reading_of_a_header_says_what_the_full_one_says(
    tensors: dict[str, object], format_name: str | None, tail: str, spaced: bool
) -> None:
    header = {**({"__metadata__": {"format": format_name}} if format_name else {}), **tensors}
    separators = (", ", ": ") if spaced else (",", ":")
    encoded = (json.dumps(header, separators=separators) + tail).encode()
    fast = contents._read_plain_header(encoded)
    assert fast is None or fast == contents._read_any_header(encoded)


def test_lora_weights_alone_are_named_even_without_a_config() -> None:
    lora = {"model.safetensors": None, "config.json": None, "adapter_model.safetensors": safetensors()}
    assert reason(with_files(healthy_model(), lora)) == "no weights: only LoRA weights of another model"


def test_pytorch_shards_are_counted_from_their_index() -> None:
    index = document({"weight_map": {"a": "pytorch_model-00001-of-00002.bin", "b": "pytorch_model-00002-of-00002.bin"}})
    model = with_files(
        pytorch_model(),
        {"pytorch_model.bin": None, "pytorch_model-00001-of-00002.bin": b"PK", "pytorch_model.bin.index.json": index},
    )
    assert reason(model) == "incomplete: 1 of 2 shards missing: pytorch_model-00002-of-00002.bin"


def test_an_encoder_needs_its_vocabulary_and_its_pooling_but_no_chat_tokenizer() -> None:
    assert reason(with_files(encoder_model(), {"vocab.txt": None})) == (
        "no tokenizer: tokenizer.json or a vocabulary file is needed"
    )
    assert reason(with_files(encoder_model(), {"1_Pooling/config.json": None})) == (
        "1_Pooling/config.json is missing, which modules.json names"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (safetensors() + b"xx", f"is too long: {SIZE + 2} of {SIZE} bytes"),
        (b"\x00" * 4, "is not a safetensors file"),
        (b"\xff" * 40, "is not a safetensors file"),
        ((10**6).to_bytes(8, "little") + b"{}", "is truncated: 10 bytes, less than its header needs (1000008)"),
        ((2).to_bytes(8, "little") + b"[]", "has a damaged safetensors header"),
        ((9).to_bytes(8, "little") + b'{"w": {}}', "has a damaged safetensors header"),
        ((2).to_bytes(8, "little") + b"{}", "holds no tensors"),
    ],
)
def test_a_safetensors_file_must_be_exactly_as_long_as_its_header_says(content: bytes, words: str) -> None:
    model = with_files(healthy_model(), {"model.safetensors": StoredFile(content, lfs=True)})
    assert reason(model) == f"model.safetensors {words}"


def test_what_is_broken_in_one_revision_is_not_said_of_another() -> None:
    good = healthy_model()
    (commit,) = good.revisions
    bad = StoredRevision({"config.json": StoredFile(b"[1]")}, modified=2_000_000_000.0)
    both = replace(good, revisions={**good.revisions, "0" * 40: bad})
    assert judged(both).commit == commit
    assert reason(both) is None


def test_a_listed_row_for_a_file_with_the_right_size_is_no_problem() -> None:
    model = with_listing(healthy_model())
    (commit,) = model.revisions
    revision = model.revisions[commit]
    rows = (*(revision.listing or ()), ListedFile("extra/config.json", 3, "a" * 40))
    assert reason(replace(model, revisions={commit: replace(revision, listing=rows)})) is None


def test_a_config_that_is_only_partly_understood_is_still_healthy() -> None:
    config = {**CONFIG, "architectures": "LlamaForCausalLM", "model_type": 7}
    assert reason(with_files(healthy_model(), {"config.json": document(config)})) is None
