"""One answer, assembled from an engine's events: text up to the stop string, true counts, the reason it ended."""

from collections.abc import Sequence

from mlxk2.domain.stopping import StopMatcher
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Delta, Event, Failed, Finished, FinishReason


class Answer:
    """`feed` every event in order; `text` is what was let through so far. Tokens after a stop are not counted."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._matcher = StopMatcher(stops)
        self._pieces: list[str] = []
        self._tokens_at_stop: int | None = None
        self._finished: Finished | None = None
        self.error: Mlxk2Error | None = None

    def feed(self, event: Event) -> str:
        """The new text to show, possibly empty."""
        if isinstance(event, Delta):
            return self._keep(self._on_delta(event))
        if isinstance(event, Finished):
            self._finished = event
        else:
            self.error = event.error if isinstance(event, Failed) else None
        return self._keep(self._matcher.finish())

    @property
    def stopped(self) -> bool:
        """A stop string was found: the engine may be told to cancel."""
        return self._matcher.stopped

    @property
    def done(self) -> bool:
        return self._finished is not None or self.error is not None

    @property
    def text(self) -> str:
        return "".join(self._pieces)

    @property
    def finish_reason(self) -> FinishReason:
        if self.stopped:
            return FinishReason.STOP
        return self._finished.reason if self._finished else FinishReason.CANCELLED

    @property
    def completion_tokens(self) -> int:
        if self._tokens_at_stop is not None:
            return self._tokens_at_stop
        return self._finished.generated_tokens if self._finished else 0

    @property
    def prompt_tokens(self) -> int:
        return self._finished.prompt_tokens if self._finished else 0

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

    def _on_delta(self, delta: Delta) -> str:
        if self.stopped:
            return ""
        text = self._matcher.feed(delta.text)
        if self.stopped:
            self._tokens_at_stop = delta.generated_tokens
        return text

    def _keep(self, text: str) -> str:
        if text:
            self._pieces.append(text)
        return text
