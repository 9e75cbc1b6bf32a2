"""Findings on what runs: this user's servers, and the demo model, which answers one question in another process."""

from collections.abc import Callable, Iterator

from mlxk2.domain.examination.finding import Finding, Verdict, failed
from mlxk2.domain.usecases.watch_servers import ServerView, WatchServers
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import Engine, EngineLoader, LoadOptions
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import Delta, Event, Failed, Finished, GenerationRequest, Sink
from mlxk2.ports.sources import ModelSource
from mlxk2.ports.system import Clock

Events = Callable[[Callable[[Sink], None]], Iterator[Event]]
"""Starts a request and waits for its events, up to the last one."""
_QUESTION = "Hello"
_TOKENS = 24
_MEND = "see device and packages above; if these are well, please report this"


def check_servers(watch: WatchServers) -> Finding:
    views = watch()
    values = (("running", len(views)),)
    if not views:
        return Finding("servers", Verdict.OK, "None of yours is running", values=values)
    silent = [view for view in views if view.held is None]
    if silent:
        server = silent[0].server
        mend = f"end it with: kill {server.pid}, and start it again with: mlxk2 serve"
        return Finding("servers", Verdict.WARN, (silent[0].problem or "").partition("; ")[0], mend, values)
    return Finding("servers", Verdict.OK, "; ".join(_told(view) for view in views), values=values)


def _told(view: ServerView) -> str:
    models = len(view.held.models) if view.held else 0
    return f"{view.server.url} (process {view.server.pid}), {models} model{'' if models == 1 else 's'} in memory"


class Trial:
    """One short answer of the demo model, from the files in this package. `loader` loads in another process."""

    def __init__(self, loader: EngineLoader, bundled: ModelSource, clock: Clock, events: Events) -> None:
        self._loader = loader
        self._bundled = bundled
        self._clock = clock
        self._events = events

    def check_generation(self) -> Finding:
        begun = self._clock.now()
        try:
            text, tokens = self._answer()
        except Mlxk2Error as error:
            return failed("generation", error, _MEND)
        seconds = self._clock.now() - begun
        values = (("tokens", tokens), ("seconds", round(seconds, 3)))
        if not text.strip():
            return Finding("generation", Verdict.FAIL, "The demo model answers with nothing", _MEND, values)
        told = f"The demo model answers ({tokens} tokens, {seconds:.1f} s with loading)"
        return Finding("generation", Verdict.OK, told, values=values)

    def _answer(self) -> tuple[str, int]:
        engine = self._loader.load(self._bundled.location(), LoadOptions(max_rows=1))
        try:
            answer = self._ask(engine)
        except Exception:
            engine.close()
            raise
        engine.close()  # not after Ctrl-C: the program ends at once, and the process of the model with it
        return answer

    def _ask(self, engine: Engine) -> tuple[str, int]:
        prompt = engine.render([Message("user", _QUESTION)])
        request = GenerationRequest(prompt.tokens, _TOKENS)
        text, tokens = "", 0
        for event in self._events(lambda sink: _start(engine, request, sink)):
            if isinstance(event, Failed):
                raise event.error
            text += event.text if isinstance(event, Delta) else ""
            tokens = event.generated_tokens if isinstance(event, Finished) else tokens
        return text, tokens


def _start(engine: Engine, request: GenerationRequest, sink: Sink) -> None:
    engine.start(request, sink)
