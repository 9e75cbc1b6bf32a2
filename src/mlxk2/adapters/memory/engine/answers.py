"""What the scripted engine says, decided whole before its first token.

- Tokens are Unicode code points; a lone surrogate, which no text can hold, reads as U+FFFD.
- A request with a structure is answered by the script for structures, as it is: neither bias nor seed touch it.
- A token with a bias of -100 is left out of the answer; one with a bias of 100 is all of it, up to the limit.
- With a temperature above 0 and a seed, the answer begins at another of its characters, which the seed names.
- Log-probabilities are made up: one half for the chosen token, a quarter for the next code point, and so on.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mlxk2.ports.engine import EngineInfo, KvCost, KvLayers
from mlxk2.ports.errors import OperationError
from mlxk2.ports.generation import GenerationRequest, Sampling, Structure, TokenChance, TokenLogprobs

Script = Callable[[str], str]
"""The prompt as text → the whole answer. It runs in the engine's thread; what it raises fails that request alone."""

StructuredScript = Callable[[Structure, str], str]
"""A structure and the prompt as text → the whole answer; raises ValidationError for a structure it does not know."""

MEMORY_INFO = EngineInfo(
    has_chat_template=True, has_thinking_switch=False, vocab_size=0x110000, kv=KvCost((KvLayers(1),), block=1)
)
"""What a scripted engine says of itself unless told otherwise: every token takes one byte of memory."""


def no_structures(structure: Structure, prompt: str) -> str:
    """The script for structures where none was given."""
    del prompt
    raise OperationError(f"This MemoryEngine has no script for a {structure.kind}; give it one with structured=")


@dataclass(frozen=True, slots=True)
class Scripts:
    """The two scripts of an engine."""

    free: Script
    structured: StructuredScript = no_structures

    def answer(self, request: GenerationRequest, limit: int) -> str:
        """What the engine will say; at most `limit` characters of it are wanted."""
        prompt = text_of_tokens(request.prompt)
        if request.structure is not None:
            return self.structured(request.structure, prompt)
        forced = [token for token, bias in request.sampling.logit_bias if bias >= 100]
        if forced:
            return chr(forced[0]) * limit
        return _without_banned(_begun_elsewhere(self.free(prompt), request.sampling), request.sampling)


def text_of_tokens(tokens: Sequence[int]) -> str:
    return "".join("\ufffd" if 0xD800 <= token <= 0xDFFF else chr(token) for token in tokens)


def logprobs(token: int, top: int, vocab_size: int) -> TokenLogprobs:
    """The made-up chances at the place of `token`."""
    ladder = tuple(
        TokenChance(other, text_of_tokens((other,)), -place * math.log(2))
        for place, other in enumerate(((token + step) % vocab_size for step in range(max(top, 1))), start=1)
    )
    return TokenLogprobs(ladder[0], ladder[:top])


def _begun_elsewhere(answer: str, sampling: Sampling) -> str:
    if sampling.temperature == 0 or sampling.seed is None or not answer:
        return answer
    start = sampling.seed % len(answer)
    return answer[start:] + answer[:start]


def _without_banned(answer: str, sampling: Sampling) -> str:
    banned = {chr(token) for token, bias in sampling.logit_bias if bias <= -100}
    return "".join(char for char in answer if char not in banned) if banned else answer
