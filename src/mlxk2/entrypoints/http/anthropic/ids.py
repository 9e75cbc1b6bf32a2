"""How tool calls are named.

Chat templates of Mistral's models take ids of exactly nine letters and digits, and clients of Anthropic's API expect
theirs to begin with `toolu_`. So ids get that beginning on their way out and lose it on their way in; the model sees
nine characters, or what it has written itself.
"""

import secrets
import string

_PREFIX = "toolu_"
_CHARACTERS = string.ascii_letters + string.digits


def new_call_id(_: int) -> str:
    """For a call that the model has given no id; no two are alike, in this answer or another one."""
    return "".join(secrets.choice(_CHARACTERS) for _ in range(9))


def outgoing(call_id: str) -> str:
    return f"{_PREFIX}{call_id}"


def incoming(call_id: str) -> str:
    return call_id.removeprefix(_PREFIX)
