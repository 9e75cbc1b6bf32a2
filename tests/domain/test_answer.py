"""An answer assembled from events."""

from mlxk2.domain.answer import Answer
from mlxk2.domain.text.outputs import CallMade, ReasoningDelta, TextDelta
from mlxk2.domain.text.reader import Reading
from mlxk2.ports.conversation import Tool, ToolCall
from mlxk2.ports.engine import Markers
from mlxk2.ports.errors import OperationError
from mlxk2.ports.generation import Delta, Failed, Finished, FinishReason, PromptProgress, Queued


def test_text_and_counts_are_those_of_the_events() -> None:
    answer = Answer(())
    shown = [
        answer.feed(event) for event in (Delta("Hel", 1), Delta("lo", 2), Finished(FinishReason.STOP, 7, 3, 1.0, 2.0))
    ]
    assert shown == ["Hel", "lo", ""]
    assert (answer.text, answer.prompt_tokens, answer.completion_tokens) == ("Hello", 7, 3)
    assert (answer.finish_reason, answer.done) == (FinishReason.STOP, True)
    assert (answer.first_token_seconds, answer.total_seconds, answer.tokens_per_second) == (1.0, 2.0, 2.0)


def test_tokens_after_a_stop_string_are_neither_shown_nor_counted() -> None:
    answer = Answer(("lo",))
    events = (Delta("Hel", 1), Delta("lo", 2), Delta(" you", 3), Finished(FinishReason.CANCELLED, 7, 4, 1.0, 2.0))
    assert "".join(answer.feed(event) for event in events) == "Hel"
    assert (answer.stopped, answer.completion_tokens, answer.finish_reason) == (True, 2, FinishReason.STOP)


def test_it_is_told_which_stop_string_was_found() -> None:
    answer = Answer(("never", "lo"))
    assert (answer.feed(Delta("Hel", 1)), answer.stop_matched) == ("He", None)
    answer.feed(Delta("lo you", 2))
    assert answer.stop_matched == "lo"


def test_text_held_back_for_a_stop_comes_out_at_the_end() -> None:
    answer = Answer(("lots",))
    answer.feed(Delta("Hello", 1))
    assert answer.text == "Hel"
    answer.feed(Finished(FinishReason.LENGTH, 1, 1, 0.1, 0.1))
    assert (answer.text, answer.finish_reason) == ("Hello", FinishReason.LENGTH)


def test_a_failure_ends_the_answer_and_is_kept() -> None:
    answer = Answer(())
    error = OperationError("out of memory")
    answer.feed(Delta("Hel", 1))
    answer.feed(Failed(error))
    assert (answer.done, answer.error, answer.text) == (True, error, "Hel")


def test_one_token_has_no_speed() -> None:
    answer = Answer(())
    assert (answer.tokens_per_second, answer.completion_tokens, answer.done) == (0.0, 0, False)
    answer.feed(Finished(FinishReason.LENGTH, 1, 1, 0.1, 0.1))
    assert answer.tokens_per_second == 0.0


def test_reasoning_and_calls_stand_beside_the_text() -> None:
    reading = Reading(Markers("<think>", "</think>", tool_format="json_tools"), (Tool("f"),))
    answer = Answer((), reading)
    events = (
        Delta("<think>hm", 1),
        Delta('</think>Look: <tool_call>{"name": "f"}', 2),
        Finished(FinishReason.STOP, 7, 3, 1.0, 2.0, cached_tokens=4),
    )
    outputs = [output for event in events for output in answer.read(event)]
    call = ToolCall("f", "{}", "call_0")
    assert outputs == [ReasoningDelta("hm"), TextDelta("Look:"), CallMade(0, call)]
    assert (answer.reasoning, answer.text, answer.tool_calls, answer.cached_tokens) == ("hm", "Look:", (call,), 4)


def test_waiting_and_the_prompt_s_progress_add_nothing_to_the_answer() -> None:
    answer = Answer(())
    assert [answer.feed(Queued(3)), answer.feed(PromptProgress(5, 9, cached=5))] == ["", ""]
    assert (answer.done, answer.cached_tokens) == (False, 5)


def test_what_was_read_is_kept_in_its_order() -> None:
    reading = Reading(Markers(tool_format="json_tools"), (Tool("f"),))
    answer = Answer((), reading)
    answer.read(Delta('one<tool_call>{"name": "f"}</tool_call>two', 1))
    call = ToolCall("f", "{}", "call_0")
    assert answer.outputs == (TextDelta("one"), CallMade(0, call), TextDelta("two"))


THINKING = Reading(Markers("<think>", "</think>"))


def test_tokens_of_the_reasoning_are_counted_with_its_marks() -> None:
    answer = Answer((), THINKING)
    pieces = ("<think>", "hm", " hm", "</think>", "\n", "Yes", ".")
    for count, piece in enumerate(pieces, 1):
        answer.read(Delta(piece, count))
    assert answer.reasoning_tokens == 4


def test_an_answer_says_whether_it_reasons() -> None:
    answer = Answer((), THINKING)
    reasons = []
    for count, piece in enumerate(("<think>", "hm", "</think>", "Yes"), 1):
        answer.read(Delta(piece, count))
        reasons.append(answer.reasons)
    assert reasons == [True, True, False, False]


def test_an_answer_whose_reasoning_the_template_opened_reasons_from_the_start() -> None:
    assert Answer((), Reading(Markers("<think>", "</think>"), opens_reasoning=True)).reasons


def test_an_answer_in_harmony_syntax_says_whether_it_reasons() -> None:
    answer = Answer((), Reading(Markers(tool_format="harmony")))
    reasons = []
    for piece in ("<|channel|>analysis<|message|>", "hm", "<|end|>"):
        answer.read(Delta(piece, 1))
        reasons.append(answer.reasons)
    assert reasons == [True, True, False]
