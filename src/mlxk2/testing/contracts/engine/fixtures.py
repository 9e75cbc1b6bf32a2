"""What the tests of the engine contract stand on.

A subclass supplies `loader`, `location` and `question`, and makes sure that `endless` does not end by itself: by naming
the model's `end_tokens`, or by giving another request. Every fixture here may be overridden; those of class scope only
by fixtures of that scope or wider ones.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing

import pytest

from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import Engine, EngineLoader, LoadOptions, Watch
from mlxk2.ports.generation import GenerationRequest, Sampling
from mlxk2.testing.contracts.engine.listening import answered

Load = Callable[[LoadOptions, Watch], Engine]

PREFIX_CACHE_BYTES = 64_000_000
LONG = 600
"""Tokens of a prompt that takes several pieces to process and is worth a place in a prefix cache."""


class EngineFixtures:
    """`cancel_lag` is how many tokens may still be made between a cancellation and the end of the request."""

    cancel_lag = 2

    @pytest.fixture(scope="class")
    @classmethod
    def loader(cls, request: pytest.FixtureRequest) -> EngineLoader:
        """Loads the model under test, as often as it is asked to."""
        raise NotImplementedError(request)

    @pytest.fixture(scope="class")
    @classmethod
    def location(cls, request: pytest.FixtureRequest) -> str:
        """Where the model is: with a chat template, and a context of at least 1,000 tokens."""
        raise NotImplementedError(request)

    @pytest.fixture(scope="class")
    @classmethod
    def question(cls, request: pytest.FixtureRequest) -> str:
        """A text that the model answers with at least five tokens and at most two hundred."""
        raise NotImplementedError(request)

    @pytest.fixture(scope="class")
    @classmethod
    def end_tokens(cls) -> tuple[int, ...]:
        """The ids with which the model ends an answer."""
        return ()

    @pytest.fixture(scope="class")
    @classmethod
    def endless(cls, prompt: tuple[int, ...], end_tokens: tuple[int, ...]) -> GenerationRequest:
        """A request that does not end by itself while a test is looking."""
        return GenerationRequest(prompt, 10**6, Sampling(logit_bias=tuple((token, -100.0) for token in end_tokens)))

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls, loader: EngineLoader, location: str) -> Iterator[Engine]:
        """The engine that the tests share."""
        with closing(loader.load(location, LoadOptions(prefix_cache_bytes=PREFIX_CACHE_BYTES))) as engine:
            yield engine

    @pytest.fixture
    def load(self, loader: EngineLoader, location: str) -> Iterator[Load]:
        """Loads engines of a test's own, which are closed after it."""
        with ExitStack() as opened:

            def load(options: LoadOptions, watch: Watch) -> Engine:
                return opened.enter_context(closing(loader.load(location, options, watch)))

            yield load

    @pytest.fixture(scope="class")
    @classmethod
    def prompt(cls, engine: Engine, question: str) -> tuple[int, ...]:
        return engine.render([Message("user", question)]).tokens

    @pytest.fixture(scope="class")
    @classmethod
    def long_prompt(cls, engine: Engine, question: str) -> tuple[int, ...]:
        return tuple(engine.tokenize(f"{question} " * LONG)[:LONG])

    @pytest.fixture(scope="class")
    @classmethod
    def mixed(cls, prompt: tuple[int, ...], long_prompt: tuple[int, ...]) -> list[GenerationRequest]:
        """Twelve greedy requests with prompts and answers of different lengths."""
        prompts = [prompt, *(long_prompt[:length] for length in (1, 2, 7, 33, 64, 100, 257, 300, 511)), prompt, prompt]
        return [GenerationRequest(tokens, 5 + 3 * place) for place, tokens in enumerate(prompts)]

    @pytest.fixture(scope="class")
    @classmethod
    def quiet(cls, engine: Engine, mixed: list[GenerationRequest]) -> list[str]:
        """What each of `mixed` is answered when it is alone."""
        return [answered(engine, request).text for request in mixed]
