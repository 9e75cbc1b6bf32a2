"""The options of `mlxk2 serve`, each once: name, kind, default and what it does.

An option `keep-alive` is the flag `--keep-alive`, the variable `MLXK2_KEEP_ALIVE` and the key `keep-alive` below
`[serve]` in the configuration file. Imports nothing of weight: the parser stands on it.
"""

from typing import Any, Generic, Literal, NamedTuple, TypeVar

from mlxk2.configuration.kinds import Bytes, Choice, Duration, File, Kind, Or, Switch, Text, Texts, Whole

T = TypeVar("T")
LogFormat = Literal["text", "json"]
LogLevel = Literal["error", "warning", "info", "debug"]

PREFIX = "MLXK2_"
FILE_VARIABLE = "MLXK2_CONFIG"
"""Names the configuration file, like the flag `--config`."""
TABLE = "serve"
"""The file's table that holds the options."""

_DAY = 86_400.0
_MONTH = 30 * _DAY
_MIB = 2**20
_TIB = 2**40
_MANY = 1_000_000


class Option(NamedTuple, Generic[T]):
    """`group` is the heading it stands below. A secret is read from the environment alone, and never shown."""

    name: str
    group: str
    kind: Kind[T]
    default: T
    help: str
    is_secret: bool = False

    @property
    def attribute(self) -> str:
        """The name as Python and argparse spell it."""
        return self.name.replace("-", "_")

    @property
    def flag(self) -> str:
        return f"--{self.name}"

    @property
    def variable(self) -> str:
        return PREFIX + self.attribute.upper()

    @property
    def shown_default(self) -> str:
        """For sentences; empty where there is nothing to tell."""
        return self.kind.show(self.default)


GROUPS = {
    "network": "Where the server listens, and who may use it.",
    "models": "Which models there are, and the memory they take. A model is loaded when it is first asked for.",
    "answers": "How long they may be.",
    "requests": "What one request may cost, and how many may wait.",
    "log": "One line a request, on standard error and in a file (mlxk2 logs); never what is asked and answered.",
}
"""Headings, and what is said below them."""

HOST = Option(
    "host",
    "network",
    Text("ADDRESS", "a host name or an address"),
    "127.0.0.1",
    "address to listen on; 0.0.0.0 is all of this machine's",
)
PORT = Option("port", "network", Whole(0, 65_535), 8000, "port to listen on; 0 takes any that is free")
API_KEY_FILE = Option(
    "api-key-file",
    "network",
    Or("none", File()),
    None,
    "require one of the keys in this file, one a line, from every client",
)
API_KEY = Option(
    "api-key",
    "network",
    Texts("KEY", "keys, with commas between them"),
    (),
    "require this key, or one of these; never a flag, which other users of the machine could see",
    is_secret=True,
)
INSECURE = Option(
    "insecure", "network", Switch(), default=False, help="let other machines use the server without any key"
)
CORS_ORIGIN = Option(
    "cors-origin",
    "network",
    Texts("ORIGIN", "web origins such as https://chat.example.org"),
    (),
    "let web pages from there use the server",
)
ALLOWED_HOST = Option(
    "allowed-host",
    "network",
    Texts("NAME", "host names such as chat.example.org"),
    (),
    "answer to this host name too, for example behind a proxy",
)
_REFERENCES = "models as you name them elsewhere: org/model, a short name, name@hash"
MODEL = Option("model", "models", Texts("MODEL", _REFERENCES), (), "load this model when the server starts")
PIN = Option("pin", "models", Texts("MODEL", _REFERENCES), (), "never unload this model by itself")
ALLOW = Option(
    "allow", "models", Texts("MODEL", _REFERENCES), (), "offer only the models named so, instead of all that run"
)
MEMORY = Option(
    "memory",
    "models",
    Or("auto", Bytes(10**6, 64 * _TIB)),
    None,
    "most memory for all models together; auto is what this machine can spare",
)
MAX_MODELS = Option("max-models", "models", Or("none", Whole(1, 1000)), None, "most models in memory at once")
KEEP_ALIVE = Option(
    "keep-alive",
    "models",
    Or("never", Duration(0, _MONTH)),
    300.0,
    "unload a model that nobody asked for that long; never keeps it",
)
PREFIX_CACHE = Option(
    "prefix-cache",
    "models",
    Or("auto", Bytes(0, 64 * _TIB)),
    None,
    "memory of each model for beginnings of prompts that come again; 0 is none",
)
DEFAULT_MAX_TOKENS = Option(
    "default-max-tokens",
    "answers",
    Whole(1, 100 * _MANY),
    4096,
    "most tokens of an answer whose request does not say",
)
MAX_TOKENS_LIMIT = Option(
    "max-tokens-limit",
    "answers",
    Or("none", Whole(1, 100 * _MANY)),
    None,
    "most tokens that a request may ask for",
)
QUEUE = Option("queue", "requests", Whole(1, _MANY), 256, "requests that may wait for one model")
QUEUE_PATIENCE = Option("queue-patience", "requests", Duration(0.1, _DAY), 300.0, "how long a request may wait")
PER_KEY = Option(
    "per-key",
    "requests",
    Or("none", Whole(1, _MANY)),
    None,
    "requests at once for one key, or where no keys are required for one client",
)
REQUEST_TIMEOUT = Option(
    "request-timeout", "requests", Duration(1, _DAY), 600.0, "how long a request may take in all, waiting included"
)
DRAIN_SECONDS = Option(
    "drain-seconds",
    "requests",
    Duration(0, _DAY),
    30.0,
    "how long running answers may go on when the server is told to stop",
)
MAX_BODY = Option("max-body", "requests", Bytes(1024, 2**30), 8 * _MIB, "largest body of a request")
LOG_FORMAT: Option[LogFormat] = Option(
    "log-format", "log", Choice[LogFormat]("FORMAT", ("text", "json")), "text", "form of the log: text or json"
)
LOG_LEVEL: Option[LogLevel] = Option(
    "log-level",
    "log",
    Choice[LogLevel]("LEVEL", ("error", "warning", "info", "debug")),
    "info",
    "what is logged: error, warning, info (each request) or debug",
)

OPTIONS: tuple[Option[Any], ...] = (
    HOST,
    PORT,
    API_KEY_FILE,
    API_KEY,
    INSECURE,
    CORS_ORIGIN,
    ALLOWED_HOST,
    MODEL,
    PIN,
    ALLOW,
    MEMORY,
    MAX_MODELS,
    KEEP_ALIVE,
    PREFIX_CACHE,
    DEFAULT_MAX_TOKENS,
    MAX_TOKENS_LIMIT,
    QUEUE,
    QUEUE_PATIENCE,
    PER_KEY,
    REQUEST_TIMEOUT,
    DRAIN_SECONDS,
    MAX_BODY,
    LOG_FORMAT,
    LOG_LEVEL,
)
"""All of them, in the order in which they are shown."""
