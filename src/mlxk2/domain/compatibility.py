"""Runtime compatibility: could the installed mlx-lm run the model, were its files in order?

Asked apart from health: a broken model of a known architecture stays compatible, and a healthy GGUF file does not
become so. What mlx-lm loads was read in its `utils.load_model` (0.32).
"""

from typing import TYPE_CHECKING, NamedTuple

from mlxk2.domain.classify import Classification, Framework
from mlxk2.domain.health import has_tokenizer
from mlxk2.domain.names import printable
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.subject import Subject
from mlxk2.domain.weights import LOADER_GLOB, WeightFormat, WeightSet

if TYPE_CHECKING:
    from mlxk2.ports.engine import RuntimeCatalogue

_KNOWN_QUANTIZATIONS = frozenset({"bitnet", "mxfp4", "mxfp8", "fp8", "compressed-tensors", "modelopt", "awq", "gptq"})


class Compatibility(NamedTuple):
    """`reason` says in words why mlx-lm cannot run the model, None when it can."""

    reason: str | None

    @classmethod
    def of(cls, problem: str | None) -> "Compatibility":
        """The verdict; names from the repo in it are made printable."""
        return cls(None if problem is None else printable(problem))

    @property
    def compatible(self) -> bool:
        return self.reason is None


def judge_runtime(
    subject: Subject, classification: Classification, runtime: "RuntimeCatalogue", *, trust_remote_code: bool = False
) -> Compatibility:
    """The verdict of the rules below, first problem first."""
    problem = _loading_problem(subject, runtime, trust_remote_code=trust_remote_code)
    return Compatibility.of(problem or _tokenizer_problem(subject.snapshot, classification))


def judge_described(subject: Subject, runtime: "RuntimeCatalogue") -> Compatibility:
    """The same of a model that is not here: its config.json and the names of its other files have to do."""
    return Compatibility.of(_loading_problem(subject, runtime, trust_remote_code=False))


def _loading_problem(subject: Subject, runtime: "RuntimeCatalogue", *, trust_remote_code: bool) -> str | None:
    snapshot = subject.snapshot
    return (
        _format_problem(subject.weights)
        or (None if trust_remote_code else _code_problem(snapshot))
        or (None if _brings_code(snapshot) else _architecture_problem(snapshot, runtime))
        or _quantization_problem(snapshot)
    )


def _format_problem(weights: WeightSet | None) -> str | None:
    if weights is None or not weights.expected:
        return "no weights that mlx-lm could load"
    if weights.format is not WeightFormat.SAFETENSORS:
        return f"{weights.format.value} weights: mlx-lm loads safetensors only"
    if not any(LOADER_GLOB.fullmatch(name) for name in weights.expected):
        return f"mlx-lm loads only weights named model*.safetensors, not {weights.expected[0]}"
    return None


def _brings_code(snapshot: Snapshot) -> bool:
    return snapshot.config.get("model_file") is not None


def _code_problem(snapshot: Snapshot) -> str | None:
    if not _brings_code(snapshot):
        return None
    return f"config.json asks to run the model's own code (model_file: {snapshot.config.get('model_file')})"


def _architecture_problem(snapshot: Snapshot, runtime: "RuntimeCatalogue") -> str | None:
    version = runtime.version()
    if version is None:
        return "mlx-lm is not installed"
    if not snapshot.model_type:
        return "config.json names no model_type"
    if not runtime.supports(snapshot.model_type, snapshot.architectures):
        return f"mlx-lm {version} has no architecture for model_type '{snapshot.model_type}'"
    return None


def _quantization_problem(snapshot: Snapshot) -> str | None:
    """mlx-lm runs its own `quantization`, and of transformers' `quantization_config` the methods it names."""
    own, other = snapshot.config.get("quantization"), snapshot.config.get("quantization_config")
    if own is not None:
        complete = isinstance(own, dict) and all(
            isinstance(own.get(key), (int, float)) for key in ("bits", "group_size")
        )
        return None if complete else "config.json has a `quantization` without bits and group_size"
    if not other:
        return None
    if not isinstance(other, dict):
        return "config.json has a `quantization_config` that is not an object"
    method = other.get("quant_method")
    if isinstance(method, str) and method in _KNOWN_QUANTIZATIONS:
        return None
    named = method if isinstance(method, str) and method else "an unnamed method"
    return f"mlx-lm cannot load weights quantized with {named}"


def _tokenizer_problem(snapshot: Snapshot, classification: Classification) -> str | None:
    if not classification.generates_text:
        return "not a model that generates text" if classification.framework is not Framework.UNKNOWN else None
    return None if has_tokenizer(snapshot) else "no tokenizer that mlx-lm could load"
