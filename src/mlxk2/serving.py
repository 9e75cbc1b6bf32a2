"""From a configuration to a running server: the one place that knows both the options and the server.

API keys come from MLXK2_API_KEY and from the key file; a key of either opens the server.
"""

import logging
import os
import secrets
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from mlxk2 import __version__
from mlxk2.configuration import options
from mlxk2.configuration.reading import Configuration
from mlxk2.domain.usecases.prepare_answers import AnswerLimits
from mlxk2.domain.usecases.serve_models import ServeLimits, ServeModels
from mlxk2.entrypoints.cli.context import ServerStarted
from mlxk2.entrypoints.http.auth import KeyFile, checked_keys, read_key_file, required_keys
from mlxk2.entrypoints.http.context import HttpOptions, HttpServices
from mlxk2.entrypoints.http.known import KnownServer
from mlxk2.entrypoints.http.logs import start_log
from mlxk2.entrypoints.http.server import Listening, run_server
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.servers import Servers

_LOG = logging.getLogger("mlxk2")
_KEY_BYTES = 32
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - addresses that no client can name


def serve(
    make_models: Callable[[ServeLimits], ServeModels],
    servers: Servers,
    cache: str,
    configuration: Configuration,
    announce: Callable[[ServerStarted], None],
) -> None:
    """Blocks until the server has ended; `announce` is called once it listens, and can be found among `servers`.

    `cache` is the absolute path of the cache that it serves.

    Raises what keeps the server from starting, and what keeps a model from being loaded that it was to start with.
    """
    keys = _key_file(configuration)
    chosen = http_options(configuration, keys)
    start_log(chosen.log_level, chosen.log_format)
    if keys.exposed:
        _LOG.warning("Other users can read the key file; run: chmod 600 %s", configuration[options.API_KEY_FILE])
    models = make_models(serve_limits(configuration))
    names = tuple(offer.name for offer in models.offers())
    key = secrets.token_urlsafe(_KEY_BYTES)
    known = KnownServer(servers, cache=cache, version=__version__, key=key, log_format=chosen.log_format)

    def tell(listening: Listening) -> None:
        started = _started(listening, chosen, names)
        if chosen.log_format == "json":  # whoever reads that log reads nothing else
            _LOG.info("The server listens at %s", started.url)
        known.begin(started.url, started.port)
        announce(started)

    try:
        run_server(HttpServices(models, replace(chosen, local_key=key), __version__), tell)
    finally:
        known.end()


def http_options(configuration: Configuration, keys: KeyFile) -> HttpOptions:
    """Raises ValidationError for options that contradict one another."""
    host, insecure = configuration[options.HOST], configuration[options.INSECURE]
    given: tuple[str, ...] = configuration[options.API_KEY]
    from_environment = checked_keys(given, options.API_KEY.variable)
    api_keys = tuple(dict.fromkeys((*from_environment, *keys.keys)))
    required_keys(host, api_keys, insecure=insecure)
    return HttpOptions(
        host=host,
        port=configuration[options.PORT],
        api_keys=api_keys,
        insecure=insecure,
        cors_origins=configuration[options.CORS_ORIGIN],
        allowed_hosts=configuration[options.ALLOWED_HOST],
        answers=_answer_limits(configuration),
        request_timeout=configuration[options.REQUEST_TIMEOUT],
        drain_seconds=configuration[options.DRAIN_SECONDS],
        largest_body=configuration[options.MAX_BODY],
        per_key=configuration[options.PER_KEY],
        log_format=configuration[options.LOG_FORMAT],
        log_level=configuration[options.LOG_LEVEL],
        preload=configuration[options.MODEL],
    )


def serve_limits(configuration: Configuration) -> ServeLimits:
    return ServeLimits(
        memory=configuration[options.MEMORY],
        most_models=configuration[options.MAX_MODELS],
        keep_alive=configuration[options.KEEP_ALIVE],
        pinned=configuration[options.PIN],
        allowed=configuration[options.ALLOW],
        prefix_cache=configuration[options.PREFIX_CACHE],
        queue=configuration[options.QUEUE],
        patience=configuration[options.QUEUE_PATIENCE],
    )


def _answer_limits(configuration: Configuration) -> AnswerLimits:
    """A limit below the ordinary default lowers that; one below a default that somebody has set is a contradiction."""
    default, most = configuration[options.DEFAULT_MAX_TOKENS], configuration[options.MAX_TOKENS_LIMIT]
    if most is None or default <= most:
        return AnswerLimits(default, most)
    if default != options.DEFAULT_MAX_TOKENS.default:
        raise ValidationError(
            f"default-max-tokens is {default}, which is over max-tokens-limit, {most}; lower the one or raise the other"
        )
    return AnswerLimits(most, most)


def _key_file(configuration: Configuration) -> KeyFile:
    path = configuration[options.API_KEY_FILE]
    return KeyFile((), exposed=False) if path is None else read_key_file(Path(path))


def _started(listening: Listening, chosen: HttpOptions, models: tuple[str, ...]) -> ServerStarted:
    host = _EVERYWHERE.get(listening.host, listening.host)
    return ServerStarted(
        url=Listening(host, listening.port).url,
        host=listening.host,
        port=listening.port,
        pid=os.getpid(),
        models=models,
        loading=chosen.preload,
        needs_key=bool(chosen.api_keys),
    )
