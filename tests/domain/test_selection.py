"""Which files of a repo a pull takes."""

import pytest

from mlxk2.domain.selection import Wanted, choose
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.sources import SourceFile

TEXTS = ("README.md", "config.json", "tokenizer.json")
SAFETENSORS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")
PYTORCH = ("pytorch_model.bin", "model.pth", "model.pt", "model.ckpt", "training_args.bin")
OTHERS = ("tf_model.h5", "flax_model.msgpack", "model.onnx", "model.onnx_data", "rust_model.ot", "model.tflite")
QUANTS = ("m-Q2_K.gguf", "m-Q4_K_M.gguf", "m-Q8_0.gguf")


def chosen(*paths: str, wanted: Wanted = Wanted()) -> tuple[str, ...]:  # noqa: B008 - it does not change
    files = [SourceFile(path, 1, "0" * 40, "0" * 40) for path in paths]
    return tuple(file.path for file in choose("org/model", files, wanted))


@pytest.mark.parametrize(
    ("there", "weights"),
    [
        (SAFETENSORS + PYTORCH + QUANTS + OTHERS, SAFETENSORS),
        (("weights.npz", *PYTORCH, *QUANTS, *OTHERS), ("weights.npz",)),
        (("weights.00.npz", "weights.01.npz", "model.bin"), ("weights.00.npz", "weights.01.npz")),
        (PYTORCH + QUANTS + OTHERS, PYTORCH),
        (("m-Q4_K_M.gguf", *OTHERS), ("m-Q4_K_M.gguf",)),
        (OTHERS, OTHERS),
        ((), ()),
    ],
)
def test_the_format_that_mlx_prefers_is_taken_without_its_duplicates(
    there: tuple[str, ...], weights: tuple[str, ...]
) -> None:
    assert chosen(*TEXTS, *there) == TEXTS + weights


@pytest.mark.parametrize(
    "path",
    [
        *("chat_template.jinja", "tokenizer.model", "merges.txt", "modeling_tiny.py", ".gitattributes", "LICENSE"),
        *("1_Pooling/config.json", "images/logo.png", "data.npz", "model.safetensors.index.json", "sub/weights.npz"),
    ],
)
def test_everything_that_is_not_weights_comes_along(path: str) -> None:
    assert chosen("model.safetensors", path) == ("model.safetensors", path)


@pytest.mark.parametrize(
    "path",
    [
        *("consolidated.safetensors", "consolidated.00.safetensors", "original/params.json", "onnx/model.onnx"),
        *("openvino/model.xml", "coreml/model.mlpackage", "sub/model.bin", "sub/model.gguf", "model.nemo"),
        *("llama.llamafile", "sub/consolidated-2.safetensors", "model.engine", "saved_model.pb", "model.mlmodel"),
    ],
)
def test_copies_for_other_programs_are_left(path: str) -> None:
    assert chosen("config.json", "model.safetensors", path) == ("config.json", "model.safetensors")


def test_safetensors_in_a_sub_folder_are_weights_too() -> None:
    assert chosen("text_encoder/model.safetensors", "model.bin") == ("text_encoder/model.safetensors",)


def test_a_folder_that_only_sounds_like_a_copy_comes_along() -> None:
    assert chosen("model.safetensors", "originals/a.txt", "sub/onnx/a.txt") == (
        "model.safetensors",
        "originals/a.txt",
        "sub/onnx/a.txt",
    )


def test_weights_of_an_original_release_are_taken_when_there_are_no_others() -> None:
    assert chosen("params.json", "consolidated.safetensors") == ("params.json", "consolidated.safetensors")


def test_of_several_gguf_files_the_user_has_to_choose() -> None:
    with pytest.raises(ValidationError) as caught:
        chosen("config.json", *QUANTS)
    assert caught.value.message == (
        "'org/model' has no weights for MLX, but 3 GGUF files (m-Q2_K.gguf, m-Q4_K_M.gguf, m-Q8_0.gguf); choose with"
        " --include, such as --include 'm-Q2_K.gguf', or take all with --all-files"
    )


def test_of_many_gguf_files_the_message_names_the_first() -> None:
    with pytest.raises(ValidationError, match=r"7 GGUF files \(0\.gguf, 1\.gguf, 2\.gguf, 3\.gguf and 3 more\)"):
        chosen(*(f"{number}.gguf" for number in range(7)))


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(include=("*Q4*",)), ("m-Q4_K_M.gguf",)),
        (Wanted(include=("*Q4*", "*.json")), ("config.json", "m-Q4_K_M.gguf")),
        (Wanted(exclude=("*Q2*", "*Q8*")), ("config.json", "m-Q4_K_M.gguf")),
        (Wanted(all_files=True), ("config.json", *QUANTS)),
    ],
)
def test_include_exclude_and_all_files_are_a_choice(wanted: Wanted, expected: tuple[str, ...]) -> None:
    assert chosen("config.json", *QUANTS, wanted=wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (Wanted(include=("*.bin",)), ("model.bin", "sub/model.bin")),
        (Wanted(include=("model.*",)), ("model.bin", "model.safetensors")),
        (Wanted(include=("sub/",)), ("sub/config.json", "sub/model.bin")),
        (Wanted(include=("sub/*.json",)), ("sub/config.json",)),
        (Wanted(include=("*",), exclude=("*.bin",)), ("model.safetensors", "sub/config.json")),
        (Wanted(exclude=("sub/",)), ("model.safetensors",)),
        (Wanted(all_files=True, exclude=("sub/*",)), ("model.bin", "model.safetensors")),
        (Wanted(include=("MODEL.*", "*.json")), ("sub/config.json",)),
    ],
)
def test_patterns_match_as_those_of_huggingface_hub_do(wanted: Wanted, expected: tuple[str, ...]) -> None:
    assert chosen("model.bin", "model.safetensors", "sub/config.json", "sub/model.bin", wanted=wanted) == expected


@pytest.mark.parametrize(
    ("wanted", "patterns"),
    [
        (Wanted(include=("*.gguf",)), "'*.gguf'"),
        (Wanted(include=("*.json",), exclude=("c*",)), "'*.json', 'c*'"),
        (Wanted(exclude=("*",)), "'*'"),
        (Wanted(exclude=("*",), all_files=True), "'*'"),
    ],
)
def test_a_choice_that_leaves_nothing_is_refused_with_what_there_is(wanted: Wanted, patterns: str) -> None:
    with pytest.raises(ValidationError) as caught:
        chosen("config.json", "c1.json", "c2.json", "c3.json", "c4.json", wanted=wanted)
    assert caught.value.message == (
        f"Nothing of 'org/model' is left with {patterns};"
        " its files are config.json, c1.json, c2.json, c3.json and 1 more"
    )


def test_a_repo_without_files_says_so() -> None:
    with pytest.raises(ValidationError, match="'org/model' has no files"):
        chosen()


def test_the_files_keep_their_order() -> None:
    assert chosen("z.json", "model.safetensors", "a.json") == ("z.json", "model.safetensors", "a.json")


def test_only_without_any_wish_the_choice_is_the_default() -> None:
    assert Wanted().is_default
    assert not any(wanted.is_default for wanted in (Wanted(("a",)), Wanted((), ("a",)), Wanted(all_files=True)))
