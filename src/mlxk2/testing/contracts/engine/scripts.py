"""Scripts with which a `MemoryEngine` passes the contract, wherever it runs: in this process or behind another."""

from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import GenerationRequest, Structure
from mlxk2.testing.contracts.engine.structures import GRAMMAR, PATTERN, SCHEMA, SNOWMEN, SPACED, SPACED_TEXT

ENDLESS = GenerationRequest(tuple(map(ord, "forever")), 10**6)
"""A request to which `free` does not come to an end."""

_HELD = {
    SCHEMA: '{"command": "list", "count": 3}',
    PATTERN: "2026-11",
    GRAMMAR: "the answer is yes",
    SNOWMEN: "☃☃☃",
    SPACED: SPACED_TEXT,
}


def free(prompt: str) -> str:
    """Says back what it was asked, cut to 150 characters; on and on where the prompt speaks of forever."""
    return "on and on, " * 20_000 if "forever" in prompt else f"You asked: {prompt}"[:150]


def held(structure: Structure, prompt: str) -> str:
    """Fits the structures of the contract and refuses all others."""
    del prompt
    if structure not in _HELD:
        raise ValidationError("This structure cannot be understood: correct it and ask again")
    return _HELD[structure]
