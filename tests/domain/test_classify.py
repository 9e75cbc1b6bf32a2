"""What a model is: each row of the rule tables has its case."""

import pytest

from mlxk2.adapters.memory import StoredModel
from mlxk2.domain.classify import FRAMEWORK_RULES, TYPE_RULES, Capability, Framework, ModelType
from mlxk2.testing import encoder_model, gguf_model, healthy_model, pytorch_model, safetensors, with_files
from mlxk2.testing.files import document
from mlxk2.testing.models import CONFIG
from tests.domain.judging import judged

PLAIN_CONFIG = {key: value for key, value in CONFIG.items() if key != "quantization"}
NAME = "someone/tiny"


def bare(name: str = NAME, **changes: object) -> StoredModel:
    """A transformers model with safetensors, no card, no template and nothing that says MLX; `changes` its config."""
    files = {
        "config.json": document(
            {key: value for key, value in {**PLAIN_CONFIG, **changes}.items() if value is not None}
        ),
        "README.md": None,
        "tokenizer_config.json": b"{}",
        "model.safetensors": safetensors("pt"),
    }
    return with_files(healthy_model(name), files)


def card(text: str) -> dict[str, bytes]:
    return {"README.md": f"---\n{text}\n---\n# A model\n".encode()}


FRAMEWORKS = {
    "config.json has MLX's own `quantization`": (bare(quantization={"bits": 4, "group_size": 64}), Framework.MLX),
    "the weights are GGUF": (gguf_model(), Framework.GGUF),
    "README says library_name mlx or tag mlx": (with_files(bare(), card("library_name: mlx")), Framework.MLX),
    "safetensors metadata says format mlx": (
        with_files(bare(), {"model.safetensors": safetensors("mlx")}),
        Framework.MLX,
    ),
    "the weights are NPZ, as early MLX conversions wrote them": (
        with_files(bare(), {"model.safetensors": None, "weights.npz": b"PK\x03\x04"}),
        Framework.MLX,
    ),
    "the weights are safetensors": (bare(), Framework.PYTORCH),
    "the weights are PyTorch files": (pytorch_model(), Framework.PYTORCH),
}


@pytest.mark.parametrize("row", [name for name, _, _ in FRAMEWORK_RULES])
def test_every_framework_rule_decides_its_case(row: str) -> None:
    model, expected = FRAMEWORKS[row]
    assert judged(model).classification.framework is expected


def test_no_weights_and_no_hint_is_an_unknown_framework() -> None:
    assert judged(with_files(bare(), {"model.safetensors": None})).classification.framework is Framework.UNKNOWN


@pytest.mark.parametrize(
    "matter",
    [
        "library_name: mlx",
        "library_name: 'mlx'",
        "tags:\n- text-generation\n- mlx",
        "tags: [mlx, chat]",
        "license: mit\ntags:\n  - MLX\nx: y",
        f"extra_gated_prompt: {'terms ' * 1500}\nlibrary_name: mlx",
    ],
)
def test_the_card_says_mlx_in_each_way_that_yaml_allows(matter: str) -> None:
    assert judged(with_files(bare(), card(matter))).classification.framework is Framework.MLX


@pytest.mark.parametrize(
    "text", ["# mlx\n", "---\ntitle: mlx\n---\n", "library_name: mlx", "---\ntags:\n- mlx2\n---\n"]
)
def test_words_outside_the_right_keys_of_the_card_do_not_count(text: str) -> None:
    assert judged(with_files(bare(), {"README.md": text.encode()})).classification.framework is Framework.PYTORCH


def test_the_organisation_alone_never_decides() -> None:
    assert judged(bare("mlx-community/tiny")).classification.framework is Framework.PYTORCH
    assert judged(bare("chat-instruct/tiny")).classification.model_type is ModelType.BASE


TYPES = {
    "an image or speech model": (bare(model_type="whisper"), ModelType.UNKNOWN),
    "a classifier or reward model": (bare(architectures=["Qwen2ForRewardModel"]), ModelType.UNKNOWN),
    "sentence-transformers files, task or tag": (
        with_files(bare(), {"config_sentence_transformers.json": b"{}"}),
        ModelType.EMBEDDING,
    ),
    "an encoder architecture": (encoder_model(), ModelType.EMBEDDING),
    "a chat template": (with_files(bare(), {"chat_template.jinja": b"{{ x }}"}), ModelType.CHAT),
    "README has the tag conversational": (with_files(bare(), card("tags: [conversational]")), ModelType.CHAT),
    "the name has the word instruct, chat or it": (bare("someone/gemma-2-it"), ModelType.CHAT),
    "a text-generating architecture or task": (bare(), ModelType.BASE),
}


@pytest.mark.parametrize("row", [name for name, _, _ in TYPE_RULES])
def test_every_type_rule_decides_its_case(row: str) -> None:
    model, expected = TYPES[row]
    assert judged(model).classification.model_type is expected


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (with_files(bare(), card("pipeline_tag: sentence-similarity")), ModelType.EMBEDDING),
        (with_files(bare(), {"tokenizer_config.json": document({"chat_template": "x"})}), ModelType.CHAT),
        (with_files(bare(), {"chat_template.json": document({"chat_template": "x"})}), ModelType.CHAT),
        (with_files(gguf_model(), card("pipeline_tag: text-generation")), ModelType.BASE),
        (bare("someone/Mistral-7B-Instruct-v0.3"), ModelType.CHAT),
        (bare("someone/git-model"), ModelType.BASE),
        (bare(architectures=["GPT2LMHeadModel"]), ModelType.BASE),
        (bare(architectures=["MistralModel"]), ModelType.EMBEDDING),
        (bare(architectures=["TimesformerModel"], vocab_size=None, model_type="timesformer"), ModelType.UNKNOWN),
        (bare(architectures=["XLMRobertaForSequenceClassification"], model_type="xlm-roberta"), ModelType.UNKNOWN),
        (bare(architectures=[], model_type="weird"), ModelType.UNKNOWN),
        (with_files(bare(architectures=[]), {"model.safetensors": safetensors("mlx")}), ModelType.BASE),
        (gguf_model(), ModelType.UNKNOWN),
    ],
)
def test_types_of_other_models(model: StoredModel, expected: ModelType) -> None:
    assert judged(model).classification.model_type is expected


def test_a_chat_template_at_the_end_of_a_large_tokenizer_config_is_seen() -> None:
    large = document(
        {"added_tokens_decoder": {str(n): {"content": "x" * 50} for n in range(6000)}, "chat_template": "x"}
    )
    assert len(large) > 256 * 1024
    model = with_files(bare(), {"tokenizer_config.json": large})
    assert judged(model).classification.model_type is ModelType.CHAT


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (healthy_model(), (Capability.TEXT_GENERATION, Capability.CHAT)),
        (bare(), (Capability.TEXT_GENERATION,)),
        (encoder_model(), (Capability.EMBEDDINGS,)),
        (bare(model_type="clip"), (Capability.VISION,)),
        (bare(model_type="whisper"), (Capability.AUDIO,)),
        (bare(vision_config={"hidden_size": 4}), (Capability.TEXT_GENERATION, Capability.VISION)),
        (bare(audio_config={"a": 1}), (Capability.TEXT_GENERATION, Capability.AUDIO)),
    ],
)
def test_capabilities_follow_from_type_and_config(model: StoredModel, expected: tuple[Capability, ...]) -> None:
    assert judged(model).classification.capabilities == expected
