"""What the options mean to the server: every one of them arrives, and contradictions keep it from starting."""

from typing import Any

import pytest

from mlxk2.configuration import options
from mlxk2.configuration.options import OPTIONS, Option
from mlxk2.configuration.reading import read_configuration
from mlxk2.domain.usecases.serve_models import ServeLimits
from mlxk2.entrypoints.http.auth import KeyFile
from mlxk2.entrypoints.http.context import HttpOptions
from mlxk2.ports.errors import ValidationError
from mlxk2.serving import http_options, serve_limits

NO_FILE = KeyFile((), exposed=False)
OTHER_VALUES = {
    "host": "::1",
    "port": "9000",
    "api-key": "key",
    "insecure": "true",
    "cors-origin": "https://chat.example.org",
    "allowed-host": "chat.example.org",
    "model": "demo",
    "pin": "demo",
    "allow": "demo",
    "memory": "8GB",
    "max-models": "2",
    "keep-alive": "never",
    "prefix-cache": "0",
    "default-max-tokens": "100",
    "max-tokens-limit": "5000",
    "queue": "3",
    "queue-patience": "1s",
    "per-key": "2",
    "request-timeout": "1m",
    "drain-seconds": "0",
    "max-body": "1MB",
    "log-format": "json",
    "log-level": "debug",
}


def meant(variables: dict[str, str], keys: KeyFile = NO_FILE) -> tuple[HttpOptions, ServeLimits]:
    configuration = read_configuration({"XDG_CONFIG_HOME": "/nowhere", **variables})
    return http_options(configuration, keys), serve_limits(configuration)


def test_without_any_option_the_server_is_what_its_records_say() -> None:
    assert meant({}) == (HttpOptions(), ServeLimits())


@pytest.mark.parametrize(
    "option", [each for each in OPTIONS if each is not options.API_KEY_FILE], ids=lambda option: str(option.name)
)
def test_every_option_arrives(option: Option[Any]) -> None:
    text = OTHER_VALUES[option.name]
    http, limits = meant({option.variable: text})
    found = {getattr(record, name) for record in (http, limits) for name in record.__slots__ if name != "answers"}
    found |= {http.answers.default_max_tokens, http.answers.most_tokens}
    assert option.kind.read(text) in found
    assert (http, limits) != (HttpOptions(), ServeLimits())


def test_keys_of_the_file_and_of_the_environment_all_open_the_server() -> None:
    http, _ = meant({"MLXK2_API_KEY": "key-1,key-2"}, KeyFile(("key-2", "key-3"), exposed=False))
    assert http.api_keys == ("key-1", "key-2", "key-3")
    assert "key-" not in repr(http)


@pytest.mark.parametrize("variables", [{"MLXK2_INSECURE": "1"}, {"MLXK2_API_KEY": "key"}])
def test_beyond_this_machine_it_starts_with_keys_or_when_told_to_be_insecure(variables: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match="require a key with --api-key-file"):
        meant({"MLXK2_HOST": "192.0.2.1"})
    assert meant({"MLXK2_HOST": "192.0.2.1", **variables})[0].host == "192.0.2.1"


def test_a_limit_of_tokens_below_the_ordinary_default_lowers_that() -> None:
    http, _ = meant({"MLXK2_MAX_TOKENS_LIMIT": "100"})
    assert (http.answers.default_max_tokens, http.answers.most_tokens) == (100, 100)


def test_a_limit_of_tokens_below_a_default_that_was_set_is_a_contradiction() -> None:
    with pytest.raises(ValidationError, match="default-max-tokens is 500, which is over max-tokens-limit, 100"):
        meant({"MLXK2_MAX_TOKENS_LIMIT": "100", "MLXK2_DEFAULT_MAX_TOKENS": "500"})


def test_a_key_that_no_client_could_send_is_refused_without_being_shown() -> None:
    with pytest.raises(ValidationError, match="Key 2 of MLXK2_API_KEY has characters") as caught:
        meant({"MLXK2_API_KEY": "good,bäd"})
    assert "bäd" not in caught.value.message
