"""The signature of a thinking block.

The API's own proves where thinking comes from; nothing here could, and clients may change what they like. It is
still never empty, because clients leave out blocks without one. Thinking that a client does not want to see
(`display: omitted`) travels in the signature, so that it comes back with the conversation as the API promises.
"""

from base64 import b64decode, b64encode
from binascii import Error

UNSIGNED = "unsigned"
_CARRIER = f"{UNSIGNED}."


def carrying(reasoning: str) -> str:
    """A signature with the reasoning in it."""
    return _CARRIER + b64encode(reasoning.encode()).decode()


def carried(signature: str | None) -> str:
    """The reasoning that a signature carries, empty for one that carries none.

    Raises ValueError for what `carrying` cannot have made.
    """
    if signature is None or not signature.startswith(_CARRIER):
        return ""
    try:
        return b64decode(signature.removeprefix(_CARRIER), validate=True).decode()
    except (Error, UnicodeDecodeError) as error:
        raise ValueError(signature) from error
