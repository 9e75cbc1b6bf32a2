"""From the bytes of a completion request to what is asked of a model."""

from dataclasses import dataclass

from mlxk2.domain.usecases.prepare_answers import AnswerOptions, TextQuestion
from mlxk2.entrypoints.http.openai.absent import absent_field
from mlxk2.entrypoints.http.openai.complaints import complaint, decode
from mlxk2.entrypoints.http.openai.completions.wire import MOST_PROMPTS, CreateCompletion
from mlxk2.entrypoints.http.openai.manner import Manner, manner_of
from mlxk2.entrypoints.http.openai.options import check_common, check_optional, reference_of, sampling_of, stops_of
from mlxk2.ports import checking

DEFAULT_MAX_TOKENS = 16
"""OpenAI's default for this way to ask, and no other."""

Prompt = str | tuple[int, ...]


@dataclass(frozen=True, slots=True)
class CompletionAsked:
    """Which model is asked what, and how answers are to be written; those to each question begin with its echo."""

    reference: str
    questions: tuple[TextQuestion, ...]
    stream: bool
    manner: Manner
    echoes: tuple[str, ...]


def parse_completion(body: bytes) -> CompletionAsked:
    """Raises Refusal and ValidationError for everything that is wrong with the body itself."""
    wire = decode(body, CreateCompletion)
    check_common(wire)
    check_optional("logprobs", wire.logprobs, checking.LOGPROBS)
    prompts = _prompts(wire.prompt)
    answers = 1 if wire.n is None else wire.n
    _check_number(wire, len(prompts), answers)
    options = AnswerOptions(
        sampling=sampling_of(wire),
        max_tokens=DEFAULT_MAX_TOKENS if wire.max_tokens is None else wire.max_tokens,
        stops=stops_of(wire),
        logprobs=wire.logprobs,
        answers=answers,
    )
    questions = tuple(TextQuestion(prompt, options) for prompt in prompts)
    manner = manner_of(wire, {}, logprobs=wire.logprobs is not None)
    return CompletionAsked(reference_of(wire.model), questions, bool(wire.stream), manner, _echoes(wire, prompts))


def _prompts(given: str | list[str | int | list[int]]) -> list[Prompt]:
    if isinstance(given, str):
        return [given]
    texts = [one for one in given if isinstance(one, str)]
    ids = [one for one in given if isinstance(one, int)]
    lists = [tuple(one) for one in given if isinstance(one, list)]
    if len(ids) == len(given):
        return [tuple(ids)]
    if len(texts) == len(given):
        return [*texts]
    if len(lists) == len(given):
        return [*lists]
    raise complaint("prompt", "prompt mixes texts and token ids; send a list of one kind", "invalid_type")


def _check_number(wire: CreateCompletion, prompts: int, answers: int) -> None:
    if prompts * answers > MOST_PROMPTS:
        raise complaint(
            "prompt",
            f"prompt asks for {prompts * answers} answers ({prompts} prompts, {answers} each): ask for at most"
            f" {MOST_PROMPTS} at once",
        )
    if wire.best_of not in (None, answers):
        raise complaint(
            "best_of", f"best_of other than n is not supported: {absent_field(('best_of',))}", "unsupported_value"
        )


def _echoes(wire: CreateCompletion, prompts: list[Prompt]) -> tuple[str, ...]:
    if not wire.echo:
        return ()
    if wire.logprobs is not None:
        raise complaint(
            "echo",
            "echo together with logprobs is not supported: a prompt's are not computed; leave one out",
        )
    texts = tuple(prompt for prompt in prompts if isinstance(prompt, str))
    if len(texts) < len(prompts):
        raise complaint("echo", "echo of token ids is not supported: send the prompt as text, or leave echo out")
    return texts
