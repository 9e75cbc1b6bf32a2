"""The held-out wordings: read them, score a model on them, and keep them out of the training data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from data import read_toml
from wording import normal

PASS = 64
MAX_TOKENS = 160


@dataclass(frozen=True)
class Item:
    """One held-out wording and what its answer must and must not contain."""

    required: list[str]
    forbidden: list[str]
    command: str = ""
    question: str = ""
    thinking: bool = False
    not_yet: bool = False
    tools: list[str] = field(default_factory=list)
    system: str = ""
    history: list[dict[str, Any]] = field(default_factory=list)

    def messages(self) -> list[dict[str, Any]]:
        """The chat up to the answer."""
        first = [{"role": "system", "content": self.system}] if self.system else []
        last = [{"role": "user", "content": self.question}] if self.question else []
        return [*first, *self.history, *last]

    def tool_schemas(self) -> list[dict[str, Any]] | None:
        """The tools offered, as JSON schemas."""
        return [_schema(name) for name in self.tools] or None

    def label(self) -> str:
        """The last thing said by the user."""
        said = [message["content"] for message in self.messages() if message["role"] == "user"]
        return str(said[-1])


def _schema(name: str) -> dict[str, Any]:
    what = {"get_weather": "weather", "get_time": "time"}[name]
    city = {"type": "string", "description": "Name of the city"}
    parameters = {"type": "object", "properties": {"city": city}, "required": ["city"]}
    function = {"name": name, "description": f"Get the current {what} in a city.", "parameters": parameters}
    return {"type": "function", "function": function}


def load_items() -> list[Item]:
    """All held-out wordings."""
    return [Item(**entry) for entry in read_toml("heldout.toml")["item"]]


def has_term(text: str, term: str) -> bool:
    """Whether a term occurs, as whole words and in any case."""
    left = r"(?<![a-z0-9])" if term[0].isalnum() else ""
    right = r"(?![a-z0-9])" if term[-1].isalnum() else ""
    return re.search(left + re.escape(term.lower()) + right, text.lower()) is not None


def problem(item: Item, text: str, *, stopped: bool) -> str:
    """Why an answer is wrong, or an empty string."""
    if not stopped:
        return "does not stop"
    answer = text.strip()
    if item.thinking:
        if not answer.startswith("<think>") or answer.count("</think>") != 1:
            return "has no think block"
        answer = answer.split("</think>")[1]
    elif "think>" in answer:
        return "thinks although thinking is off"
    if "<tool_call>" in answer and (reason := _bad_call(answer)):
        return reason
    missing = [term for term in item.required if not has_term(answer, term)]
    wrong = [term for term in item.forbidden if has_term(answer, term)]
    return f"lacks {missing}" if missing else f"contains {wrong}" if wrong else ""


def _bad_call(answer: str) -> str:
    found = re.fullmatch(r"<tool_call>\n(.*)\n</tool_call>", answer.strip(), re.DOTALL)
    if not found:
        return "is not a single tool call"
    try:
        call = json.loads(found[1])
    except ValueError:
        return "has a tool call that is no JSON"
    return "" if set(call) == {"name", "arguments"} else "has a tool call with wrong keys"


def score(answer: Callable[[Item], tuple[str, bool]], items: Iterable[Item]) -> int:
    """Ask all items, print each miss and the figure; return the number of right answers."""
    right, total = 0, 0
    for item in items:
        total += 1
        text, stopped = answer(item)
        reason = problem(item, text, stopped=stopped)
        right += not reason
        if reason:
            print(f"miss: {item.label()!r} {reason}\n      {text[:200]!r}")
    print(f"held-out: {right}/{total}")
    return right


class Guard:
    """Refuses training questions that are held out, also with their words in another order."""

    def __init__(self, items: Iterable[Item]) -> None:
        self._texts = {normal(text) for item in items for text in _user_texts(item)}
        self._sorted = {" ".join(sorted(text.split())) for text in self._texts}

    def check(self, question: str) -> None:
        """Raise if a question is held out."""
        text = normal(question)
        if text in self._texts or " ".join(sorted(text.split())) in self._sorted:
            raise ValueError(f"this wording is held out and must not be trained: {question!r}")


def _user_texts(item: Item) -> list[str]:
    """What is held out: the question, or the question before a tool result."""
    if item.question:
        return [item.question]
    return [message["content"] for message in item.history if message["role"] == "user"]
