"""What is the same at the end of both kinds of answers: why it ended, what it used, how long it took."""

from typing import Literal

from msgspec import UNSET, UnsetType

from mlxk2 import __version__
from mlxk2.domain.answer import Answer
from mlxk2.entrypoints.http.openai.replies import AnswerTimings, CompletionDetails, CompletionUsage, PromptDetails
from mlxk2.entrypoints.http.run import Run
from mlxk2.ports.errors import Overloaded
from mlxk2.ports.generation import FinishReason

FINGERPRINT = f"mlxk2-{__version__}"
DONE = b"data: [DONE]\n\n"
_DIGITS = 6
_LEAST = -9999.0
"""What OpenAI's API says of a token that cannot come, whose log-probability JSON has no number for."""


def finish_reason_of(answer: Answer) -> Literal["stop", "length", "tool_calls"]:
    """Raises Overloaded for an answer that ended because its engine did."""
    reason = answer.finish_reason
    if reason is FinishReason.CANCELLED:
        raise Overloaded("The model was unloaded before the answer was complete; ask again")
    if reason is FinishReason.LENGTH:
        return "length"
    return "tool_calls" if answer.tool_calls else "stop"


def usage_of(run: Run) -> CompletionUsage:
    prompt, completion = run.prompt_tokens, run.completion_tokens
    reasoning = sum(answer.reasoning_tokens for answer in run.answers)
    return CompletionUsage(
        prompt, completion, prompt + completion, PromptDetails(run.cached_tokens), CompletionDetails(reasoning)
    )


def timings_of(run: Run, *, wanted: bool) -> AnswerTimings | UnsetType:
    if not wanted:
        return UNSET
    times = run.timings
    return AnswerTimings(
        round(times.load_seconds, _DIGITS),
        round(times.queue_seconds, _DIGITS),
        round(times.first_token_seconds, _DIGITS),
        round(times.total_seconds, _DIGITS),
        _speed(run),
    )


def event(data: bytes) -> bytes:
    """One event of a stream."""
    return b"data: %b\n\n" % data


def finite(logprob: float) -> float:
    return max(logprob, _LEAST)


def _speed(run: Run) -> float | None:
    later = run.completion_tokens - len(run.answers)
    elapsed = run.timings.total_seconds - run.timings.first_token_seconds
    return round(later / elapsed, 2) if later > 0 and elapsed > 0 else None
