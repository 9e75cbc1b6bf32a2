"""What the scripted engine does beyond the contract: its scripts, its made-up numbers, and breaking on demand."""

import sys
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from mlxk2.adapters.memory import MEMORY_INFO, Manner, MemoryEngine, MemoryEngineLoader
from mlxk2.ports.conversation import Message, RenderOptions, Tool
from mlxk2.ports.engine import KvCost, KvLayers, Loading, LoadOptions, Markers, Stepped
from mlxk2.ports.errors import EngineFailure, NotEnoughMemory, OperationError, ValidationError
from mlxk2.ports.generation import FinishReason, GenerationRequest, PromptProgress, Sampling, Structure
from mlxk2.testing.contracts.engine import Listener
from mlxk2.testing.contracts.engine.listening import eventually

GREEDY = Sampling()


def asking(prompt: str, limit: int = 100, sampling: Sampling = GREEDY) -> GenerationRequest:
    return GenerationRequest(tuple(map(ord, prompt)), limit, sampling)


def said(engine: MemoryEngine, request: GenerationRequest) -> str:
    listener = Listener(engine, request)
    listener.finished()
    return listener.text


@pytest.fixture
def echo() -> Iterator[MemoryEngine]:
    with closing(MemoryEngine(lambda prompt: prompt)) as engine:
        yield engine


def test_a_token_is_a_character_and_half_a_pair_reads_as_a_replacement(echo: MemoryEngine) -> None:
    assert echo.tokenize("aé☃") == [97, 233, 9731]
    assert echo.detokenize([97, 0xD800]) == "a\ufffd"
    assert said(echo, GenerationRequest((97, 0xDFFF, 98), 5)) == "a\ufffdb"


def test_the_times_are_always_the_same(echo: MemoryEngine) -> None:
    last = Listener(echo, asking("abc")).finished()
    assert (last.generated_tokens, last.first_token_seconds, last.total_seconds) == (4, 0.25, 0.5)


def test_bias_leaves_characters_out_or_takes_nothing_else(echo: MemoryEngine) -> None:
    ban = Sampling(logit_bias=((ord("b"), -100.0),))
    assert said(echo, asking("abcb", sampling=ban)) == "ac"
    assert said(echo, asking("b", sampling=ban)) == ""
    assert said(echo, asking("abc", 4, Sampling(logit_bias=((ord("z"), 100),)))) == "zzzz"
    assert said(echo, asking("abc", sampling=Sampling(logit_bias=((ord("a"), -99.0),)))) == "abc"


def test_a_seed_names_where_a_sampled_answer_begins(echo: MemoryEngine) -> None:
    assert said(echo, asking("abcd", sampling=Sampling(temperature=1.0, seed=6))) == "cdab"
    assert said(echo, asking("abcd", sampling=Sampling(temperature=1.0))) == "abcd"
    assert said(echo, asking("abcd", sampling=Sampling(seed=6))) == "abcd"


def test_log_probabilities_halve_from_place_to_place(echo: MemoryEngine) -> None:
    listener = Listener(echo, asking("a")._replace(logprobs=3))
    listener.end()
    (entry,) = listener.logprobs
    assert [chance.text for chance in entry.top] == ["a", "b", "c"]
    assert [round(chance.logprob, 3) for chance in entry.top] == [-0.693, -1.386, -2.079]
    assert entry.chosen == entry.top[0]


def test_structures_have_a_script_of_their_own() -> None:
    form = Structure("regex", "[0-9]+")
    with closing(MemoryEngine(lambda _: "free", structured=lambda asked, _: f"{asked.kind} 7")) as engine:
        assert said(engine, asking("hi")._replace(structure=form)) == "regex 7"
        assert said(engine, asking("hi")) == "free"
    with closing(MemoryEngine(lambda _: "free")) as engine:
        error = Listener(engine, asking("hi")._replace(structure=form)).failure()
        assert "structured=" in error.message


def test_what_a_script_raises_is_the_failure_of_its_request_alone() -> None:
    def script(prompt: str) -> str:
        if prompt == "big":
            raise NotEnoughMemory("Too big", needed_bytes=2, limit_bytes=1)
        return {"good": "fine"}[prompt]

    with closing(MemoryEngine(script)) as engine:
        listeners = [Listener(engine, asking(prompt)) for prompt in ("good", "big", "unknown", "good")]
        assert isinstance(listeners[1].failure(), NotEnoughMemory)
        assert isinstance(listeners[2].failure(), EngineFailure)
        assert [listener.finished() and listener.text for listener in listeners[::3]] == ["fine", "fine"]


def test_a_script_that_asks_the_program_to_end_fails_its_request_alone() -> None:
    def script(prompt: str) -> str:
        return prompt if prompt == "stay" else sys.exit(prompt)

    with closing(MemoryEngine(script)) as engine:
        assert isinstance(Listener(engine, asking("leave")).failure(), EngineFailure)
        assert said(engine, asking("stay")) == "stay"


class Unanswerable(list[int]):
    """Steps at which an engine breaks, of which it finds out in the third that nobody can say."""

    def __contains__(self, step: object) -> bool:
        if step == 3:
            raise SystemExit("nobody knows")
        return False


def test_whatever_breaks_the_engine_itself_fails_those_who_wait_and_those_who_come_later() -> None:
    engine = MemoryEngine(
        lambda prompt: prompt, info=MEMORY_INFO._replace(max_rows=1), manner=Manner(broken_steps=Unanswerable())
    )
    running, waiting = Listener(engine, asking("abcdef")), Listener(engine, asking("xyz"))
    assert "broke: nobody knows; load the model again" in running.failure().message
    assert isinstance(waiting.failure(), EngineFailure)
    assert "closed" in Listener(engine, asking("later")).failure().message
    engine.close()


def test_it_breaks_at_the_steps_it_is_told_to_and_goes_on() -> None:
    with closing(MemoryEngine(lambda prompt: prompt, manner=Manner(broken_steps={3}))) as engine:
        error = Listener(engine, asking("abcdef")).failure()
        assert isinstance(error, EngineFailure)
        assert said(engine, asking("abcdef")) == "abcdef"
        assert engine.stats().restarts == 1


def test_those_who_wait_survive_a_break() -> None:
    held, go_on = threading.Event(), threading.Event()

    def script(prompt: str) -> str:
        held.set()
        assert go_on.wait(60)
        return prompt

    engine = MemoryEngine(script, info=MEMORY_INFO._replace(max_rows=1), manner=Manner(broken_steps={3}))
    with closing(engine):
        first = Listener(engine, asking("abcdef"))
        assert held.wait(60)
        second = Listener(engine, asking("xyz"))
        assert engine.stats().waiting == 1
        go_on.set()
        assert isinstance(first.failure(), EngineFailure)
        assert second.finished().reason is FinishReason.STOP


def test_a_prompt_is_read_in_pieces_one_a_step() -> None:
    with closing(MemoryEngine(lambda _: "ok", manner=Manner(prefill_chunk=4))) as engine:
        listener = Listener(engine, asking("ten tokens"))
        listener.end()
    assert listener.progress == [PromptProgress(4, 10), PromptProgress(8, 10), PromptProgress(10, 10)]


def test_a_watch_that_waits_holds_the_engine_after_a_step() -> None:
    go_on = threading.Semaphore(0)
    stepped: list[int] = []

    def watch(what: Loading | Stepped) -> None:
        if isinstance(what, Stepped):
            stepped.append(what.busy)
            assert go_on.acquire(timeout=60)

    engine = MemoryEngine(lambda _: "abc")
    engine.load(LoadOptions(), watch)
    listener = Listener(engine, asking("x"))
    listener.wait_for(PromptProgress)
    assert engine.stats().decoding == 1
    assert listener.text == ""
    go_on.release(100)
    listener.finished()
    engine.close()
    assert stepped == [1, 1, 1, 1, 0]


def test_the_oldest_prompts_leave_a_full_prefix_cache() -> None:
    engine = MemoryEngine(lambda _: "ok")
    engine.load(LoadOptions(prefix_cache_bytes=8))
    with closing(engine):
        for prompt in ("aaaa", "bbbb", "aaaa!", "cccc", "too long for it"):
            said(engine, asking(prompt))
        assert engine.stats().prefix_cache_entries == 0
        for prompt in ("aaaa", "bbbb", "aaaa"):
            said(engine, asking(prompt))
        said(engine, asking("cccc"))
        assert engine.stats().prefix_cache_bytes == 8
        assert Listener(engine, asking("bbbb")).finished().cached_tokens == 0
        assert Listener(engine, asking("cccc")).finished().cached_tokens == 3


def test_memory_is_counted_as_the_info_says() -> None:
    kv = KvCost((KvLayers(10), KvLayers(100, window=2)), fixed_bytes=1000)
    info = MEMORY_INFO._replace(kv=kv, weights_bytes=5000)
    seen: list[int] = []
    engine = MemoryEngine(lambda _: "ab", info=info)
    engine.load(LoadOptions(), lambda _: seen.append(engine.stats().kv_bytes))
    with closing(engine):
        assert engine.stats().active_bytes == 5000
        said(engine, asking("abc"))
    assert seen[1:] == [1000 + 30 + 200, 1000 + 40 + 200, 1000 + 50 + 200, 0]


def test_thinking_opens_the_reasoning_where_the_model_has_a_switch() -> None:
    info = MEMORY_INFO._replace(has_thinking_switch=True, markers=Markers("<think>", "</think>"))
    engine = MemoryEngine(lambda prompt: prompt, info=info)
    on = engine.render([Message("user", "hi")], options=RenderOptions(thinking=True))
    assert engine.detokenize(on.tokens) == "user: hi\n<think>"
    assert on.opens_reasoning
    assert not engine.render([Message("user", "hi")]).opens_reasoning


def test_a_conversation_is_rendered_line_by_line(echo: MemoryEngine) -> None:
    messages = [Message("system", "be kind"), Message("assistant", "hm", reasoning="why?")]
    tokens = echo.render(messages, [Tool("add", "Adds", "{}")]).tokens
    assert echo.detokenize(tokens) == "function add {}: Adds\nsystem: be kind\nassistant thinks: why?\nassistant: hm\n"


def test_without_a_chat_template_a_conversation_is_refused() -> None:
    engine = MemoryEngine(lambda prompt: prompt, info=MEMORY_INFO._replace(has_chat_template=False))
    with pytest.raises(OperationError, match="no chat template"):
        engine.render([Message("user", "hi")])


def test_the_smaller_of_two_limits_binds() -> None:
    engine = MemoryEngine(lambda prompt: prompt, info=MEMORY_INFO._replace(context_length=50, max_rows=4))
    engine.load(LoadOptions(context_length=20, max_rows=8))
    assert (engine.info().context_length, engine.info().max_rows) == (20, 4)
    engine.load(LoadOptions())
    assert engine.info().context_length == 50


def test_an_engine_that_is_loaded_again_begins_anew() -> None:
    loader = MemoryEngineLoader(MemoryEngine(lambda prompt: prompt))
    engine = loader.load("here", LoadOptions())
    assert said(engine, asking("abc")) == "abc"
    engine.close()
    assert engine.closed
    again = loader.load("here", LoadOptions(max_rows=2))
    with closing(again):
        assert again.stats().steps == 0
        assert said(again, asking("abc")) == "abc"
    assert [options.max_rows for _, options in loader.loaded] == [32, 2]


def test_a_loader_can_make_an_engine_for_each_location() -> None:
    loader = MemoryEngineLoader(lambda location: MemoryEngine(lambda _: location))
    with closing(loader.load("one", LoadOptions())) as one, closing(loader.load("two", LoadOptions())) as two:
        assert [said(engine, asking("?")) for engine in (one, two, one)] == ["one", "two", "one"]


def test_a_sink_may_close_the_engine(echo: MemoryEngine) -> None:
    ended = threading.Event()

    def sink(_: object) -> None:
        echo.close()
        ended.set()

    echo.start(asking("abc"), sink)
    assert ended.wait(60)
    echo.close()
    assert echo.stats().decoding == 0


def test_what_arrives_in_the_last_moment_is_told_its_end_too() -> None:
    held, go_on = threading.Event(), threading.Event()

    def script(prompt: str) -> str:
        held.set()
        assert go_on.wait(60)
        return prompt

    engine = MemoryEngine(script)
    first = Listener(engine, asking("abc"))
    assert held.wait(60)
    good, wrong = Listener(engine, asking("xyz")), Listener(engine, asking(""))
    closing_thread = threading.Thread(target=engine.close)
    closing_thread.start()
    assert eventually(lambda: engine.closed)
    go_on.set()
    closing_thread.join()
    assert {listener.finished().reason for listener in (first, good)} == {FinishReason.CANCELLED}
    assert isinstance(wrong.failure(), ValidationError)


def test_every_request_is_remembered_even_a_wrong_one(echo: MemoryEngine) -> None:
    wrong = asking("")
    Listener(echo, wrong).failure()
    assert echo.requests == [wrong]
