"""Prompts that begin like earlier ones: less work, the same answer, and honest numbers."""

import pytest

from mlxk2.ports.engine import LoadOptions, unwatched
from mlxk2.ports.generation import GenerationRequest
from mlxk2.testing.contracts.engine.fixtures import PREFIX_CACHE_BYTES, EngineFixtures, Load
from mlxk2.testing.contracts.engine.listening import all_answered, answered

WITHOUT = LoadOptions()
WITH = LoadOptions(prefix_cache_bytes=PREFIX_CACHE_BYTES)


class Prefixes(EngineFixtures):
    @pytest.fixture(scope="class")
    @classmethod
    def endings(cls, long_prompt: tuple[int, ...], prompt: tuple[int, ...]) -> list[GenerationRequest]:
        """The same long beginning, four times with an end of its own."""
        return [GenerationRequest((*long_prompt, *prompt[: 3 + place]), 12) for place in range(4)]

    def test_a_prompt_that_comes_again_is_not_computed_again(self, load: Load, long_prompt: tuple[int, ...]) -> None:
        engine = load(WITH, unwatched)
        request = GenerationRequest(long_prompt, 12)
        first, second = answered(engine, request), answered(engine, request)
        assert first.finished().cached_tokens == 0
        assert 0 < second.finished().cached_tokens < len(long_prompt)
        assert second.text == first.text

    def test_a_shared_beginning_is_reused_and_changes_no_answer(
        self, load: Load, endings: list[GenerationRequest]
    ) -> None:
        cold = load(WITHOUT, unwatched)
        expected = [answered(cold, request).text for request in endings]
        warm = load(WITH, unwatched)
        answers = [answered(warm, request) for request in endings]
        assert [answer.text for answer in answers] == expected
        assert [answer.finished().cached_tokens > 0 for answer in answers] == [False, True, True, True]

    def test_several_may_reuse_the_same_beginning_at_once(self, load: Load, endings: list[GenerationRequest]) -> None:
        engine = load(WITH, unwatched)
        expected = [answered(engine, request).text for request in endings]
        answers = all_answered(engine, endings * 3)
        assert [answer.text for answer in answers] == expected * 3
        assert all(answer.finished().cached_tokens > 0 for answer in answers)

    def test_the_conversation_that_goes_on_reuses_what_was_said(
        self, load: Load, long_prompt: tuple[int, ...], prompt: tuple[int, ...]
    ) -> None:
        engine = load(WITH, unwatched)
        first = answered(engine, GenerationRequest(long_prompt, 12))
        turn = GenerationRequest((*long_prompt, *first.tokens, *prompt), 12)
        second = answered(engine, turn)
        assert second.finished().cached_tokens >= len(long_prompt) // 2
        assert answered(load(WITHOUT, unwatched), turn).text == second.text

    def test_progress_and_end_tell_the_same_number(self, load: Load, long_prompt: tuple[int, ...]) -> None:
        engine = load(WITH, unwatched)
        for _ in range(2):
            answer = answered(engine, GenerationRequest(long_prompt, 2))
            assert {event.cached for event in answer.progress} == {answer.finished().cached_tokens}
            assert all(event.processed >= event.cached for event in answer.progress)

    def test_without_a_cache_nothing_is_reused(self, load: Load, long_prompt: tuple[int, ...]) -> None:
        engine = load(WITHOUT, unwatched)
        for _ in range(2):
            assert answered(engine, GenerationRequest(long_prompt, 2)).finished().cached_tokens == 0
        stats = engine.stats()
        assert (stats.prefix_cache_bytes, stats.prefix_cache_entries) == (0, 0)

    def test_the_cache_keeps_within_its_bytes(self, load: Load, long_prompt: tuple[int, ...]) -> None:
        roomy = load(WITH, unwatched)
        answered(roomy, GenerationRequest(long_prompt, 2))
        one = roomy.stats().prefix_cache_bytes
        assert one > 0
        tight = load(LoadOptions(prefix_cache_bytes=int(one * 2.5)), unwatched)
        for place in range(6):
            answered(tight, GenerationRequest(long_prompt[place:], 2))
            assert tight.stats().prefix_cache_bytes <= int(one * 2.5)
        assert tight.stats().prefix_cache_entries >= 1
