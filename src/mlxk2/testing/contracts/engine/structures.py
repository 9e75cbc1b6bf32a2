"""Answers that are held to a form, and forms that nobody can be held to."""

import json
import re

import pytest

from mlxk2.ports.engine import Engine
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import FinishReason, GenerationRequest, Sampling, Structure
from mlxk2.testing.contracts.engine.fixtures import EngineFixtures
from mlxk2.testing.contracts.engine.listening import Listener, all_answered, answered

SCHEMA = Structure(
    "json_schema",
    json.dumps(
        {
            "type": "object",
            "properties": {
                "command": {"enum": ["list", "show", "pull"]},
                "count": {"type": "integer", "minimum": 1, "maximum": 9},
            },
            "required": ["command", "count"],
            "additionalProperties": False,
        }
    ),
)
PATTERN = Structure("regex", r"[0-9]{4}-[0-9]{2}")
GRAMMAR = Structure("lark", 'start: "the answer is " ("yes" | "no")')
SNOWMEN = Structure("regex", "☃{3}")
"""Most vocabularies have no token for a snowman: it takes several, none of which is a character."""
SPACED_TEXT = "  two  spaces\n\n\tand a tab  "
SPACED = Structure("regex", SPACED_TEXT)

IMPOSSIBLE = [
    Structure("json_schema", "{this is not JSON"),
    Structure("json_schema", '{"type": "banana"}'),
    Structure("json_schema", '{"type": "string", "pattern": "("}'),
    Structure("json_schema", '{"type": "integer", "minimum": 5, "maximum": 3}'),
    Structure("regex", "("),
    Structure("lark", "start: nobody_knows"),
    Structure("lark", "start: ("),
]


def fits_schema(text: str) -> bool:
    value = json.loads(text)
    return (
        set(value) == {"command", "count"}
        and value["command"] in ("list", "show", "pull")
        and type(value["count"]) is int
        and 1 <= value["count"] <= 9
    )


class Structures(EngineFixtures):
    """Made for engines that can be held to a structure; a token limit of 200 lets every one of these complete."""

    @pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.5, seed=3)])
    def test_a_schema_is_obeyed(self, engine: Engine, prompt: tuple[int, ...], sampling: Sampling) -> None:
        answer = answered(engine, GenerationRequest(prompt, 200, sampling, structure=SCHEMA))
        assert answer.finished().reason is FinishReason.STOP
        assert fits_schema(answer.text), answer.text

    @pytest.mark.parametrize("sampling", [Sampling(), Sampling(temperature=1.5, seed=3)])
    def test_a_regular_expression_is_obeyed(self, engine: Engine, prompt: tuple[int, ...], sampling: Sampling) -> None:
        answer = answered(engine, GenerationRequest(prompt, 200, sampling, structure=PATTERN))
        assert answer.finished().reason is FinishReason.STOP
        assert re.fullmatch(PATTERN.text, answer.text), answer.text

    def test_a_grammar_is_obeyed(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        answer = answered(engine, GenerationRequest(prompt, 200, structure=GRAMMAR))
        assert answer.finished().reason is FinishReason.STOP
        assert answer.text in ("the answer is yes", "the answer is no")

    def test_a_character_of_several_tokens_arrives_whole(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        answer = answered(engine, GenerationRequest(prompt, 200, structure=SNOWMEN))
        assert answer.text == "☃☃☃" == engine.detokenize(answer.tokens)
        assert {char for delta in answer.deltas for char in delta.text} == {"☃"}

    @pytest.mark.parametrize("limit", [1, 2, 4])
    def test_an_answer_may_be_cut_inside_a_character(self, engine: Engine, prompt: tuple[int, ...], limit: int) -> None:
        answer = answered(engine, GenerationRequest(prompt, limit, structure=SNOWMEN))
        assert answer.finished().generated_tokens == limit
        assert answer.text == engine.detokenize(answer.tokens)

    def test_no_space_is_lost_or_added(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        answer = answered(engine, GenerationRequest(prompt, 200, structure=SPACED))
        assert engine.detokenize(answer.tokens) == SPACED_TEXT
        assert answer.text == SPACED_TEXT

    def test_a_limit_comes_before_the_structure(self, engine: Engine, prompt: tuple[int, ...]) -> None:
        last = answered(engine, GenerationRequest(prompt, 2, structure=SCHEMA)).finished()
        assert (last.reason, last.generated_tokens) == (FinishReason.LENGTH, 2)

    def test_nobody_else_is_held_to_it(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str], prompt: tuple[int, ...]
    ) -> None:
        held = [GenerationRequest(prompt, 200, structure=structure) for structure in (SCHEMA, PATTERN, GRAMMAR)]
        alone = [answered(engine, request).text for request in held]
        answers = all_answered(engine, [*held, *mixed])
        assert [answer.text for answer in answers] == [*alone, *quiet]

    @pytest.mark.parametrize("structure", IMPOSSIBLE, ids=[f"{each.kind} {each.text}" for each in IMPOSSIBLE])
    def test_an_impossible_structure_is_the_error_of_its_request_alone(
        self, engine: Engine, mixed: list[GenerationRequest], quiet: list[str], structure: Structure
    ) -> None:
        good = [Listener(engine, request) for request in mixed[:2]]
        wrong = Listener(engine, mixed[0]._replace(structure=structure))
        assert isinstance(wrong.failure(), ValidationError)
        assert wrong.text == ""
        assert [listener.finished() and listener.text for listener in good] == quiet[:2]
