"""The contract of `Engine`: events in order, true counts, cancellation at once, and no request that harms the next."""

import queue
from collections.abc import Callable, Iterator

import pytest

from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import Engine
from mlxk2.ports.generation import (
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    Sampling,
    Sink,
)

WAIT_SECONDS = 60.0


def collect(start: Callable[[Sink], object]) -> list[Event]:
    """Every event of one request, up to and including the last."""
    return list(_events(start))


def _events(start: Callable[[Sink], object]) -> Iterator[Event]:
    waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
    start(waiting.put)
    while True:
        event = waiting.get(timeout=WAIT_SECONDS)
        yield event
        if isinstance(event, (Finished, Failed)):
            return


def text_of(events: list[Event]) -> str:
    return "".join(event.text for event in events if isinstance(event, Delta))


class EngineContract:
    """Subclasses supply `engine` (with a chat template) and `question`, which it answers with at least 5 tokens."""

    @pytest.fixture
    def engine(self, request: pytest.FixtureRequest) -> Engine:
        raise NotImplementedError(request)

    @pytest.fixture
    def question(self) -> str:
        raise NotImplementedError

    @pytest.fixture
    def prompt(self, engine: Engine, question: str) -> tuple[int, ...]:
        return engine.render([Message("user", question)]).tokens

    def test_it_tells_what_it_is(self, engine: Engine) -> None:
        assert engine.info().has_chat_template
        assert engine.info().vocab_size > 0

    def test_text_and_conversations_become_token_ids(self, engine: Engine) -> None:
        tokens = engine.tokenize("hello")
        assert tokens
        assert all(isinstance(token, int) and 0 <= token < engine.info().vocab_size for token in tokens)
        assert len(engine.render([Message("system", "be kind"), Message("user", "hello")]).tokens) > len(tokens)

    def test_an_answer_ends_with_stop_and_counts_every_token(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        events = collect(lambda sink: engine.start(GenerationRequest(prompt, 200, Sampling()), sink))
        last = events[-1]
        assert isinstance(last, Finished)
        assert last.reason is FinishReason.STOP
        assert last.prompt_tokens == len(prompt)
        assert text_of(events)
        counts = [event.generated_tokens for event in events if isinstance(event, Delta)]
        assert counts == sorted(counts)
        assert counts[-1] <= last.generated_tokens <= 200
        assert 0 < last.first_token_seconds <= last.total_seconds

    def test_the_limit_of_tokens_is_exact(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        events = collect(lambda sink: engine.start(GenerationRequest(prompt, 3, Sampling()), sink))
        last = events[-1]
        assert isinstance(last, Finished)
        assert (last.reason, last.generated_tokens) == (FinishReason.LENGTH, 3)

    def test_the_same_request_gives_the_same_text(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        request = GenerationRequest(prompt, 12, Sampling(temperature=1.0, top_p=0.9, top_k=40, seed=7))
        first, second = (text_of(collect(lambda sink: engine.start(request, sink))) for _ in range(2))
        assert first == second

    def test_a_cancelled_request_ends_early_and_says_so(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        seen: list[Event] = []
        ids: queue.SimpleQueue[int] = queue.SimpleQueue()

        def start(sink: Sink) -> None:
            def cancel_at_first(event: Event) -> None:
                if not seen:
                    engine.cancel(ids.get(timeout=WAIT_SECONDS))
                seen.append(event)
                sink(event)

            ids.put(engine.start(GenerationRequest(prompt, 200, Sampling()), cancel_at_first))

        last = collect(start)[-1]
        assert isinstance(last, Finished)
        assert last.reason is FinishReason.CANCELLED
        assert last.generated_tokens <= 2

    def test_cancelling_what_is_unknown_is_harmless(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        engine.cancel(10**9)
        assert isinstance(
            collect(lambda sink: engine.start(GenerationRequest(prompt, 2, Sampling()), sink))[-1], Finished
        )

    def test_several_requests_are_all_answered(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        waiting: queue.SimpleQueue[Event] = queue.SimpleQueue()
        for _ in range(3):
            engine.start(GenerationRequest(prompt, 4, Sampling()), waiting.put)
        finished = 0
        while finished < 3:
            finished += isinstance(waiting.get(timeout=WAIT_SECONDS), Finished)
        assert finished == 3

    def test_closing_twice_is_harmless(self, engine: Engine) -> None:
        engine.close()
        engine.close()
        assert engine.info().vocab_size > 0
