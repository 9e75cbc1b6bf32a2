"""One request on its way through the scripted engine: waiting, then its prompt piece by piece, then a token a step.

Times are not measured: a first token always takes a quarter of a second and an answer half of one.
"""

from mlxk2.adapters.memory.engine.answers import logprobs
from mlxk2.ports.engine import RequestId
from mlxk2.ports.generation import Delta, Event, Finished, FinishReason, GenerationRequest, PromptProgress, Sink

FIRST_TOKEN_SECONDS = 0.25
TOTAL_SECONDS = 0.5


class Row:
    """`begin` it when its turn has come, then `advance` it until it gives a `Finished`."""

    def __init__(self, request_id: RequestId, request: GenerationRequest, sink: Sink) -> None:
        self.request_id = request_id
        self.request = request
        self.sink = sink
        self.cached = 0
        self.made = 0
        self._answer = ""
        self._limit = 0
        self._processed = 0

    def begin(self, answer: str, limit: int, cached: int) -> None:
        """What it will say, at most how many tokens of it, and how much of its prompt is known already."""
        self._answer = answer
        self._limit = limit
        self._processed = self.cached = cached

    @property
    def is_prefilling(self) -> bool:
        return self._processed < len(self.request.prompt)

    @property
    def tokens(self) -> int:
        """How many tokens it holds in memory."""
        return self._processed + self.made

    def advance(self, chunk: int, vocab_size: int) -> Event:
        """One step: `chunk` tokens of the prompt, or one token of the answer."""
        if self.is_prefilling:
            total = len(self.request.prompt)
            self._processed = min(self._processed + chunk, total)
            return PromptProgress(self._processed, total, self.cached)
        if self.made == self._limit:
            return self.finished(FinishReason.LENGTH)
        place = self.made
        self.made += 1
        if place == len(self._answer):
            return self.finished(FinishReason.STOP)  # the end token, which has no text
        return self._delta(self._answer[place], vocab_size)

    def finished(self, reason: FinishReason) -> Finished:
        first = FIRST_TOKEN_SECONDS if self.made else 0.0
        return Finished(reason, len(self.request.prompt), self.made, first, TOTAL_SECONDS, self.cached)

    def _delta(self, char: str, vocab_size: int) -> Delta:
        token, asked = ord(char), self.request.logprobs
        chances = () if asked is None else (logprobs(token, asked, vocab_size),)
        return Delta(char, self.made, (token,), chances)
