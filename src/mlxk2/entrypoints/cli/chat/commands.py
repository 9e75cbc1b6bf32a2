"""The commands of a chat, one row of a table each. What is wrong with one is raised, for the chat to tell."""

import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass

from mlxk2.configuration.near import near_name
from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.chat import keeping, setting
from mlxk2.entrypoints.cli.chat.clipboard import copy
from mlxk2.entrypoints.cli.chat.session import Session
from mlxk2.entrypoints.cli.files import attached, text_file
from mlxk2.ports.errors import ValidationError


def run_command(line: str, session: Session) -> bool:
    """Carry out `/name argument`; False when the chat is to end.

    Raises Mlxk2Error with what is wrong, also for a command that there is not.
    """
    written, argument = (*line.strip().removeprefix("/").split(None, 1), "", "")[:2]
    name = _ALIASES.get(written.lower(), written.lower())
    if name == "quit":
        return False
    command = _COMMANDS.get(name)
    if command is None:
        raise _unknown(written)
    if argument.strip() and not command.takes:
        raise ValidationError(f"/{name} takes nothing after it; write it alone")
    command.run(argument.strip(), session)
    return True


@dataclass(frozen=True, slots=True)
class _Command:
    """`takes` is what may stand after its name, in the words of usage lines."""

    run: Callable[[str, Session], None]
    takes: str
    summary: str


def _help(argument: str, session: Session) -> None:
    name = argument.removeprefix("/").lower()
    name = _ALIASES.get(name, name)
    if not name:
        width = max(map(len, COMMANDS)) + 1
        rows = [f"{'/' + known:<{width}}  {summary}" for known, summary in COMMANDS.items()]
        session.screen.say("\n".join((*rows, "", *_KEYS)))
        return
    if name not in COMMANDS:
        raise _unknown(name)
    takes = _COMMANDS[name].takes if name in _COMMANDS else ""
    session.screen.say(f"/{name} {takes}".rstrip() + f"\n{COMMANDS[name]}")
    if name == "set":
        session.screen.say("\n".join(("", *setting.help_on_settings())))


def _show(_: str, session: Session) -> None:
    with session.screen.waiting():
        rows = setting.show(session)
    session.screen.say("\n".join(rows))


def _clear(_: str, session: Session) -> None:
    session.chat.clear()
    session.attachments.clear()
    session.screen.clear()
    session.screen.say("A new conversation begins; model, system text and settings stay.")


def _undo(_: str, session: Session) -> None:
    question = session.chat.undo()
    if question is None:
        raise ValidationError("There is nothing to take back; ask something first")
    session.screen.say(f"Taken back, with its answer: {setting.asked(question.content)}")


def _retry(_: str, session: Session) -> None:
    with session.screen.waiting():
        turn = session.chat.retry()
    session.screen.answer(turn)


def _edit(argument: str, session: Session) -> None:
    question = session.screen.edit(argument)
    if question is None:
        session.screen.say(
            "The editor left no text, so nothing is asked. One with a window of its own needs an option"
            " to wait, such as 'code --wait'."
        )
        return
    session.screen.say(question)
    whole = attached(question, session.attachments)
    with session.screen.waiting():
        turn = session.chat.ask(whole)
    session.answer(turn)


def _attach(argument: str, session: Session) -> None:
    """Read now to tell what is wrong with it, and once more with the question, as it is by then."""
    if argument == "off":
        session.attachments.clear()
    for path in [] if argument == "off" else _paths(argument):
        text_file(path)
        if path not in session.attachments:
            session.attachments.append(path)
    count = len(session.attachments)
    if not count:
        session.screen.say("No file goes with the next question; /attach FILE adds one.")
    else:
        session.screen.say(
            f"{human.count(count, 'file')} {'goes' if count == 1 else 'go'} with the next question"
            f" (/attach off takes back): {', '.join(session.attachments)}"
        )


def _paths(argument: str) -> list[str]:
    """The file whose path the whole argument is, blanks and all; else words, quoted as in a shell."""
    if os.path.exists(os.path.expanduser(argument)):
        return [os.path.expanduser(argument)]
    try:
        return [os.path.expanduser(word) for word in shlex.split(argument)]
    except ValueError:
        raise ValidationError("A quotation mark is not closed; put the path between two of them") from None


def _copy(_: str, session: Session) -> None:
    answers = [message.content for message in session.chat.messages if message.role == "assistant"]
    if not answers:
        raise ValidationError("There is no answer to copy yet; ask something first")
    session.screen.say(copy(answers[-1]))


def _tokens(_: str, session: Session) -> None:
    with session.screen.waiting():
        tokens = setting.tokens(session.chat)
    session.screen.say(f"The conversation takes {tokens}.")


def _model(argument: str, session: Session) -> None:
    if argument:
        session.screen.say(f"Loading {argument} …")
        try:
            session.chat.switch(argument)
        except KeyboardInterrupt:
            session.screen.say("(stopped; the model is the one of before)")
    session.screen.say(setting.model(session.chat))


def _unknown(name: str) -> ValidationError:
    near = near_name(name.lower(), [*COMMANDS, *_ALIASES])
    hint = f"did you mean /{near}?" if near else "/help lists those that there are"
    return ValidationError(f"There is no command '/{name}'; {hint}")


_COMMANDS = {
    "help": _Command(_help, "[COMMAND]", "say what there is, or more about one"),
    "system": _Command(setting.set_system, "[TEXT|off]", "show or set what comes before the conversation"),
    "set": _Command(setting.set_value, "[NAME [VALUE]]", "show or change how answers are made and shown"),
    "show": _Command(_show, "", "show model, conversation and settings"),
    "clear": _Command(_clear, "", "begin a new conversation"),
    "undo": _Command(_undo, "", "take back the last question with its answer"),
    "retry": _Command(_retry, "", "ask the last question again"),
    "save": _Command(keeping.save, "TITLE", "save the conversation under a title"),
    "load": _Command(keeping.load, "TITLE", "go on with a saved conversation"),
    "sessions": _Command(lambda _, session: keeping.sessions(session), "", "list the saved conversations"),
    "model": _Command(_model, "[MODEL]", "show the model, or go on with another"),
    "edit": _Command(_edit, "[TEXT]", "write the question in your editor"),
    "attach": _Command(_attach, "[FILE ...|off]", "put text files into the next question"),
    "copy": _Command(_copy, "", "put the last answer on the clipboard"),
    "tokens": _Command(_tokens, "", "say how long the conversation is"),
}
_ALIASES = {"exit": "quit", "bye": "quit", "?": "help"}
COMMANDS: dict[str, str] = {
    **{name: command.summary for name, command in _COMMANDS.items()},
    "quit": "leave (Ctrl-D does, too)",
}
"""What each command does, by its name without the slash."""
_KEYS = (
    'Several lines: Alt-Enter, or """ before and after them.',
    "Ctrl-C stops an answer; Tab completes a command.",
)
