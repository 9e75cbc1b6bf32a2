"""The MLX runtime: what it can load, and one loaded model that answers many requests at once."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool
from mlxk2.ports.generation import GenerationRequest, Sink

RequestId = int


class LoadOptions(NamedTuple):
    """`trust_remote_code` allows a model to run Python files of its own; off unless the user says so.

    `context_length` is the most tokens that prompt and answer may have together, None when it is not known.
    `prefix_cache_bytes` bounds the prefix cache; 0 turns it off. `memory_limit` is what MLX may take in bytes, None for
    MLX's own default. `max_rows` is how many requests decode together.
    """

    trust_remote_code: bool = False
    context_length: int | None = None
    prefix_cache_bytes: int = 0
    memory_limit: int | None = None
    max_rows: int = 32


class KvLayers(NamedTuple):
    """Layers that keep `bytes_per_token` together; the last `window` tokens only, or all of them when None."""

    bytes_per_token: int
    window: int | None = None


class KvCost(NamedTuple):
    """What a request's keys and values take: per token, and `fixed_bytes` whatever the length.

    Room is taken in blocks of `block` tokens. Requests that decode together are padded to the longest of them.
    """

    layers: tuple[KvLayers, ...] = ()
    fixed_bytes: int = 0
    block: int = 256


class Markers(NamedTuple):
    """The texts with which the model marks parts of its output; None where it has none.

    `tool_format` names how a tool call is written (docs/tool-calls.md lists them). `special` holds (text, token id) of
    the vocabulary's tokens that ordinary text does not spell: a grammar has to name them by their ids.
    """

    think_start: str | None = None
    think_end: str | None = None
    tool_start: str | None = None
    tool_end: str | None = None
    tool_format: str | None = None
    special: tuple[tuple[str, int], ...] = ()


class EngineInfo(NamedTuple):
    """What the loaded model says of itself.

    `vocab_size` is in tokens, `context_length` too (None: not known), `weights_bytes` as held in memory. `max_rows` is
    how many requests this model can decode together: 1 where its caches cannot be batched. `has_effort_levels`: its
    chat template reads how long to think (`RenderOptions.effort`).
    """

    has_chat_template: bool
    has_thinking_switch: bool
    vocab_size: int
    context_length: int | None = None
    markers: Markers = Markers()
    kv: KvCost = KvCost()
    weights_bytes: int = 0
    max_rows: int = 32
    has_effort_levels: bool = False


class EngineStats(NamedTuple):
    """A look at a running engine; counts are since it was loaded, `*_bytes` are now.

    `waiting` requests have not begun, `prefilling` and `decoding` are at work. `restarts` counts how often the engine
    had to begin anew. `resident_bytes` is what the system counts for the process that holds the model.
    """

    waiting: int = 0
    prefilling: int = 0
    decoding: int = 0
    steps: int = 0
    generated_tokens: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    restarts: int = 0
    kv_bytes: int = 0
    prefix_cache_bytes: int = 0
    prefix_cache_entries: int = 0
    active_bytes: int = 0
    peak_bytes: int = 0
    resident_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Loading:
    """The model is being loaded; `stage` says in a few words with what the engine is busy.

    `abort` ends the loading, which then fails with `errors.EngineFailure`; it may be called from any thread, also from
    within the watch. None where loading cannot be ended.
    """

    stage: str
    abort: Callable[[], None] | None = field(default=None, compare=False)


class Stepped(NamedTuple):
    """A turn of the engine is over, or a part of it that has told tokens: all its events are with their sinks.

    `busy` requests are still in the engine.
    """

    busy: int


Watch = Callable[[Loading | Stepped], None]
"""Follows an engine, from its own thread: while it loads, and after each of its steps.

It returns at once and raises nothing; one that raises harms nobody.
"""


def unwatched(_: Loading | Stepped) -> None:
    """A watch that does nothing."""


class Engine(Protocol):
    """One loaded model. Calls come from any thread and never wait for other requests to be answered.

    From within a sink or a watch, `render`, `tokenize` and `detokenize` may raise `errors.OperationError`: the answer
    of an engine in another process would come through the very thread that waits for it.
    """

    def info(self) -> EngineInfo: ...

    def stats(self) -> EngineStats:
        """What is known at once: those of an engine in another process are a second old at most while it works.

        Whoever is told that a request has ended finds it counted.
        """

    def render(
        self, messages: Sequence[Message], tools: Sequence[Tool] = (), options: RenderOptions = RenderOptions()
    ) -> RenderedPrompt:
        """Chat template to token ids. Raises `errors.OperationError` when the template refuses the conversation."""

    def tokenize(self, text: str) -> list[int]:
        """Plain text to token ids, with the special tokens that the model puts first.

        Raises `errors.ValidationError` for what is not valid Unicode text.
        """

    def detokenize(self, tokens: Sequence[int]) -> str:
        """Token ids to text. Raises `errors.ValidationError` for an id outside the vocabulary."""

    def start(self, request: GenerationRequest, sink: Sink) -> RequestId:
        """Queue a request; events go to `sink`. Never blocks and never raises: what is wrong comes as `Failed`.

        A request that is wrong in itself fails with `errors.ValidationError`, one that the engine could not finish
        through no fault of its own with `errors.EngineFailure`, which is worth another try.
        """

    def cancel(self, request_id: RequestId) -> None:
        """End a request early, wherever it is; its sink gets `Finished` with `CANCELLED`. Unknown ids are ignored."""

    def close(self) -> None:
        """Drop the model and end the engine's thread. Running requests finish as cancelled."""


class EngineLoader(Protocol):
    """Loads a snapshot into an engine."""

    def load(self, location: str, options: LoadOptions, watch: Watch = unwatched) -> Engine:
        """Blocks until the model is ready. Raises `errors.OperationError` with the reason when it cannot be loaded."""


class RuntimeCatalogue(Protocol):
    """Which architectures the installed mlx-lm has, found without importing it."""

    def version(self) -> str | None:
        """mlx-lm's version, or None when it is not installed."""

    def supports(self, model_type: str, architectures: Sequence[str]) -> bool:
        """Whether a config with this `model_type` and these `architectures` finds a model class."""
