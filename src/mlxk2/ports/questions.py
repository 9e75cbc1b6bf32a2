"""What else a server is asked about a model that it holds.

Bodies of the server's `/engine` paths, as those of `ports/attachment.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ToTokenize:
    """`/engine/tokenize`; the reply is a list of token ids."""

    model: str
    text: str


@dataclass(frozen=True, slots=True)
class ToDetokenize:
    """`/engine/detokenize`; the reply is a string."""

    model: str
    tokens: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ToCount:
    """`/engine/stats`: the reply is an `EngineStats`."""

    model: str
