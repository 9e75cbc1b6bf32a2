"""Log-probabilities as OpenAI's chat answers have them."""

from collections.abc import Iterable

from mlxk2.entrypoints.http.openai.chat.replies import ChoiceLogprobs, TokenLogprob, TopLogprob
from mlxk2.entrypoints.http.openai.endings import finite
from mlxk2.ports.generation import TokenChance, TokenLogprobs

_HALF = "\ufffd"


def logprobs_of(tokens: Iterable[TokenLogprobs]) -> ChoiceLogprobs:
    return ChoiceLogprobs([_token(one) for one in tokens])


def _bytes(text: str) -> list[int] | None:
    return None if _HALF in text else list(text.encode())


def _token(one: TokenLogprobs) -> TokenLogprob:
    chosen = one.chosen
    return TokenLogprob(chosen.text, finite(chosen.logprob), _bytes(chosen.text), [_top(other) for other in one.top])


def _top(other: TokenChance) -> TopLogprob:
    return TopLogprob(other.text, finite(other.logprob), _bytes(other.text))
