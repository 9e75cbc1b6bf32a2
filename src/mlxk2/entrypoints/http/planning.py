"""What is asked of one model, and the plan that is made of it in a thread, since all of it may take its time."""

from collections.abc import Iterator
from dataclasses import dataclass

from mlxk2.domain.answer import Answer
from mlxk2.domain.usecases.prepare_answers import AnswerLimits, Prepared, Question, Reader, prepare
from mlxk2.domain.usecases.serve_models import Lease
from mlxk2.ports.generation import GenerationRequest


@dataclass(frozen=True, slots=True)
class Asked:
    """What a door has read from a request: the model, what it is asked, and whether the answer comes in pieces.

    Answers are numbered through all questions: those of the first one first.
    """

    reference: str
    questions: tuple[Question, ...]
    stream: bool = False


@dataclass(frozen=True, slots=True)
class Planned:
    """One answer that is to be made, and what reads the events on its request."""

    request: GenerationRequest
    answer: Answer
    reader: Reader


@dataclass(frozen=True, slots=True)
class Plan:
    """All questions as they were prepared, and the answers to be made. `is_budgeted`: one may be cut and continued."""

    prepared: tuple[Prepared, ...]
    answers: tuple[Planned, ...]

    @property
    def is_budgeted(self) -> bool:
        return any(one.budget is not None for one in self.prepared)


def plan(lease: Lease, questions: tuple[Question, ...], limits: AnswerLimits) -> Plan:
    """Waits for the engine. Raises as `prepare`."""
    prepared = tuple(prepare(lease, question, limits) for question in questions)
    return Plan(prepared, tuple(planned for one in prepared for planned in _planned(one)))


def _planned(prepared: Prepared) -> Iterator[Planned]:
    for request in prepared.requests:
        answer = prepared.answer()
        yield Planned(request, answer, prepared.reader(request, answer))
