"""Log-probabilities as OpenAI's text completions have them."""

from collections.abc import Iterable

from mlxk2.entrypoints.http.openai.completions.replies import TextLogprobs
from mlxk2.entrypoints.http.openai.endings import finite
from mlxk2.ports.generation import TokenLogprobs


def text_logprobs(tokens: Iterable[TokenLogprobs], offset: int) -> TextLogprobs:
    """`offset` is where the first of them begins, in characters of the tokens' texts.

    Of two tokens that are written alike the more probable one is reported at a place.
    """
    made = TextLogprobs([], [], [], [])
    for one in tokens:
        made.tokens.append(one.chosen.text)
        made.token_logprobs.append(finite(one.chosen.logprob))
        made.top_logprobs.append({other.text: finite(other.logprob) for other in reversed(one.top)})
        made.text_offset.append(offset)
        offset += len(one.chosen.text)
    return made
