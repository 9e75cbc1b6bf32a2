"""Runtime compatibility: each reason why mlx-lm cannot run a model."""

from collections.abc import Sequence

import pytest

from mlxk2.adapters.memory import MemoryCatalogue, StoredModel
from mlxk2.testing import (
    Pathology,
    encoder_model,
    gguf_model,
    healthy_model,
    pytorch_model,
    safetensors,
    sick_model,
    with_files,
)
from mlxk2.testing.files import document
from mlxk2.testing.models import CONFIG
from tests.domain.judging import judged


def with_config(**changes: object) -> StoredModel:
    config = {key: value for key, value in {**CONFIG, **changes}.items() if value is not None}
    return with_files(healthy_model(), {"config.json": document(config)})


@pytest.mark.parametrize(
    ("model", "reason"),
    [
        (healthy_model(), None),
        (gguf_model(), "GGUF weights: mlx-lm loads safetensors only"),
        (pytorch_model(), "PyTorch weights: mlx-lm loads safetensors only"),
        (
            with_files(healthy_model(), {"model.safetensors": None, "weights.00.safetensors": safetensors()}),
            "mlx-lm loads only weights named model*.safetensors, not weights.00.safetensors",
        ),
        (
            with_config(model_file="evil.py"),
            "config.json asks to run the model's own code (model_file: evil.py)",
        ),
        (with_config(model_type=None), "config.json names no model_type"),
        (with_config(model_type="novel"), "mlx-lm 0.32.2 has no architecture for model_type 'novel'"),
        (encoder_model(), "mlx-lm 0.32.2 has no architecture for model_type 'bert'"),
        (
            with_config(quantization=None, quantization_config={"quant_method": "bitsandbytes"}),
            "mlx-lm cannot load weights quantized with bitsandbytes",
        ),
        (with_config(quantization=None, quantization_config={"quant_method": "awq"}), None),
        (
            with_config(quantization=None, quantization_config={"quant_method": ["x"]}),
            "mlx-lm cannot load weights quantized with an unnamed method",
        ),
        (with_config(quantization=None, quantization_config={}), None),
        (
            with_config(quantization=None, quantization_config="awq"),
            "config.json has a `quantization_config` that is not an object",
        ),
        (with_config(quantization="4bit"), "config.json has a `quantization` without bits and group_size"),
        (with_config(quantization={"bits": 4}), "config.json has a `quantization` without bits and group_size"),
        (with_config(auto_map={"AutoModel": "modeling.py"}), None),
        (sick_model(Pathology.NO_WEIGHTS), "no weights that mlx-lm could load"),
        (sick_model(Pathology.NO_SNAPSHOT), "no weights that mlx-lm could load"),
        (sick_model(Pathology.NO_TOKENIZER), "no tokenizer that mlx-lm could load"),
        (sick_model(Pathology.TRUNCATED_SHARD), None),
    ],
)
def test_the_reason_why_a_model_cannot_run(model: StoredModel, reason: str | None) -> None:
    verdict = judged(model).compatibility
    assert (verdict.reason, verdict.compatible) == (reason, reason is None)


def test_without_mlx_lm_nothing_runs() -> None:
    assert judged(healthy_model(), MemoryCatalogue(version=None)).compatibility.reason == "mlx-lm is not installed"


def test_a_defect_in_the_rules_is_told_of_its_own_model_only() -> None:
    class Failing(MemoryCatalogue):
        def supports(self, model_type: str, architectures: Sequence[str]) -> bool:
            raise RuntimeError(f"boom {model_type} {architectures}")

    assert (judged(healthy_model(), Failing()).health.reason or "").startswith("could not be judged (RuntimeError")


def test_integrity_comes_before_runtime_in_the_reason() -> None:
    broken = with_files(with_config(model_type="novel"), {"tokenizer.json": b"{"})
    assert judged(broken).reason == "tokenizer.json is not valid JSON"
    assert judged(with_config(model_type="novel")).reason == "mlx-lm 0.32.2 has no architecture for model_type 'novel'"
