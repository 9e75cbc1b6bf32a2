"""`/save`, `/load` and `/sessions`: conversations under titles."""

import time

from mlxk2.entrypoints.cli import human
from mlxk2.entrypoints.cli.chat.session import Session
from mlxk2.entrypoints.cli.chat.setting import asked
from mlxk2.ports.conversation import Message
from mlxk2.ports.errors import Mlxk2Error, ValidationError
from mlxk2.ports.sessions import LAST, SessionStore, checked_title


def save(argument: str, session: Session) -> None:
    """Raises ValidationError for a title that cannot be one, AccessProblem when there is no place for it."""
    if not argument:
        raise ValidationError("The conversation needs a title: /save TITLE")
    title = checked_title(argument)
    if title == LAST:
        raise ValidationError(f"'{LAST}' is what every chat keeps itself as; choose another title")
    if not session.chat.messages:
        raise ValidationError("There is nothing to save yet; ask something first")
    if _would_lose(title, session) and not session.screen.ask_yes(
        f"Another conversation is saved as '{title}'. Replace it?"
    ):
        session.screen.say("Nothing was saved.")
        return
    path = session.store.save(session.chat.conversation(title))
    session.screen.say(f"Saved as '{title}' ({path}).")


def load(argument: str, session: Session) -> None:
    """The model stays. Raises as `SessionStore.load`."""
    if not argument:
        raise ValidationError("Which one? Write /load TITLE; /sessions lists those that there are")
    kept = session.store.load(argument)
    if not _may_be_left(session, kept.messages) and not session.screen.ask_yes(
        "This conversation is not saved (/save TITLE does). Leave it?"
    ):
        session.screen.say("Nothing was loaded.")
        return
    chat = session.chat
    chat.restore(kept)
    session.screen.say(f"Loaded '{kept.title}', {_questions(kept.messages)}.")
    questions = [message.content for message in kept.messages if message.role == "user"]
    if questions:
        session.screen.say(f"The last one was: {asked(questions[-1])}")
    if kept.model.partition("@")[0] != chat.name:
        session.screen.say(f"It was held with {kept.model}; /model {kept.model} goes on with that one.")


def sessions(session: Session) -> None:
    """The one that was saved last comes first."""
    titles = session.store.titles()
    if not titles:
        session.screen.say("No conversation is saved yet; /save TITLE saves this one.")
    width = max(map(len, titles), default=0)
    for title in titles:
        session.screen.say(f"{title:<{width}}  {_described(title, session.store)}")


def _described(title: str, store: SessionStore) -> str:
    try:
        kept = store.load(title)
    except Mlxk2Error:
        return "cannot be read"
    return f"{human.age(kept.saved, time.time())}, {_questions(kept.messages)}, {kept.model}"


def _questions(messages: tuple[Message, ...]) -> str:
    return human.count(sum(message.role == "user" for message in messages), "question")


def _would_lose(title: str, session: Session) -> bool:
    """What is saved under the title has something that the chat has not."""
    if title not in session.store.titles():
        return False
    kept = _messages(title, session.store)
    return kept is None or session.chat.messages[: len(kept)] != kept


def _may_be_left(session: Session, coming: tuple[Message, ...]) -> bool:
    """Nothing that was said is only here."""
    said = session.chat.messages
    return said == coming[: len(said)] or any(
        title != LAST and said == (_messages(title, session.store) or ())[: len(said)]
        for title in session.store.titles()
    )


def _messages(title: str, store: SessionStore) -> tuple[Message, ...] | None:
    """None for what cannot be read."""
    try:
        return store.load(title).messages
    except Mlxk2Error:
        return None
