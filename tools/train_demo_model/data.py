"""The pairs of the demo model: read them, draw questions from them, list all wordings."""

from __future__ import annotations

import math
import random
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wording import as_typed, every, pick, shorten

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Group:
    """One thing to know: many questions, one answer."""

    command: str
    questions: tuple[str, ...]
    followups: tuple[str, ...]
    answer: str
    think: str
    words: dict[str, list[str]]

    @property
    def weight(self) -> float:
        """How often it is drawn: wider groups more often, but not in proportion."""
        return math.pow(len(self.questions), 0.45)


@dataclass(frozen=True)
class Exchange:
    """A question as typed, the thought and the answer."""

    question: str
    think: str
    answer: str


def read_toml(name: str) -> dict[str, Any]:
    """Read a TOML file next to this one."""
    return tomllib.loads((HERE / name).read_text(encoding="utf-8"))


def load_groups() -> list[Group]:
    """All groups of pairs.toml and smalltalk.toml."""
    groups = []
    for name in ("pairs.toml", "smalltalk.toml"):
        data = read_toml(name)
        for entry in data["group"]:
            followups = tuple(entry.get("followups", ()))
            questions = tuple(entry["questions"])
            groups.append(Group(entry["command"], questions, followups, entry["answer"], entry["think"], data["words"]))
    return groups


class Pairs:
    """Draws exchanges about the program, small talk and sums."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.groups = load_groups()
        self.skills = read_toml("skills.toml")
        self._weights = [group.weight for group in self.groups]
        self._following = [group for group in self.groups if group.followups]

    def known(self) -> Exchange:
        """A question of one of the groups."""
        group = self.rng.choices(self.groups, self._weights)[0]
        text = pick(self.rng.choice(group.questions), group.words, self.rng)
        if self.rng.random() < 0.08:
            text = shorten(text, self.rng)
        return Exchange(self.typed(text, around=0.22), group.think, group.answer)

    def followup(self) -> Exchange:
        """A question that needs another one before it."""
        group = self.rng.choice(self._following)
        text = pick(self.rng.choice(group.followups), group.words, self.rng)
        return Exchange(self.typed(text), group.think, group.answer)

    def sum(self) -> Exchange:
        """A sum of two digits, or now and then one that is too hard."""
        rng, skill = self.rng, self.skills["sums"]
        a = rng.randrange(10)
        b = a if rng.random() < 0.12 else rng.randrange(10)
        words = sum_words(skill, a, b, rng.randrange(10, 1000), rng.randrange(10, 100))
        if rng.random() < 0.07:
            text = pick(rng.choice(skill["others"]), words, rng)
            return Exchange(self.typed(text), skill["others_think"], skill["others_answer"])
        text = pick(rng.choice(skill["questions"]), words, rng)
        return Exchange(self.typed(text, around=0.15), f"{a} plus {b} makes {a + b}.", f"{a} + {b} is {a + b}.")

    def echo(self, name: str) -> Exchange:
        """A word to be copied into the answer."""
        skill = self.rng.choice(self.skills["echo"])
        text = pick(self.rng.choice(skill["questions"]), {"name": [name]}, self.rng)
        text = text[:1].upper() + text[1:] if self.rng.random() < 0.5 else text
        return Exchange(text, skill["think"].replace("{name}", name), skill["answer"].replace("{name}", name))

    def typed(self, text: str, around: float = 0.0) -> str:
        """The text as a person types it, perhaps with a few words around it."""
        prompts = self.skills["prompts"]
        if self.rng.random() < around:
            text = self.rng.choice(prompts["before"]) + text
        if self.rng.random() < around / 2:
            text = text + self.rng.choice(prompts["after"])
        return as_typed(text, self.rng)


def sum_words(skill: dict[str, Any], a: int, b: int, n: int, m: int) -> dict[str, list[str]]:
    """The word lists of a sum."""
    return {"plus": skill["plus"], "a": [str(a)], "b": [str(b)], "n": [str(n)], "m": [str(m)]}


def all_wordings(cities: list[str]) -> Iterator[str]:
    """Every wording of the training data, without the variations of spelling."""
    for group in load_groups():
        for text in (*group.questions, *group.followups):
            yield from every(text, group.words)
    skills = read_toml("skills.toml")
    for a in range(10):
        for b in range(10):
            words = sum_words(skills["sums"], a, b, 10, 10)
            for text in (*skills["sums"]["questions"], *skills["sums"]["others"]):
                yield from every(text, words)
    for skill in skills["echo"]:
        for text in skill["questions"]:
            yield from every(text, {"name": cities})
    for name in ("weather", "time"):
        for text in skills[name]["questions"]:
            yield from every(text, {"city": cities})
