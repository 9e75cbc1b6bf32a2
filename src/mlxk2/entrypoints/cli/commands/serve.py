"""`mlxk2 serve`: a server, until somebody stops it.

Once it listens, one block on standard error says how to use it, or with `--json` one document on standard output. After
that standard output stays silent: a failure later on is told on standard error alone.
"""

from argparse import Namespace
from collections.abc import Callable

from mlxk2.configuration.options import DRAIN_SECONDS, LOG_FORMAT
from mlxk2.configuration.reading import Configuration, read_configuration
from mlxk2.entrypoints.cli.context import ServerStarted, Services
from mlxk2.entrypoints.cli.envelope import success
from mlxk2.entrypoints.cli.errors import tell
from mlxk2.entrypoints.cli.human import count, facts
from mlxk2.entrypoints.cli.output import Output, Unwritable
from mlxk2.entrypoints.cli.parser import PROG
from mlxk2.entrypoints.cli.records.server import ServeData
from mlxk2.ports.errors import Mlxk2Error

_MOST_NAMES = 5


def execute(args: Namespace, services: Callable[[], Services], out: Output) -> int:
    configuration = read_configuration(args.environ, vars(args), args.config)
    announcement = _Announcement(configuration, out)
    try:
        services().serve(configuration, announcement)
    except Mlxk2Error as error:
        if not announcement.made:
            raise
        return tell(error, out)
    return 0


class _Announcement:
    """Says that the server listens. `made`: it did."""

    def __init__(self, configuration: Configuration, out: Output) -> None:
        self.made = False
        self._configuration = configuration
        self._out = out

    def __call__(self, started: ServerStarted) -> None:
        self.made = True
        if self._out.json:
            self._print(started)
        elif self._configuration[LOG_FORMAT] == "text":
            self._out.note("\n".join(_block(started, self._configuration[DRAIN_SECONDS])))

    def _print(self, started: ServerStarted) -> None:
        """Nobody is left to be told when it fails, and the server is there all the same."""
        try:
            self._out.document(success("serve", _data(started)))
            self._out.flush()
        except BrokenPipeError:
            self._out.abandon()
        except Unwritable as problem:
            self._out.abandon()
            tell(problem, self._out)


def _data(started: ServerStarted) -> ServeData:
    return ServeData(
        url=started.url,
        host=started.host,
        port=started.port,
        pid=started.pid,
        models=list(started.models),
        loading=list(started.loading),
        api_key_required=started.needs_key,
    )


def _block(started: ServerStarted, drain: float) -> list[str]:
    rows = (
        ("Models", _models(started.models)),
        *([("Loading", ", ".join(started.loading))] if started.loading else []),
        ("API keys", "required" if started.needs_key else "not required"),
        ("OpenAI", f"base URL {started.url}/v1"),
        ("Anthropic", f"base URL {started.url}"),
        ("Stop", f"Ctrl-C (answers under way have {drain:g} s to end; twice: at once)"),
    )
    return [f"{PROG} serves at {started.url} (process {started.pid})", *(f"  {line}" for line in facts(rows))]


def _models(names: tuple[str, ...]) -> str:
    if not names:
        return f"none in the cache; get one with: {PROG} pull demo"
    shown = ", ".join(names[:_MOST_NAMES])
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"{count(len(names), 'model')} to ask for: {shown}{more}"
