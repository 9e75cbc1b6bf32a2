"""Wordings: choices such as "{a|b}" are expanded, and people's spelling is imitated."""

from __future__ import annotations

import itertools
import random
import re
from collections.abc import Iterator, Mapping, Sequence

Words = Mapping[str, Sequence[str]]

_SPACES = re.compile(r"\s+")
_SPACE_BEFORE_COMMA = re.compile(r"\s+([,?])")


def _closing(text: str, start: int) -> int:
    depth = 0
    for index in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[index], 0)
        if depth == 0:
            return index
    raise ValueError(f"a brace is not closed: {text!r}")


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for char in text:
        depth += {"{": 1, "}": -1}.get(char, 0)
        if char == "|" and depth == 0:
            parts.append("")
        else:
            parts[-1] += char
    return parts


def _pieces(text: str, words: Words) -> list[list[str]]:
    """Cut a wording into pieces, each a list of alternatives (still to be expanded)."""
    pieces: list[list[str]] = []
    while (start := text.find("{")) >= 0:
        end = _closing(text, start)
        inner = text[start + 1 : end]
        pieces.append([text[:start]])
        pieces.append(list(words[inner]) if inner in words else _split(inner))
        text = text[end + 1 :]
    return [*pieces, [text]]


def tidy(text: str) -> str:
    """Remove the spaces that empty choices leave behind."""
    return _SPACE_BEFORE_COMMA.sub(r"\1", _SPACES.sub(" ", text)).strip()


def pick(text: str, words: Words, rng: random.Random) -> str:
    """One random expansion of a wording."""

    def expand(part: str) -> str:
        if "{" not in part:
            return part
        return "".join(expand(rng.choice(piece)) for piece in _pieces(part, words))

    return tidy(expand(text))


def every(text: str, words: Words) -> Iterator[str]:
    """All expansions of a wording."""

    def expand(part: str) -> list[str]:
        if "{" not in part:
            return [part]
        lists = [list(dict.fromkeys(e for p in piece for e in expand(p))) for piece in _pieces(part, words)]
        return ["".join(choice) for choice in itertools.product(*lists)]

    return map(tidy, expand(text))


def normal(text: str) -> str:
    """A wording without case, punctuation and spacing, to compare two of them."""
    return " ".join(re.findall(r"[a-z0-9+*/@-]+", text.lower()))


def misspell(text: str, rng: random.Random) -> str:
    """Swap, drop or double one letter inside a longer word."""
    places = [match.span() for match in re.finditer(r"\b[a-z]{4,}\b", text)]
    if not places:
        return text
    start, end = rng.choice(places)
    at = rng.randrange(start + 1, end - 1)
    kind = rng.randrange(3)
    if kind == 0:
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    return text[:at] + text[at + 1 :] if kind == 1 else text[:at] + text[at] + text[at:]


def shorten(text: str, rng: random.Random) -> str:
    """Leave out one word of a longer sentence, so that no single word decides."""
    words = text.split(" ")
    if len(words) >= 6:
        del words[rng.randrange(len(words))]
    return " ".join(words)


def respell(name: str, rng: random.Random) -> str:
    """Add, drop or change a few letters of a name."""
    letters = list(name.lower())
    for _ in range(rng.choice([1, 1, 2, 3])):
        at, letter = rng.randrange(len(letters)), rng.choice("abcdefghijklmnopqrstuvwxyz")
        letters[at] = rng.choice([letter, letter + letters[at], letters[at] + letter])
    return "".join(letters)


def as_typed(text: str, rng: random.Random, typos: float = 0.12) -> str:
    """Vary case, end mark and spelling the way people type."""
    style = rng.random()
    if style < 0.5:
        text = text[:1].upper() + text[1:]
    elif style < 0.9:
        text = text.lower()
    elif style < 0.92:
        text = text.upper()
    if rng.random() < typos:
        text = misspell(text, rng)
    if text[-1:].isalnum():
        text += rng.choice(["", "", "?", "?", ".", "!"] if rng.random() < 0.3 else ["", "?"])
    return text
