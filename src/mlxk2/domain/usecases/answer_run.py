"""One answer of an opened model on its way, for a caller that reads the events in its own thread."""

from mlxk2.domain.admission import TicketId
from mlxk2.domain.text.outputs import Output
from mlxk2.domain.usecases.open_model_records import OpenedModel
from mlxk2.domain.usecases.prepare_answers import Prepared
from mlxk2.ports.generation import Event, FinishReason, Sink


class AnswerRun:
    """`start` it once, and `read` every event that the sink gets. `answer` is what has been read so far.

    `context_length` in tokens, None when it is not known.
    """

    def __init__(self, opened: OpenedModel, prepared: Prepared) -> None:
        self.request = prepared.requests[0]
        self.answer = prepared.answer()
        self.context_length = opened.engine.info().context_length
        self._gate = opened.gate
        self._ticket: TicketId | None = None
        self._is_unwanted = False

    @property
    def fills_context(self) -> bool:
        """The answer ended because the model's context has no room for more."""
        answer = self.answer
        if self.context_length is None or answer.finish_reason is not FinishReason.LENGTH:
            return False
        return answer.prompt_tokens + answer.completion_tokens >= self.context_length

    def start(self, sink: Sink) -> None:
        self._ticket = self._gate.submit(self.request, sink)
        if self._is_unwanted:
            self._gate.cancel(self._ticket)

    def read(self, event: Event) -> list[Output]:
        """What the event adds to the answer, possibly nothing. A stop string ends the work on it."""
        outputs = self.answer.read(event)
        if self.answer.stopped and not self._is_unwanted:
            self.cancel()
        return outputs

    def cancel(self) -> None:
        """Nobody wants more of it; the last event still comes. It may be called again, and before the start."""
        self._is_unwanted = True
        if self._ticket is not None:
            self._gate.cancel(self._ticket)
