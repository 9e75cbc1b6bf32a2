"""An answer of `run` as the records that programs read: piece by piece, and as a whole."""

from mlxk2.domain.text.outputs import Output as Piece
from mlxk2.domain.text.outputs import ReasoningDelta, TextDelta
from mlxk2.domain.usecases.run_model import RunSession
from mlxk2.entrypoints.cli.answering import SilentView
from mlxk2.entrypoints.cli.output import Output
from mlxk2.entrypoints.cli.records.answers import (
    AnsweringServerObject,
    PromptTokensObject,
    ReasoningEvent,
    RunData,
    RunStartEvent,
    TextEvent,
    TimingsObject,
    UsageObject,
)
from mlxk2.ports.generation import FinishReason


class EventView(SilentView):
    def __init__(self, out: Output) -> None:
        self._out = out

    def begin(self, session: RunSession) -> None:
        self._out.event(RunStartEvent(session.name, session.opened.commit, _answering_server(session)))

    def add(self, piece: Piece) -> None:
        if isinstance(piece, ReasoningDelta):
            self._out.event(ReasoningEvent(piece.text))
        elif isinstance(piece, TextDelta):
            self._out.event(TextEvent(piece.text))


def run_data(session: RunSession, prompt: str, loaded: float) -> RunData:
    """`loaded`: seconds until the model could be asked."""
    answer = session.answer
    return RunData(
        model=session.name,
        prompt=prompt,
        response=answer.text,
        usage=UsageObject(
            answer.prompt_tokens,
            answer.completion_tokens,
            answer.prompt_tokens + answer.completion_tokens,
            PromptTokensObject(answer.cached_tokens),
        ),
        finish_reason="length" if answer.finish_reason is FinishReason.LENGTH else "stop",
        timings=TimingsObject(
            load_seconds=round(loaded, 4),
            first_token_seconds=round(answer.first_token_seconds, 4),
            total_seconds=round(answer.total_seconds, 4),
            tokens_per_second=round(answer.tokens_per_second, 2),
        ),
        reasoning=answer.reasoning or None,
        server=_answering_server(session),
    )


def _answering_server(session: RunSession) -> AnsweringServerObject | None:
    server = session.opened.server
    return None if server is None else AnsweringServerObject(server.url, server.port, server.pid)
