"""Reasoning held to a budget, on the scripted engine.

A token is a character there: the mark that begins reasoning has seven, and only the last of them counts as reasoning.
"""

import queue
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from mlxk2.adapters.memory import MemoryEngine
from mlxk2.adapters.memory.engine import MEMORY_INFO
from mlxk2.domain.answer import Answer
from mlxk2.domain.text.outputs import Output, ReasoningDelta, TextDelta
from mlxk2.domain.text.reader import Reading
from mlxk2.domain.thinking_budget import BudgetedAnswer, ThinkingBudget, thinking_budget, without_reasoning
from mlxk2.ports.engine import EngineInfo, LoadOptions, Markers
from mlxk2.ports.errors import EngineFailure, ValidationError
from mlxk2.ports.generation import (
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptProgress,
    Queued,
    Sampling,
    Structure,
)

START, END = "<think>", "</think>"
MARKERS = Markers(START, END)
INFO = MEMORY_INFO._replace(markers=MARKERS)
MARK = tuple(map(ord, END))
PROMPT = tuple(map(ord, "Why?"))
THOUGHT = "hm " * 100
BUDGET = 20
CUT = BUDGET + len(START) - 1
"""So many tokens are generated before the cut."""


def endless(prompt: str) -> str:
    """Thinks on and on, unless its thinking is over."""
    return "Yes." if prompt.endswith(END) else f"{START}{THOUGHT}"


@dataclass
class Course:
    """What came of one answer: `cancels` counts, `requests` are those that the engine got."""

    answer: Answer
    requests: list[GenerationRequest] = field(default_factory=list)
    outputs: list[Output] = field(default_factory=list)
    cancels: int = 0


def run(
    engine: MemoryEngine, request: GenerationRequest, budget: ThinkingBudget, stops: tuple[str, ...] = ()
) -> Course:
    """Do as `BudgetedAnswer` says until the answer is done."""
    course = Course(Answer(stops, Reading(engine.info().markers)))
    budgeted = BudgetedAnswer(budget, request, course.answer)
    events: queue.SimpleQueue[Event] = queue.SimpleQueue()
    running = engine.start(request, events.put)
    told = False
    while not course.answer.done:
        course.outputs += budgeted.read(events.get(timeout=10))
        if (budgeted.spent or course.answer.stopped) and not told:
            engine.cancel(running)
            course.cancels += 1
            told = True
        if more := budgeted.continuation():
            running, told = engine.start(more, events.put), False
    course.requests = engine.requests
    return course


def read_all(budgeted: BudgetedAnswer, *events: Event) -> list[Output]:
    return [output for event in events for output in budgeted.read(event)]


def budget_of(tokens: int, structure: Structure | None = None, info: EngineInfo = INFO) -> ThinkingBudget:
    return thinking_budget(tokens, info, structure, lambda text: [ord(char) for char in text])


@pytest.fixture
def engine() -> Iterator[MemoryEngine]:
    engine = MemoryEngine(endless, info=INFO)
    yield engine
    engine.close()


def asking(max_tokens: int = 200, structure: Structure | None = None) -> GenerationRequest:
    return GenerationRequest(PROMPT, max_tokens, structure=structure)


def test_reasoning_ends_at_its_budget_and_the_answer_follows(engine: MemoryEngine) -> None:
    course = run(engine, asking(), budget_of(BUDGET))
    assert (course.answer.reasoning, course.answer.text) == (THOUGHT[: BUDGET - 1].strip(), "Yes.")
    assert course.answer.finish_reason is FinishReason.STOP
    assert course.cancels == 1


def test_the_answer_goes_on_from_what_was_thought_and_the_mark(engine: MemoryEngine) -> None:
    first, second = run(engine, asking(), budget_of(BUDGET)).requests
    thought = tuple(map(ord, f"{START}{THOUGHT}"[:CUT]))
    assert second == first._replace(prompt=(*PROMPT, *thought, *MARK), max_tokens=200 - CUT - len(MARK))


def test_tokens_add_up_and_the_prompt_is_the_first_one(engine: MemoryEngine) -> None:
    engine.load(LoadOptions(prefix_cache_bytes=1000))
    answer = run(engine, asking(), budget_of(BUDGET)).answer
    assert (answer.prompt_tokens, answer.cached_tokens) == (len(PROMPT), 0)
    assert answer.completion_tokens == CUT + len(MARK) + len("Yes.") + 1
    assert answer.reasoning_tokens == BUDGET + len(MARK)


def test_what_is_cached_of_the_continuation_is_not_the_client_s() -> None:
    answer = Answer((), Reading(MARKERS))
    budgeted = BudgetedAnswer(budget_of(8), asking(), answer)
    read_all(budgeted, PromptProgress(4, 4, cached=2), *_deltas(f"{START}hm"), _finished(FinishReason.CANCELLED, 10))
    assert budgeted.continuation()
    read_all(budgeted, Queued(1), PromptProgress(20, 20, cached=19))
    assert answer.cached_tokens == 2
    read_all(budgeted, *_deltas("Yes"), _finished(FinishReason.STOP, 4, 19))
    assert answer.cached_tokens == 2
    assert (answer.total_seconds, answer.first_token_seconds) == (1.0, 0.25)


def test_what_comes_after_the_cut_is_neither_shown_nor_counted() -> None:
    answer = Answer((), Reading(MARKERS))
    budgeted = BudgetedAnswer(budget_of(8), asking(), answer)
    outputs = read_all(budgeted, *_deltas(f"{START}hm and on"), _finished(FinishReason.CANCELLED, 16))
    assert outputs == [ReasoningDelta("h")]
    request = budgeted.continuation()
    assert request is not None
    assert request.prompt == (*PROMPT, *map(ord, f"{START}h{END}"))
    assert budgeted.continuation() is None
    assert not answer.done


@pytest.mark.parametrize("length", [0, 2, *range(BUDGET - len(END), BUDGET - 1)])
def test_reasoning_within_its_budget_is_left_alone(length: int) -> None:
    thought = "h" * length
    engine = MemoryEngine(lambda _: f"{START}{thought}{END}Yes.", info=INFO)
    course = run(engine, asking(), budget_of(BUDGET))
    assert (course.answer.reasoning, course.answer.text, len(course.requests)) == (thought, "Yes.", 1)
    engine.close()


def test_a_mark_that_is_never_completed_does_not_put_off_the_end() -> None:
    engine = MemoryEngine(lambda prompt: "Yes." if END in prompt else START + "<" * 100, info=INFO)
    answer = run(engine, asking(), budget_of(BUDGET)).answer
    assert (answer.text, answer.reasoning) == ("Yes.", "<" * (BUDGET - 1 + len(MARK)))
    engine.close()


def test_reasoning_that_the_prompt_has_opened_counts_from_the_first_token() -> None:
    answer = Answer((), Reading(MARKERS, opens_reasoning=True))
    budgeted = BudgetedAnswer(budget_of(2), asking(), answer)
    read_all(budgeted, *_deltas("hmm"))
    assert budgeted.spent
    assert answer.reasoning == "hm"


def test_visible_text_is_not_held_to_the_budget() -> None:
    engine = MemoryEngine(lambda _: "Yes, of course it is.", info=INFO)
    course = run(engine, asking(), budget_of(1))
    assert (course.answer.text, len(course.requests)) == ("Yes, of course it is.", 1)
    engine.close()


@pytest.mark.parametrize("max_tokens", [CUT, CUT + len(MARK)])
def test_without_room_for_an_answer_the_limit_ends_it(engine: MemoryEngine, max_tokens: int) -> None:
    course = run(engine, asking(max_tokens), budget_of(BUDGET))
    assert (course.answer.finish_reason, course.answer.completion_tokens) == (FinishReason.LENGTH, max_tokens)
    assert len(course.requests) == 1


def test_without_room_in_the_context_its_end_ends_it() -> None:
    info = INFO._replace(context_length=len(PROMPT) + CUT + len(MARK))
    engine = MemoryEngine(endless, info=info)
    course = run(engine, asking(), budget_of(BUDGET, info=info))
    assert (course.answer.finish_reason, len(course.requests)) == (FinishReason.LENGTH, 1)
    engine.close()


def test_one_token_more_is_room_enough() -> None:
    info = INFO._replace(context_length=len(PROMPT) + CUT + len(MARK) + 1)
    engine = MemoryEngine(endless, info=info)
    course = run(engine, asking(), budget_of(BUDGET, info=info))
    assert (course.answer.text, course.answer.finish_reason) == ("Y", FinishReason.LENGTH)
    engine.close()


def test_what_follows_has_the_form_that_was_asked_for() -> None:
    before, after = Structure("regex", "before"), Structure("regex", "after")
    engine = MemoryEngine(
        endless, structured=lambda structure, _: f"{START}{THOUGHT}" if structure == before else "ok", info=INFO
    )
    course = run(engine, asking(structure=before), budget_of(BUDGET, after))
    assert ([request.structure for request in course.requests], course.answer.text) == ([before, after], "ok")
    engine.close()


def test_a_stop_string_ends_the_continued_answer(engine: MemoryEngine) -> None:
    course = run(engine, asking(), budget_of(BUDGET), ("s.",))
    assert (course.answer.text, course.answer.stop_matched, course.cancels) == ("Ye", "s.", 2)
    assert course.answer.completion_tokens == CUT + len(MARK) + len("Yes.")


def test_reasoning_cannot_begin_again_where_its_mark_is_a_token() -> None:
    markers = MARKERS._replace(special=((START, 5), (END, 6)))
    budget = budget_of(2, info=INFO._replace(markers=markers))
    request = asking()._replace(sampling=Sampling(logit_bias=((5, 3.0), (9, 1.0))))
    budgeted = BudgetedAnswer(budget, request, Answer((), Reading(markers, opens_reasoning=True)))
    read_all(budgeted, *_deltas("hm"), _finished(FinishReason.CANCELLED, 2))
    more = budgeted.continuation()
    assert more is not None
    assert more.prompt == (*PROMPT, ord("h"), ord("m"), 6)
    assert more.sampling == Sampling(logit_bias=((9, 1.0), (5, -100.0)))


def test_reasoning_that_begins_again_otherwise_is_cut_again() -> None:
    engine = MemoryEngine(lambda prompt: "Yes." if prompt.count(END) == 2 else f"{START}hm {THOUGHT}", info=INFO)
    course = run(engine, asking(), budget_of(BUDGET))
    assert (course.answer.text, len(course.requests), course.cancels) == ("Yes.", 3, 2)
    assert course.answer.completion_tokens == CUT + len(MARK) + len(START) + len(MARK) + len("Yes.") + 1
    engine.close()


def test_a_failure_of_either_request_ends_the_answer() -> None:
    answer = Answer((), Reading(MARKERS))
    budgeted = BudgetedAnswer(budget_of(8), asking(), answer)
    error = EngineFailure("It broke.")
    read_all(budgeted, *_deltas(f"{START}hm"), Failed(error))
    assert (answer.error, budgeted.continuation()) == (error, None)


def test_the_mark_s_tokens_are_those_of_its_text_alone() -> None:
    budget = thinking_budget(9, INFO, None, lambda text: [1, *map(ord, text)])
    assert budget.mark_tokens == MARK


@pytest.mark.parametrize(
    ("tokens", "markers", "told"),
    [
        (0, MARKERS, "thinking_budget 0 is out of range"),
        (9, Markers(), "This model's reasoning cannot be held to a budget"),
        (9, Markers(tool_format="harmony"), "This model's reasoning cannot be held to a budget"),
    ],
)
def test_a_budget_that_cannot_be_kept_is_refused(tokens: int, markers: Markers, told: str) -> None:
    with pytest.raises(ValidationError, match=told) as caught:
        budget_of(tokens, info=INFO._replace(markers=markers))
    assert caught.value.parameter == "thinking_budget"


def test_an_answer_after_its_reasoning_has_no_marks_for_it() -> None:
    assert without_reasoning(MARKERS._replace(tool_format="json_tools")) == Markers(tool_format="json_tools")


def test_text_is_told_as_it_comes(engine: MemoryEngine) -> None:
    outputs = run(engine, asking(), budget_of(BUDGET)).outputs
    assert [output.text for output in outputs if isinstance(output, TextDelta)] == ["Y", "e", "s", "."]


def _deltas(text: str) -> list[Delta]:
    """One a character, but the mark that begins reasoning in one piece with as many tokens as it has characters."""
    head = START if text.startswith(START) else ""
    deltas = [Delta(head, len(head), tuple(map(ord, head)))] if head else []
    rest = text.removeprefix(head)
    return [*deltas, *(Delta(char, count, (ord(char),)) for count, char in enumerate(rest, len(head) + 1))]


def _finished(reason: FinishReason, generated: int, cached: int = 2) -> Finished:
    return Finished(reason, len(PROMPT), generated, 0.25, 0.5, cached)
