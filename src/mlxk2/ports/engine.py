"""The MLX runtime: what it can load, and one loaded model that generates."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from mlxk2.ports.generation import GenerationRequest, Message, Sink

RequestId = int


@dataclass(frozen=True, slots=True)
class LoadOptions:
    """`trust_remote_code` allows a model to run Python files of its own; off unless the user says so."""

    trust_remote_code: bool = False


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What the loaded model says of itself; the vocabulary size is in tokens."""

    has_chat_template: bool
    has_thinking_switch: bool
    vocab_size: int


class Engine(Protocol):
    """One loaded model. Calls come from any thread and never block on generation."""

    def info(self) -> EngineInfo: ...

    def render(self, messages: Sequence[Message], *, thinking: bool | None = None) -> list[int]:
        """Chat template to token ids; `thinking` None keeps the template's own default.

        Raises `errors.OperationError` when the template fails.
        """

    def tokenize(self, text: str) -> list[int]:
        """Plain text to token ids, with the special tokens that the model puts first."""

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        """Queue a request; events go to `sink`."""

    def cancel(self, request_id: RequestId) -> None:
        """End a request early; its sink gets `Finished` with `CANCELLED`. Unknown ids are ignored."""

    def close(self) -> None:
        """Drop the model and end the engine's thread. Running requests finish as cancelled."""


class EngineLoader(Protocol):
    """Loads a snapshot into an engine."""

    def load(self, location: str, options: LoadOptions) -> Engine:
        """Blocks until the model is ready. Raises `errors.OperationError` with the reason when it cannot be loaded."""


class RuntimeCatalogue(Protocol):
    """Which architectures the installed mlx-lm has, found without importing it."""

    def version(self) -> str | None:
        """mlx-lm's version, or None when it is not installed."""

    def supports(self, model_type: str, architectures: Sequence[str]) -> bool:
        """Whether a config with this `model_type` and these `architectures` finds a model class."""
