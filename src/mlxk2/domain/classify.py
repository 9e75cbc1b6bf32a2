"""What a model is: framework, type, capabilities. Decided from facts on disk by the tables below, first match wins.

The organisation's name never decides; words in the model's own name do only when nothing else speaks.
"""

import re
from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

from mlxk2.domain.subject import Subject
from mlxk2.domain.weights import WeightFormat
from mlxk2.ports.contents import SafetensorsHeader


class Framework(Enum):
    MLX = "MLX"
    GGUF = "GGUF"
    PYTORCH = "PyTorch"
    UNKNOWN = "Unknown"


class ModelType(Enum):
    CHAT = "chat"
    EMBEDDING = "embedding"
    BASE = "base"
    UNKNOWN = "unknown"


class Capability(Enum):
    TEXT_GENERATION = "text-generation"
    CHAT = "chat"
    EMBEDDINGS = "embeddings"
    VISION = "vision"
    AUDIO = "audio"


class Classification(NamedTuple):
    framework: Framework
    model_type: ModelType
    capabilities: tuple[Capability, ...]

    @property
    def generates_text(self) -> bool:
        return Capability.TEXT_GENERATION in self.capabilities


Condition = Callable[[Subject], bool]

_ENCODERS = frozenset(
    {
        *("albert", "bert", "camembert", "deberta", "deberta-v2", "distilbert", "electra", "gte", "jina_bert"),
        *("modernbert", "mpnet", "new", "nomic_bert", "roberta", "t5_encoder", "xlm-roberta", "xlm-roberta-xl"),
    }
)
_SPEECH = frozenset({"encodec", "hubert", "kokoro", "mimi", "parakeet", "wav2vec2", "whisper"})
_IMAGES = frozenset({"clip", "dinov2", "flux", "siglip", "stable-diffusion", "vit"})
_EMBEDDING_TAGS = frozenset({"sentence-transformers", "sentence-similarity", "feature-extraction"})
_EMBEDDING_FILES = ("modules.json", "config_sentence_transformers.json")
_BARE_MODEL = re.compile(r"(?!.*(?:For[A-Z]|LMHead)).*Model")
_CLASSIFIER = re.compile(r"For(?:Sequence|Token|Image|Audio)Classification|RewardModel")
_CHAT_WORDS = frozenset({"instruct", "chat", "it"})
_VISION_KEYS = ("vision_config", "vision_tower", "mm_vision_tower", "image_token_id", "image_token_index")
_AUDIO_KEYS = ("audio_config", "audio_token_id", "audio_token_index")


def _weights_are(kind: WeightFormat) -> Condition:
    def condition(subject: Subject) -> bool:
        weights = subject.weights
        return weights is not None and weights.format is kind

    return condition


def _has_mlx_quantization(subject: Subject) -> bool:
    return isinstance(subject.snapshot.config.get("quantization"), dict)


def _card_says_mlx(subject: Subject) -> bool:
    card = subject.snapshot.card
    return card.library_name.lower() == "mlx" or "mlx" in card.tags


def _safetensors_say_mlx(subject: Subject) -> bool:
    snapshot, weights = subject.snapshot, subject.weights
    if weights is None or weights.format is not WeightFormat.SAFETENSORS:
        return False
    headers = (snapshot.files[name].content for name in weights.expected if snapshot.has(name))
    return any(isinstance(header, SafetensorsHeader) and header.format == "mlx" for header in headers)


def _is_image_or_speech_model(subject: Subject) -> bool:
    return subject.snapshot.model_type.lower() in _SPEECH | _IMAGES


def _is_sentence_transformer(subject: Subject) -> bool:
    snapshot = subject.snapshot
    card = snapshot.card
    listed = any(snapshot.expects(name) for name in _EMBEDDING_FILES)
    return listed or card.pipeline_tag in _EMBEDDING_TAGS or not _EMBEDDING_TAGS.isdisjoint(card.tags)


def _is_encoder(subject: Subject) -> bool:
    snapshot = subject.snapshot
    heads = snapshot.architectures
    bare = bool(heads) and all(_BARE_MODEL.fullmatch(head) for head in heads)
    return snapshot.model_type.lower() in _ENCODERS or (bare and "vocab_size" in snapshot.config)


def _is_classifier(subject: Subject) -> bool:
    return any(_CLASSIFIER.search(head) for head in subject.snapshot.architectures)


def _has_chat_template(subject: Subject) -> bool:
    return subject.snapshot.has_chat_template


def _card_says_chat(subject: Subject) -> bool:
    return "conversational" in subject.snapshot.card.tags


def _name_says_chat(subject: Subject) -> bool:
    own_name = subject.name.rsplit("/", 1)[-1].lower()
    return bool(_CHAT_WORDS & set(re.split(r"[-_. ]", own_name)))


def _generates_text(subject: Subject) -> bool:
    snapshot = subject.snapshot
    heads = ("ForCausalLM", "LMHeadModel", "ForConditionalGeneration")
    return (
        any(head.endswith(heads) for head in snapshot.architectures)
        or snapshot.card.pipeline_tag == "text-generation"
        or (bool(snapshot.model_type) and framework_of(subject) is Framework.MLX)
    )


FRAMEWORK_RULES: tuple[tuple[str, Condition, Framework], ...] = (
    ("config.json has MLX's own `quantization`", _has_mlx_quantization, Framework.MLX),
    ("the weights are GGUF", _weights_are(WeightFormat.GGUF), Framework.GGUF),
    ("README says library_name mlx or tag mlx", _card_says_mlx, Framework.MLX),
    ("safetensors metadata says format mlx", _safetensors_say_mlx, Framework.MLX),
    ("the weights are NPZ, as early MLX conversions wrote them", _weights_are(WeightFormat.NPZ), Framework.MLX),
    ("the weights are safetensors", _weights_are(WeightFormat.SAFETENSORS), Framework.PYTORCH),
    ("the weights are PyTorch files", _weights_are(WeightFormat.PYTORCH), Framework.PYTORCH),
)

TYPE_RULES: tuple[tuple[str, Condition, ModelType], ...] = (
    ("an image or speech model", _is_image_or_speech_model, ModelType.UNKNOWN),
    ("a classifier or reward model", _is_classifier, ModelType.UNKNOWN),
    ("sentence-transformers files, task or tag", _is_sentence_transformer, ModelType.EMBEDDING),
    ("an encoder architecture", _is_encoder, ModelType.EMBEDDING),
    ("a chat template", _has_chat_template, ModelType.CHAT),
    ("README has the tag conversational", _card_says_chat, ModelType.CHAT),
    ("the name has the word instruct, chat or it", _name_says_chat, ModelType.CHAT),
    ("a text-generating architecture or task", _generates_text, ModelType.BASE),
)

_CAPABILITIES_OF_TYPE = {
    ModelType.CHAT: (Capability.TEXT_GENERATION, Capability.CHAT),
    ModelType.BASE: (Capability.TEXT_GENERATION,),
    ModelType.EMBEDDING: (Capability.EMBEDDINGS,),
    ModelType.UNKNOWN: (),
}


def framework_of(subject: Subject) -> Framework:
    """The first row of FRAMEWORK_RULES that holds."""
    return next((result for _, holds, result in FRAMEWORK_RULES if holds(subject)), Framework.UNKNOWN)


def classify(subject: Subject) -> Classification:
    """Framework, type and capabilities of a snapshot."""
    snapshot = subject.snapshot
    model_type = next((result for _, holds, result in TYPE_RULES if holds(subject)), ModelType.UNKNOWN)
    capabilities = [*_CAPABILITIES_OF_TYPE[model_type]]
    kind = snapshot.model_type.lower()
    if kind in _IMAGES or any(snapshot.config.get(key) is not None for key in _VISION_KEYS):
        capabilities.append(Capability.VISION)
    if kind in _SPEECH or any(snapshot.config.get(key) is not None for key in _AUDIO_KEYS):
        capabilities.append(Capability.AUDIO)
    return Classification(framework_of(subject), model_type, tuple(capabilities))
