"""What a running server has in memory, as it tells other programs of the same user, and what they may have it let go.

Bodies of the server's `/engine` paths, as those of `ports/attachment.py`.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HeldModel:
    """A model in a server's memory, as `mlxk2 ps` shows it.

    `state`: loading, loaded or unloading; `stage` what goes on while it loads. `bytes` is what it may take,
    `resident_bytes` what its process takes now. `busy` requests are being answered, `waiting` ones have not begun.
    `tokens_per_second` over the last few seconds. `expires_in`: seconds until it is unloaded if nobody asks for it,
    None when it stays or is busy.
    """

    model: str
    revision: str
    state: str
    stage: str
    bytes: int
    resident_bytes: int
    busy: int
    waiting: int
    tokens_per_second: float
    generated_tokens: int
    idle_seconds: float | None
    expires_in: float | None
    pinned: bool
    restarts: int
    context_length: int | None


@dataclass(frozen=True, slots=True)
class Held:
    """`/engine/status`: all that a server holds. `memory_limit` None: no bound. `waiting` wait for a model's place."""

    models: tuple[HeldModel, ...]
    memory_limit: int | None
    memory_taken: int
    waiting: int


@dataclass(frozen=True, slots=True)
class ToUnload:
    """`/engine/unload`: `force` also takes a model that is answering. The reply lists the `name@commit` that went."""

    model: str
    force: bool = False
