"""What is asked of an engine and what it answers: plain values that may cross threads and processes."""

from collections.abc import Callable
from enum import Enum
from typing import Literal, NamedTuple

from mlxk2.ports.errors import Mlxk2Error

REPETITION_WINDOW = 20
"""How many of the last tokens, prompt included, the repetition penalty looks at: mlx-lm's default."""


JSON_WHITESPACE = r" |\n[ \t]{0,20}"
"""What may stand between the parts of JSON that is held to a schema: a space, or an indented new line.

Left to itself, a small model fills its limit with blanks.
"""


class Sampling(NamedTuple):
    """How the next token is drawn.

    `temperature` 0 takes the most probable token, whatever the filters say. `top_p` 1, `top_k` 0, `min_p` 0,
    `repetition_penalty` 1 and the other penalties at 0 are off. The filters look at the probabilities before the
    temperature, as mlx-lm's do. `repetition_penalty` looks at the last 20 tokens, prompt included; `presence_penalty`
    and `frequency_penalty` at all generated tokens, as OpenAI defines them. `logit_bias` holds (token id, what is added
    to its logit). With a `seed` the draws depend on nothing but the request.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0
    repetition_penalty: float = 1.0
    presence_penalty: float = 0.0
    frequency_penalty: float = 0.0
    logit_bias: tuple[tuple[int, float], ...] = ()
    seed: int | None = None


class Structure(NamedTuple):
    """A form that the whole output is held to: a JSON schema, a regular expression or a grammar in Lark's notation."""

    kind: Literal["json_schema", "regex", "lark"]
    text: str


class GenerationRequest(NamedTuple):
    """What to generate.

    `prompt` holds at least one token id, `max_tokens` is at least 1; an answer that fills the model's context before
    that ends there, with `LENGTH`. `logprobs` is how many of the most probable tokens to report beside each generated
    one (0: only its own), None for no log-probabilities at all. `borders` are the places of the prompt where a message
    ends (`RenderedPrompt.borders`). The range of every parameter stands in `ports/checking.py`.
    """

    prompt: tuple[int, ...]
    max_tokens: int
    sampling: Sampling = Sampling()
    logprobs: int | None = None
    structure: Structure | None = None
    borders: tuple[int, ...] = ()


class FinishReason(Enum):
    """Why an answer ended.

    An end token or a completed structure; the limit of tokens or the end of the context; a cancellation.
    """

    STOP = "stop"
    LENGTH = "length"
    CANCELLED = "cancelled"


class TokenChance(NamedTuple):
    """A token, its text (alone, so possibly half a character), and its natural log-probability."""

    token: int
    text: str
    logprob: float


class TokenLogprobs(NamedTuple):
    """A generated token and the most probable ones at its place, best first.

    Probabilities are the model's own: before penalties, bias, structure and temperature.
    """

    chosen: TokenChance
    top: tuple[TokenChance, ...] = ()


class Queued(NamedTuple):
    """The request waits for its turn to reach the engine, `place` 1 is next; told again when the place changes.

    No engine sends it: it comes from the gate that stands before one.
    """

    place: int


class PromptProgress(NamedTuple):
    """So many tokens of the prompt are processed, out of `total`; the first `cached` of them came from the cache."""

    processed: int
    total: int
    cached: int = 0


class Delta(NamedTuple):
    """New text, the new tokens behind it, and how many have been generated so far.

    Text may be empty while a character is incomplete. `logprobs` has one entry a token when they were asked for.
    """

    text: str
    generated_tokens: int
    tokens: tuple[int, ...] = ()
    logprobs: tuple[TokenLogprobs, ...] = ()


class Finished(NamedTuple):
    """The engine is done with the request.

    `generated_tokens` counts the end token too. Times are seconds since the request was started. `cached_tokens` of
    the prompt were not computed again.
    """

    reason: FinishReason
    prompt_tokens: int
    generated_tokens: int
    first_token_seconds: float
    total_seconds: float
    cached_tokens: int = 0


class Failed(NamedTuple):
    """The request ended with an error; the engine itself goes on."""

    error: Mlxk2Error


Event = Queued | PromptProgress | Delta | Finished | Failed
Sink = Callable[[Event], None]
"""Receives a request's events in order, from a thread of the engine; `Finished` or `Failed` comes last, once.

It returns at once and raises nothing: a sink that raises ends its own request and no other.
"""
