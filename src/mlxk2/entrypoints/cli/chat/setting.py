"""`/set` and `/show`: how answers are made and shown, and what the conversation is under.

Most settings are those of `domain/chat_settings.py`. Three more are here: the system text, and what the screen does.
"""

import json
import os
import re
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlxk2.configuration.near import near_name
from mlxk2.domain.chat_settings import changed, without, written
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.chat.session import Session
from mlxk2.entrypoints.cli.files import schema_file
from mlxk2.ports import checking
from mlxk2.ports.errors import Mlxk2Error, ValidationError

if TYPE_CHECKING:
    from mlxk2.domain.usecases.chat_model import Chat

_TRIED = frozenset({"thinking", "schema"})
"""Not every model can do these: whoever sets them wants to know at once, and not with the next question."""
_ESCAPES = {"\\n": "\n", "\\t": "\t", "\\r": "\r", "\\\\": "\\"}
_LONGEST = 48
_QUOTES = '"""'

MAY_BE: Mapping[str, str] = {
    "temperature": checking.TEMPERATURE.words,
    "top-p": checking.TOP_P.words,
    "top-k": checking.TOP_K.words,
    "min-p": checking.MIN_P.words,
    "repetition-penalty": checking.REPETITION_PENALTY.words,
    "presence-penalty": checking.PRESENCE_PENALTY.words,
    "frequency-penalty": checking.FREQUENCY_PENALTY.words,
    "seed": checking.SEED.words,
    "max-tokens": "1 or more; the most that an answer has",
    "stop": r'texts that end an answer: "END" "\n"',
    "thinking": "on or off",
    "schema": "file with a JSON schema for answers",
    "system": "text that comes before everything",
    "reasoning": "show or hide",
    "markdown": "on or off",
}
"""Every setting, and what its value may be, in words for a narrow window."""


def set_value(argument: str, session: Session) -> None:
    """`NAME VALUE`; without a value it is shown, and without a name all are. Raises ValidationError."""
    name, value = (*argument.split(None, 1), "", "")[:2]
    name = _known(name)
    if not name:
        rows = _aligned([(name, short(shown(name, session))) for name in MAY_BE])
        session.screen.say("\n".join((*rows, "", "/set NAME VALUE changes one; /help set says what it may be.")))
        return
    if value.strip():
        _change(name, value.strip(), session)
    session.screen.say(f"{name}: {shown(name, session)}".rstrip())


def set_system(argument: str, session: Session) -> None:
    """The text itself; without one it is shown."""
    set_value(f"system {argument}", session)


def show(session: Session) -> list[str]:
    """What holds now, a line each."""
    chat = session.chat
    asked = sum(message.role == "user" for message in chat.messages)
    kept = ", ".join(f"{name} {short(shown(name, session))}" for name in dict(written(chat.settings)))
    rows = [
        ("Model", model(chat)),
        ("Conversation", f"{human.count(asked, 'question')}, {tokens(chat)}"),
        ("System", short(shown("system", session))),
        ("Settings", kept or "as the model recommends"),
        ("Screen", f"reasoning {shown('reasoning', session)}, markdown {shown('markdown', session)}"),
        *([("Files", ", ".join(session.attachments))] if session.attachments else []),
    ]
    return _aligned(rows)


def shown(name: str, session: Session) -> str:
    """A setting's whole value, or the word that stands for none."""
    if name == "system":
        return session.chat.system or "off"
    if name == "reasoning":
        return "show" if session.screen.show_reasoning else "hide"
    if name == "markdown":
        return "off" if session.screen.plain else "on"
    values = [value for known, value in written(session.chat.settings) if known == name]
    quoted = (json.dumps(value, ensure_ascii=False) if name == "stop" else value for value in values)
    return " ".join(quoted) or _word_for_none(name)


def model(chat: "Chat") -> str:
    """Which one it is, and where."""
    place = "in this process" if chat.server is None else f"held by the server on port {chat.server.port}"
    return f"{chat.name}@{chat.commit[:8]}, {place}"


def tokens(chat: "Chat") -> str:
    """How many tokens the conversation takes, and of how many. Raises as `Chat.prompt_tokens`."""
    taken = chat.prompt_tokens()
    if chat.context_length is None:
        return f"{human.count(taken, 'token')} of a context of unknown length"
    return f"{taken} of {human.count(chat.context_length, 'token')}"


def short(text: str) -> str:
    """As much of a text as one line has room for."""
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def asked(question: str) -> str:
    """As much of a question as one line has room for, without the files that went with it."""
    return short(question.rpartition("```\n\n")[2])


def help_on_settings() -> list[str]:
    return [
        *_aligned([*MAY_BE.items()]),
        "",
        "auto in place of a value: as the model recommends.",
        "off: without stop, schema or system text.",
    ]


def _known(name: str) -> str:
    """The setting's own spelling."""
    known = name.lower().replace("_", "-")
    if known and known not in MAY_BE:
        near = near_name(known, [*MAY_BE])
        hint = f"did you mean {near}?" if near else "'/help set' lists those that there are"
        raise ValidationError(f"There is no setting {name!r}; {hint}")
    return known


def _change(name: str, value: str, session: Session) -> None:
    if name == "system":
        session.chat.system = None if value.lower() == _word_for_none(name) else _unquoted(value)
    elif name == "reasoning":
        session.screen.show_reasoning = _one_of(name, value, {"show": True, "hide": False})
    elif name == "markdown":
        session.screen.plain = _one_of(name, value, {"off": True, "on": False})
    else:
        _change_answers(name, value, session.chat)


def _change_answers(name: str, value: str, chat: "Chat") -> None:
    before = chat.settings
    takes_back = value.lower() == _word_for_none(name)
    settings = without(before, name) if takes_back or name == "stop" else before
    for text in () if takes_back else _values(name, value):
        settings = changed(settings, name, text)
    chat.settings = settings
    if name in _TRIED:
        try:
            chat.ask("Can you do this?")  # it is prepared, and never started
        except Mlxk2Error as error:
            if isinstance(error, ValidationError) and error.parameter in ("thinking", "structure"):
                chat.settings = before
                raise


def _values(name: str, value: str) -> list[str]:
    if name == "stop":
        return _stops(value)
    return [schema_file(os.path.expanduser(value)).text if name == "schema" else value]


def _stops(value: str) -> list[str]:
    """Words, or texts in quotes; \\n, \\t, \\r and \\\\ in them mean what they mean in JSON."""
    words = shlex.shlex(value, posix=True, punctuation_chars=False)
    words.whitespace_split, words.commenters, words.escape = True, "", ""
    try:
        return [re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), word) for word in words]
    except ValueError:
        raise ValidationError("A quotation mark is not closed; put each text between two of them") from None


def _one_of(name: str, value: str, words: Mapping[str, bool]) -> bool:
    if value.lower() not in words:
        raise ValidationError(f"{name} {value!r} is not known: it must be {' or '.join(words)}")
    return words[value.lower()]


def _word_for_none(name: str) -> str:
    """What takes a setting back."""
    return "off" if name in ("stop", "schema", "system") else "auto"


def _unquoted(text: str) -> str:
    """Without the quotes around several lines."""
    if len(text) >= 2 * len(_QUOTES) and text.startswith(_QUOTES) and text.endswith(_QUOTES):
        return text[len(_QUOTES) : -len(_QUOTES)].strip("\n")
    return text


def _aligned(rows: Sequence[tuple[str, str]]) -> list[str]:
    width = max(len(name) for name, _ in rows)
    return [f"{name:<{width}}  {value}" for name, value in rows]
