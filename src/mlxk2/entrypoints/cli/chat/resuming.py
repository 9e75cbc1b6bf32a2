"""`run --continue`: a conversation that was kept, to be gone on with."""

from mlxk2.ports.errors import ValidationError
from mlxk2.ports.sessions import LAST, Conversation, SessionStore, checked_title


def resume(store: SessionStore, title: str = LAST) -> Conversation:
    """What was kept under this title; without one, the chat that was held last.

    Raises as `SessionStore.load`.
    """
    if checked_title(title) == LAST and LAST not in store.titles():
        raise ValidationError("There is no chat to go on with yet; begin one with: mlxk2 run <model>")
    return store.load(title)
