"""One answer: its events in order, its counts, its limits."""

import pytest

from mlxk2.ports.engine import Engine, LoadOptions, unwatched
from mlxk2.ports.errors import ContextExceeded
from mlxk2.ports.generation import Delta, FinishReason, GenerationRequest, PromptProgress, Sampling
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures, Load
from mlxk2.testing.contracts.engine.listening import Listener, answered


class Answering(EngineFixtures):
    def test_an_answer_ends_with_stop_and_says_its_numbers(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        answer = answered(engine, GenerationRequest(prompt, 200))
        last = answer.finished()
        assert last.reason is FinishReason.STOP
        assert last.prompt_tokens == len(prompt)
        assert 5 <= last.generated_tokens <= 200
        assert answer.text
        assert 0 < last.first_token_seconds <= last.total_seconds

    def test_the_prompt_is_processed_whole_before_the_first_text(
        self, engine: Engine, long_prompt: tuple[int, ...]
    ) -> None:
        answer = answered(engine, GenerationRequest(long_prompt, 3))
        kinds = [type(event) for event in answer.events]
        assert kinds.index(Delta) > max(place for place, kind in enumerate(kinds) if kind is PromptProgress)
        processed = [event.processed for event in answer.progress]
        assert processed == sorted(processed)
        assert processed[-1] == len(long_prompt)
        assert {event.total for event in answer.progress} == {len(long_prompt)}

    def test_every_token_is_counted_once(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        """But for the end token: no delta carries it, though text that was held back may follow on it."""
        answer = answered(engine, GenerationRequest(prompt, 200))
        made = 0
        for delta in answer.deltas:
            made += len(delta.tokens)
            assert delta.generated_tokens == made or (delta.generated_tokens == made + 1 and not delta.tokens)
        assert answer.finished().generated_tokens - made in (
            0,
            1,
        )  # an end token has no text, and what was held back may follow it

    @pytest.mark.parametrize("limit", [1, 2, 5])
    def test_the_limit_of_tokens_is_exact(self, engine: Engine, prompt: tuple[int, ...], limit: int) -> None:
        answer = answered(engine, GenerationRequest(prompt, limit))
        assert answer.finished().reason is FinishReason.LENGTH
        assert answer.finished().generated_tokens == limit == len(answer.tokens)

    def test_the_tokens_are_those_of_the_text(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        answer = answered(engine, GenerationRequest(prompt, 200))
        assert engine.detokenize(answer.tokens) == answer.text

    def test_a_limited_answer_is_the_beginning_of_the_whole(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        whole = answered(engine, GenerationRequest(prompt, 200)).tokens
        assert answered(engine, GenerationRequest(prompt, 4)).tokens == whole[:4]

    @pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.0, top_p=0.9, top_k=40, seed=7)])
    def test_the_same_request_gives_the_same_text(
        self, engine: Engine, prompt: tuple[int, ...], sampling: Sampling
    ) -> None:
        request = GenerationRequest(prompt, 20, sampling)
        assert answered(engine, request).text == answered(engine, request).text

    def test_a_prompt_of_one_token_is_answered(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        assert answered(engine, GenerationRequest(prompt[:1], 3)).finished().prompt_tokens == 1

    def test_a_prompt_may_hold_any_token(self, engine: Engine) -> None:
        last = engine.info().vocab_size - 1
        assert answered(engine, GenerationRequest((0, last, last // 2, 0), 3)).finished().prompt_tokens == 4

    def test_an_answer_ends_where_the_context_ends(self, load: Load, endless: GenerationRequest) -> None:
        engine = load(LoadOptions(context_length=len(endless.prompt) + 9), unwatched)
        assert engine.info().context_length == len(endless.prompt) + 9
        last = answered(engine, endless).finished()
        assert (last.reason, last.generated_tokens) == (FinishReason.LENGTH, 9)

    def test_a_prompt_that_fills_the_context_is_refused_with_both_numbers(
        self, load: Load, long_prompt: tuple[int, ...]
    ) -> None:
        engine = load(LoadOptions(context_length=100), unwatched)
        for length in (100, 101, 600):
            error = Listener(engine, GenerationRequest(long_prompt[:length], 1)).failure()
            assert isinstance(error, ContextExceeded)
            assert (error.prompt_tokens, error.context_length) == (length, 100)
        fitting = GenerationRequest(long_prompt[:99], 5)
        assert answered(engine, fitting).finished().generated_tokens == 1
