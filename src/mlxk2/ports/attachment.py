"""What a running server and another program of the same user say to one another about a model that the server holds.

The bodies of the server's `/engine` paths, as JSON; a stream has one `Line` a line. They are no public API: both sides
are of the same version, or do not talk (`ports.servers.RunningServer.version`). What an answer can do without is asked
with `ports/questions.py`. Those that ask what a server holds are in `ports/held.py`: for them nothing needs to be known
of engines.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from mlxk2.ports.conversation import Message, RenderOptions, Tool
from mlxk2.ports.engine import Engine, EngineInfo, Watch, unwatched
from mlxk2.ports.generation import Delta, Finished, GenerationRequest, PromptProgress, Queued
from mlxk2.ports.servers import RunningServer
from mlxk2.ports.troubles import Trouble

if TYPE_CHECKING:
    from mlxk2.ports.held import Held


@dataclass(frozen=True, slots=True)
class ToOpen:
    """`/engine/open`: `model` is `name@commit`, all forty digits. The reply is a stream that ends with `opened`."""

    model: str


class Opened(NamedTuple):
    """The model is loaded. `budget` is what its requests may take together in bytes, None without a bound."""

    info: EngineInfo
    budget: int | None


@dataclass(frozen=True, slots=True)
class ToRender:
    """`/engine/render`; the reply is a `RenderedPrompt`."""

    model: str
    messages: tuple[Message, ...]
    tools: tuple[Tool, ...] = ()
    options: RenderOptions = RenderOptions()


@dataclass(frozen=True, slots=True)
class ToGenerate:
    """`/engine/generate`; the reply is a stream that ends with `finished` or `failed`. Hanging up cancels."""

    model: str
    request: GenerationRequest


@dataclass(frozen=True, slots=True)
class Line:
    """One piece of news of a stream: exactly one field is set. `failed` comes last; so do `finished` and `opened`.

    An empty object says that the server is there, and nothing else. Whatever goes wrong before a stream begins is the
    whole reply, as a `Line` with `failed`, whatever the HTTP status.
    """

    stage: str | None = None
    opened: Opened | None = None
    queued: Queued | None = None
    progress: PromptProgress | None = None
    delta: Delta | None = None
    finished: Finished | None = None
    failed: Trouble | None = None


class Attachment(Protocol):
    """The way to a running server. What the server refuses is raised as the error that it is.

    Raises `errors.ServerGone` when the server cannot be reached or ends in the middle.
    """

    def open(self, server: RunningServer, model: str, watch: Watch = unwatched) -> tuple[Engine, int | None]:
        """Have the model loaded, and speak to its engine; `model` is `name@commit`. Also its budget, as in `Opened`.

        To close that engine ends this side's requests and leaves the model with the server.
        """

    def held(self, server: RunningServer) -> "Held":
        """What the server has in memory; waits for no model."""

    def unload(self, server: RunningServer, model: str, *, force: bool) -> tuple[str, ...]:
        """Let go of a model, all revisions unless one is named; the `name@commit` of those that went.

        Raises `errors.ModelNotFound` for what the server does not know, `errors.Conflict` for a model that is busy.
        """
