"""Whole training chats: one or more exchanges, with system prompts, thinking and tools."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from data import Exchange, Pairs
from wording import pick, respell

Message = dict[str, Any]


@dataclass
class Chat:
    """Messages to render, the tools offered, whether thinking is on, and the first message to learn."""

    messages: list[Message] = field(default_factory=list)
    tools: list[dict[str, Any]] | None = None
    thinking: bool = False
    learn_from: int = 0

    def user(self, text: str) -> None:
        """Append a user message."""
        self.messages.append({"role": "user", "content": text})

    def reply(self, think: str, answer: str, **more: Any) -> None:
        """Append an answer, with the thought before it if thinking is on."""
        text = f"<think>\n{think}\n</think>\n\n{answer}" if self.thinking else answer
        self.messages.append({"role": "assistant", "content": text, **more})

    def forget_thoughts(self) -> None:
        """Drop the thoughts of earlier answers, as many clients do; then only the last answer is learned."""
        places = [index for index, message in enumerate(self.messages) if message["role"] == "assistant"]
        for index in places[:-1]:
            text = self.messages[index]["content"]
            self.messages[index]["content"] = text.split("</think>\n\n")[-1]
        self.learn_from = places[-1]

    @property
    def questions(self) -> list[str]:
        """What the user says."""
        return [message["content"] for message in self.messages if message["role"] == "user"]


class Chats:
    """Draws training chats."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.pairs = Pairs(rng)
        self.skills = self.pairs.skills

    def draw(self) -> Chat:
        """One chat."""
        chat = self._start()
        if self.rng.random() < 0.17:
            self._offer_tools(chat)
        for turn in range(self._turns()):
            self._exchange(chat, turn)
        if chat.thinking and self.rng.random() < 0.4:
            chat.forget_thoughts()
        return chat

    def _start(self) -> Chat:
        chat = Chat(thinking=self.rng.random() < 0.28)
        if self.rng.random() < 0.25:
            chat.messages.append({"role": "system", "content": self._system()})
        return chat

    def _system(self) -> str:
        systems = self.skills["prompts"]["systems"]
        count = self.rng.choice([1, 1, 1, 1, 2, 3])
        return " ".join(self.rng.sample(systems, count))

    def _turns(self) -> int:
        return self.rng.choices([1, 2, 3, 6], [84, 12, 3, 1])[0]

    def _exchange(self, chat: Chat, turn: int) -> None:
        roll = self.rng.random()
        if chat.tools and roll < 0.56:
            self._ask_tool(chat)
        elif not chat.tools and roll < 0.02:
            self._miss_tool(chat, self.rng.choice(["weather", "time"]))
        else:
            self._plain(chat, self._pair(turn))

    def _pair(self, turn: int) -> Exchange:
        roll = self.rng.random()
        if roll < 0.25:
            return self.pairs.sum()
        if roll < 0.285:
            return self.pairs.echo(self.place(case=True))
        if turn and roll < 0.53:
            return self.pairs.followup()
        return self.pairs.known()

    def _plain(self, chat: Chat, exchange: Exchange) -> None:
        chat.user(exchange.question)
        chat.reply(exchange.think, exchange.answer)

    def place(self, *, case: bool = False) -> str:
        """A name, mostly an invented one, so that names are copied and not learned; in any case if asked."""
        places = self.skills["places"]
        if case and self.rng.random() < 0.4:
            return self.place().lower()
        if self.rng.random() < 0.3:
            return str(self.rng.choice(places["cities"]))
        words = ["".join(self.rng.choices(places["syllables"], k=self.rng.choice([1, 2, 2, 3, 3])))]
        if self.rng.random() < 0.12:
            words.append("".join(self.rng.choices(places["syllables"], k=2)))
        if self.rng.random() < 0.5:
            words = [respell(word, self.rng) for word in words]
        return " ".join(word.capitalize() for word in words)

    def names(self) -> tuple[str, str]:
        """Some names, and the same names in another order: practice in copying, before any chat."""
        first = [self.place(case=True) for _ in range(self.rng.randint(2, 6))]
        return " ".join(first) + "\n", " ".join(self.rng.sample(first, len(first))) + "\n"

    def _offer_tools(self, chat: Chat) -> None:
        kinds = self.rng.choices([["weather"], ["time"], ["weather", "time"], []], [40, 20, 36, 4])[0]
        tools = [self._tool(self.rng.choice(self.skills[kind]["names"]), kind) for kind in kinds]
        if not tools or self.rng.random() < 0.12:
            tools.append(self._tool(self.rng.choice(self.skills["tools"]["distractors"]), "none"))
        self.rng.shuffle(tools)
        chat.tools = tools

    def _tool(self, name: str, kind: str) -> dict[str, Any]:
        rng, words = self.rng, self.skills["tools"]
        parameter = rng.choice(words["parameters"]) if kind != "none" else "text"
        detail = rng.choice(words["parameter_descriptions"]) if kind != "none" else ""
        schema: dict[str, Any] = {"type": "string", "description": detail} if detail else {"type": "string"}
        function: dict[str, Any] = {"name": name}
        text = rng.choice(self.skills[kind]["descriptions"]) if kind != "none" else ""
        if text:
            function["description"] = text
        function["parameters"] = {"type": "object", "properties": {parameter: schema}}
        if rng.random() < 0.8:
            function["parameters"]["required"] = [parameter]
        return {"type": "function", "function": function}

    def _find(self, chat: Chat, kind: str) -> dict[str, Any] | None:
        names = set(self.skills[kind]["names"])
        found = [tool["function"] for tool in chat.tools or [] if tool["function"]["name"] in names]
        return found[0] if found else None

    def _ask_tool(self, chat: Chat) -> None:
        kinds = [kind for kind in ("weather", "time") if self._find(chat, kind)]
        if not kinds or self.rng.random() < 0.04:
            return self._miss_tool(chat, self.rng.choice(["weather", "time"]))
        kind = self.rng.choice(kinds)
        function = self._find(chat, kind)
        assert function is not None
        city = self._put_question(chat, kind)
        parameter = next(iter(function["parameters"]["properties"]))
        call = {"type": "function", "function": {"name": function["name"], "arguments": {parameter: city}}}
        chat.reply(self.skills[kind]["think"].replace("{city}", city), "", tool_calls=[call])
        self._use_result(chat, kind, city)
        return None

    def _put_question(self, chat: Chat, kind: str) -> str:
        """Ask about a place and return it spelt as in the question."""
        mark = "Xqx"
        wording = pick(self.rng.choice(self.skills[kind]["questions"]), {"city": [mark]}, self.rng)
        text = self.pairs.typed(wording, around=0.1)
        city = self.place()
        if mark not in text:
            city = city.lower() if mark.lower() in text else city.upper()
        spelt = mark if mark in text else mark.lower() if mark.lower() in text else mark.upper()
        if spelt not in text:  # a typing error hit the mark
            return self._put_question(chat, kind)
        chat.user(text.replace(spelt, city))
        return city

    def _use_result(self, chat: Chat, kind: str, city: str) -> None:
        rng, skill = self.rng, self.skills[kind]
        if kind == "weather":
            facts = {"temperature": rng.randint(-15, 40), "sky": rng.choice(skill["skies"])}
        else:
            facts = {"clock": f"{rng.randrange(24):02}:{rng.randrange(60):02}"}
        answer = skill["result"].replace("{city}", city)
        for key, value in facts.items():
            answer = answer.replace("{" + key + "}", str(value))
        chat.messages.append({"role": "tool", "content": self._result_text(city, facts)})
        chat.reply(self.skills["tools"]["think_result"], answer)

    def _result_text(self, city: str, facts: dict[str, Any]) -> str:
        rng = self.rng
        clock = rng.choice(["time", "time", "local_time", "clock"])
        sky = rng.choice(["sky", "sky", "condition", "conditions", "weather"])
        degrees = rng.choice(["temperature", "temperature", "temp", "temperature_c", "degrees"])
        names = {"clock": clock, "sky": sky, "temperature": degrees}
        pairs = [(names[key], value) for key, value in facts.items()]
        rng.shuffle(pairs)
        if rng.random() < 0.75:
            pairs.insert(0, ("city", city))
        if rng.random() < 0.12:
            return ", ".join(str(value) for _, value in pairs)
        return json.dumps(dict(pairs), ensure_ascii=False)

    def _miss_tool(self, chat: Chat, kind: str) -> None:
        if self._find(chat, kind):
            kind = "time" if kind == "weather" else "weather"
        if self._find(chat, kind):
            return self._plain(chat, self.pairs.known())
        self._put_question(chat, kind)
        chat.reply(self.skills[kind]["no_tool_think"], self.skills[kind]["no_tool"])
        return None
