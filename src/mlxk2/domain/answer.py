"""One answer, assembled from an engine's events: text up to the stop string, true counts, the reason it ended."""

from collections.abc import Sequence

from mlxk2.domain.text.outputs import CallMade, Output, ReasoningDelta, TextDelta
from mlxk2.domain.text.reader import OutputReader, Reading
from mlxk2.ports.conversation import ToolCall
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Delta, Event, Failed, Finished, FinishReason, PromptProgress, Queued


class Answer:
    """`feed` or `read` every event in order; `text` is what was let through so far. Without a `reading` all is text.

    Tokens after a stop are not counted.
    """

    def __init__(self, stops: Sequence[str], reading: Reading | None = None) -> None:
        self._reader = OutputReader(reading or Reading(), stops)
        self._outputs: list[Output] = []
        self._cached_tokens = 0
        self._seen_tokens = 0
        self._reasoning_tokens = 0
        self._tokens_at_stop: int | None = None
        self._finished: Finished | None = None
        self.error: Mlxk2Error | None = None

    def feed(self, event: Event) -> str:
        """The new text to show, possibly empty."""
        return "".join(output.text for output in self.read(event) if isinstance(output, TextDelta))

    def read(self, event: Event) -> list[Output]:
        """What the event adds to the answer, possibly nothing."""
        if isinstance(event, (Queued, PromptProgress)):
            self._cached_tokens = event.cached if isinstance(event, PromptProgress) else 0
            return []
        outputs = self._on_delta(event) if isinstance(event, Delta) else self._on_end(event)
        self._outputs += outputs
        return outputs

    @property
    def stopped(self) -> bool:
        """A stop string was found: the engine may be told to cancel."""
        return self._reader.stopped

    @property
    def stop_matched(self) -> str | None:
        """The stop string that was found, None as long as none was."""
        return self._reader.stop_matched

    @property
    def reasons(self) -> bool:
        """Whether what comes next would be reasoning."""
        return self._reader.reasons

    @property
    def done(self) -> bool:
        return self._finished is not None or self.error is not None

    @property
    def outputs(self) -> tuple[Output, ...]:
        """All that was read, in order."""
        return tuple(self._outputs)

    @property
    def text(self) -> str:
        return "".join(output.text for output in self._outputs if isinstance(output, TextDelta))

    @property
    def reasoning(self) -> str:
        return "".join(output.text for output in self._outputs if isinstance(output, ReasoningDelta))

    @property
    def tool_calls(self) -> tuple[ToolCall, ...]:
        return tuple(output.call for output in self._outputs if isinstance(output, CallMade))

    @property
    def finish_reason(self) -> FinishReason:
        if self.stopped:
            return FinishReason.STOP
        return self._finished.reason if self._finished else FinishReason.CANCELLED

    @property
    def completion_tokens(self) -> int:
        if self._tokens_at_stop is not None:
            return self._tokens_at_stop
        return self._finished.generated_tokens if self._finished else self._seen_tokens

    @property
    def reasoning_tokens(self) -> int:
        """How many tokens went into reasoning, with the marks around it where they are tokens of their own."""
        return self._reasoning_tokens

    @property
    def prompt_tokens(self) -> int:
        return self._finished.prompt_tokens if self._finished else 0

    @property
    def cached_tokens(self) -> int:
        """How many tokens of the prompt were not computed again."""
        return self._finished.cached_tokens if self._finished else self._cached_tokens

    @property
    def first_token_seconds(self) -> float:
        return self._finished.first_token_seconds if self._finished else 0.0

    @property
    def total_seconds(self) -> float:
        return self._finished.total_seconds if self._finished else 0.0

    @property
    def tokens_per_second(self) -> float:
        """Speed after the first token; 0 when there was no second one."""
        made = self._finished.generated_tokens - 1 if self._finished else 0
        elapsed = self.total_seconds - self.first_token_seconds
        return made / elapsed if made > 0 and elapsed > 0 else 0.0

    def _on_delta(self, delta: Delta) -> list[Output]:
        if self.stopped:
            return []
        reasoned = self._reader.reasons
        outputs = self._reader.feed(delta.text)
        if reasoned or self._reader.reasons:
            self._reasoning_tokens += delta.generated_tokens - self._seen_tokens
        self._seen_tokens = delta.generated_tokens
        if self.stopped:
            self._tokens_at_stop = delta.generated_tokens
        return outputs

    def _on_end(self, event: Finished | Failed) -> list[Output]:
        if isinstance(event, Finished):
            self._finished = event
        else:
            self.error = event.error
        return self._reader.finish()
