"""The server's options: how values are written, which source decides, and what is refused with which sentence."""

import json
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from mlxk2.configuration import options
from mlxk2.configuration.kinds import Bytes, Choice, Duration, File, Kind, Or, Switch, Text, Texts, Whole
from mlxk2.configuration.options import OPTIONS, Option
from mlxk2.configuration.reading import Configuration, Given, read_configuration
from mlxk2.entrypoints.cli.parser import build_parser
from mlxk2.ports.errors import AccessProblem, ValidationError

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = jsonschema.Draft202012Validator(json.loads((DOCS / "config-schema.json").read_text()))

NUMBER = Whole(1, 100)
TIME = Duration(0, 86_400)
SIZE = Bytes(0, 2**40)
WORDS = Texts("MODEL", "names")
LEVEL = Choice("LEVEL", ("low", "high"))
HOST = Text("HOST", "a name")


class Places:
    """A home of its own with, perhaps, a configuration file."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.environ = {"XDG_CONFIG_HOME": str(home / "config")}
        self.usual = home / "config" / "mlxk2" / "config.toml"

    def write(self, text: str, path: Path | None = None) -> Path:
        target = path or self.usual
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        return target

    def read(
        self,
        variables: Mapping[str, str] | None = None,
        flags: Mapping[str, Given] | None = None,
        file: str | None = None,
    ) -> Configuration:
        return read_configuration({**self.environ, **(variables or {})}, flags, file)

    def complaint(
        self,
        variables: Mapping[str, str] | None = None,
        flags: Mapping[str, Given] | None = None,
        file: str | None = None,
    ) -> str:
        with pytest.raises((ValidationError, AccessProblem)) as caught:
            self.read(variables, flags, file)
        return caught.value.message.replace(str(self.usual), "FILE").replace(str(self.home), "HOME")


@pytest.fixture
def places(tmp_path: Path) -> Places:
    return Places(tmp_path)


def origin(configuration: Configuration, option: Option[Any]) -> tuple[Any, str]:
    return next((each.value, each.source) for each in configuration.settings if each.option.name == option.name)


@pytest.mark.parametrize(
    ("flag", "variable", "file", "expected"),
    [
        (None, None, None, (8000, "default")),
        (None, None, 8003, (8003, "file")),
        (None, "8002", None, (8002, "environment")),
        (None, "8002", 8003, (8002, "environment")),
        (None, "", 8003, (8003, "file")),
        (None, "", None, (8000, "default")),
        ("8001", None, None, (8001, "flag")),
        ("8001", "8002", None, (8001, "flag")),
        ("8001", None, 8003, (8001, "flag")),
        ("8001", "8002", 8003, (8001, "flag")),
        ("8000", "8002", 8003, (8000, "flag")),
    ],
)
def test_a_flag_beats_a_variable_which_beats_the_file_which_beats_the_default(
    places: Places, flag: str | None, variable: str | None, file: int | None, expected: tuple[int, str]
) -> None:
    if file is not None:
        places.write(f"[serve]\nport = {file}\n")
    configuration = places.read({} if variable is None else {"MLXK2_PORT": variable}, {"port": flag})
    assert origin(configuration, options.PORT) == expected
    assert configuration[options.PORT] == expected[0]


@pytest.mark.parametrize("given", [True, False])
def test_a_switch_on_the_command_line_beats_the_file_in_both_directions(places: Places, given: bool) -> None:
    places.write(f"[serve]\ninsecure = {str(not given).lower()}\n")
    assert places.read()[options.INSECURE] is not given
    assert places.read(flags={"insecure": given})[options.INSECURE] is given


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (NUMBER, "7", 7),
        (NUMBER, " 100 ", 100),
        (TIME, "90", 90.0),
        (TIME, "1.5", 1.5),
        (TIME, "30s", 30.0),
        (TIME, "5m", 300.0),
        (TIME, "2h", 7200.0),
        (TIME, "1d", 86_400.0),
        (TIME, "0", 0.0),
        (Or("never", TIME), "never", None),
        (Or("never", TIME), "1m", 60.0),
        (SIZE, "1024", 1024),
        (SIZE, "10B", 10),
        (SIZE, "512MB", 512_000_000),
        (SIZE, "8GiB", 8 * 2**30),
        (SIZE, "1.5 GB", 1_500_000_000),
        (Or("auto", SIZE), "auto", None),
        (WORDS, "a", ("a",)),
        (WORDS, "org/a, b@1f2e", ("org/a", "b@1f2e")),
        (LEVEL, "high", "high"),
        (HOST, " here ", "here"),
        (File(), "keys.txt", "keys.txt"),
        *((Switch(), word, True) for word in ("1", "true", "YES", "on")),
        *((Switch(), word, False) for word in ("0", "False", "no", "off")),
    ],
)
def test_a_value_is_written_so(kind: Kind[Any], text: str, value: object) -> None:
    assert kind.read(text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((NUMBER, text) for text in ("", "0", "101", "-1", "1.0", "1e1", "seven", "0x5", "٣", "9" * 30)),
        *((TIME, text) for text in ("", "-1", "1 day", "5M", "inf", "nan", "2d", "1h30m", "never", "1e3")),
        *((SIZE, text) for text in ("", "1.5", "8G", "8gb", "-1", "1TB2", "2TB", "auto", "MB")),
        *((WORDS, text) for text in ("", ",", "a,,b", "a,", " ")),
        *((LEVEL, text) for text in ("", "HIGH", "hi", "low,high")),
        *((Switch(), text) for text in ("", "2", "ja", "truee")),
        *((HOST, text) for text in ("", "  ")),
    ],
)
def test_what_cannot_be_meant_is_refused(kind: Kind[Any], text: str) -> None:
    with pytest.raises(ValueError, match=r"^"):
        kind.read(text)


@pytest.mark.parametrize(
    ("line", "option", "value"),
    [
        ("port = 9000", options.PORT, 9000),
        ("keep-alive = 90", options.KEEP_ALIVE, 90.0),
        ("keep-alive = 0.5", options.KEEP_ALIVE, 0.5),
        ('keep-alive = "2h"', options.KEEP_ALIVE, 7200.0),
        ('keep-alive = "never"', options.KEEP_ALIVE, None),
        ("memory = 8_000_000_000", options.MEMORY, 8_000_000_000),
        ('memory = "24GB"', options.MEMORY, 24_000_000_000),
        ('memory = "auto"', options.MEMORY, None),
        ('model = ["demo", "org/a, b"]', options.MODEL, ("demo", "org/a, b")),
        ("model = []", options.MODEL, ()),
        ("insecure = true", options.INSECURE, True),
        ('log-format = "json"', options.LOG_FORMAT, "json"),
        ('host = "::1"', options.HOST, "::1"),
        ("per-key = 3", options.PER_KEY, 3),
    ],
)
def test_the_file_may_say(places: Places, line: str, option: Option[Any], value: object) -> None:
    text = f"[serve]\n{line}\n"
    places.write(text)
    assert origin(places.read(), option) == (value, "file")
    assert SCHEMA.is_valid(tomllib.loads(text))


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ('port = "9000"', "port in FILE is '9000'; it must be a whole number from 0 to 65535"),
        ("port = 9.5", "port in FILE is 9.5; it must be a whole number from 0 to 65535"),
        ("port = true", "port in FILE is true; it must be a whole number from 0 to 65535"),
        ("insecure = 1", "insecure in FILE is 1; it must be true or false"),
        ("host = 127", "host in FILE is 127; it must be a host name or an address"),
        (
            'cors-origin = "https://a.org"',
            "cors-origin in FILE is 'https://a.org'; write it as a list: cors-origin = [\"https://a.org\"]",
        ),
        (
            'allowed-host = [" "]',
            "allowed-host in FILE is a list; it must be host names such as chat.example.org",
        ),
        (
            "log-level = {}",
            "log-level in FILE is a table; it must be error, warning, info or debug",
        ),
        ("prot = 1", "prot in FILE is no option; did you mean port?"),
        ("keep_alive = 1", "keep_alive in FILE is no option; did you mean keep-alive?"),
        ("zzz = 1", "zzz in FILE is no option; mlxk2 serve --help lists the options"),
        (
            'api-key = "s3cret"',
            "api-key does not belong into FILE; put keys into a file of their own, and name it with api-key-file",
        ),
    ],
)
def test_a_wrong_key_or_value_of_the_file_is_named_with_its_place(places: Places, line: str, complaint: str) -> None:
    text = f"[serve]\n{line}\n"
    places.write(text)
    assert places.complaint() == complaint
    assert not SCHEMA.is_valid(tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (
            "port = 1",
            "port means nothing where it stands in FILE; write it below a line [serve]",
        ),
        (
            "[server]\nport = 1",
            "server means nothing where it stands in FILE; it may have the table [serve] and nothing else",
        ),
        ("serve = 1", "serve in FILE is no table; begin it with a line [serve]"),
        (
            "[serve]\n\nport = ?",
            "The configuration file FILE is no TOML at line 3: invalid value; correct it there",
        ),
        (
            "[serve]\nport = 1\nport = 2\n",
            "The configuration file FILE is no TOML at line 3: cannot overwrite a value; correct it there",
        ),
    ],
)
def test_a_file_that_cannot_be_read_so_is_told_by_line_or_key(places: Places, text: str, complaint: str) -> None:
    places.write(text)
    assert re.sub(r", column [0-9]+:", ":", places.complaint()) == complaint


def test_a_file_that_is_no_text_or_cannot_be_opened_is_told(places: Places) -> None:
    places.usual.parent.mkdir(parents=True)
    places.usual.write_bytes(b"[serve]\nhost = '\xff'")
    assert places.complaint() == ("The configuration file FILE is not UTF-8 text; convert it")
    named = str(places.home / "none.toml")
    assert places.complaint(file=named) == (
        "The configuration file HOME/none.toml cannot be read: no such file or directory; correct its name or rights"
    )
    assert places.complaint({"MLXK2_CONFIG": str(places.home)}) == (
        "The configuration file HOME cannot be read: is a directory; correct its name or rights"
    )


@pytest.mark.parametrize(
    ("variables", "flags", "complaint"),
    [
        ({"MLXK2_PORT": "80a"}, {}, "MLXK2_PORT is '80a'; it must be a whole number from 0 to 65535"),
        ({"MLXK2_PORT": " "}, {}, "MLXK2_PORT is ' '; it must be a whole number from 0 to 65535"),
        (
            {"MLXK2_KEEP_ALIVE": "forever"},
            {},
            "MLXK2_KEEP_ALIVE is 'forever'; it must be a time such as 90, 30s, 5m or 2h, from 0s to 30d, or never",
        ),
        (
            {},
            {"max_body": "8MBytes"},
            "--max-body is '8MBytes'; it must be a size such as 512MB or 8GiB, from 1KiB to 1GiB",
        ),
        ({}, {"log_level": "loud"}, "--log-level is 'loud'; it must be error, warning, info or debug"),
        (
            {},
            {"model": ["a", ""]},
            "--model is 'a,'; it must be models as you name them elsewhere: org/model, a short name, name@hash",
        ),
        ({"MLXK2_PROT": "1"}, {}, "MLXK2_PROT in the environment is no option; did you mean MLXK2_PORT?"),
        (
            {"MLXK2_ZZZ": "1"},
            {},
            "MLXK2_ZZZ in the environment is no option; unset it; mlxk2 serve --help lists the options",
        ),
        (
            {"MLXK2_HOST": "x" * 200, "MLXK2_PORT": "p" * 200},
            {},
            f"MLXK2_PORT is '{'p' * 79}...; it must be a whole number",
        ),
        ({"MLXK2_API_KEY": "a,,secret"}, {}, "MLXK2_API_KEY is what it is; it must be keys, with commas between them"),
    ],
)
def test_a_wrong_variable_or_flag_is_named_with_what_it_must_be(
    places: Places, variables: dict[str, str], flags: dict[str, Given], complaint: str
) -> None:
    assert places.complaint(variables, flags).startswith(complaint)


@pytest.mark.parametrize("name", ["MLXK2_JSON_SPEC", "MLXK2_CONFIG", "MLXK2_ZZZ", "XMLXK2_PORT", "mlxk2_port"])
def test_variables_of_others_and_empty_ones_are_no_mistake(places: Places, name: str) -> None:
    value = {"MLXK2_JSON_SPEC": "0.1.3", "MLXK2_CONFIG": "", "MLXK2_ZZZ": ""}.get(name, "what it is")
    assert places.read({name: value})[options.PORT] == 8000


def test_the_file_is_the_one_that_is_named_before_the_one_of_the_variable_before_the_usual_one(places: Places) -> None:
    usual = places.write("[serve]\nport = 1\n")
    second = places.write("[serve]\nport = 2\n", places.home / "second.toml")
    third = places.write("[serve]\nport = 3\n", places.home / "third.toml")
    assert (places.read().file, places.read()[options.PORT]) == (str(usual), 1)
    variables = {"MLXK2_CONFIG": str(second)}
    assert (places.read(variables).file, places.read(variables)[options.PORT]) == (str(second), 2)
    assert places.read(variables, file=str(third)).file == str(third)
    usual.unlink()
    assert places.read().file is None


def test_without_the_variable_of_the_desktop_the_file_is_below_the_home_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    path = Places(tmp_path).write("[serve]\nport = 5\n", tmp_path / ".config" / "mlxk2" / "config.toml")
    for environ in ({}, {"XDG_CONFIG_HOME": ""}):
        assert read_configuration(environ).file == str(path)


def test_a_path_in_the_file_is_relative_to_the_file(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ann")
    places.write('[serve]\napi-key-file = "keys.txt"\n')
    assert places.read()[options.API_KEY_FILE] == str(places.usual.parent / "keys.txt")
    assert places.read({"MLXK2_API_KEY_FILE": "keys.txt"})[options.API_KEY_FILE] == "keys.txt"
    assert places.read({"MLXK2_API_KEY_FILE": "~/keys"})[options.API_KEY_FILE] == "/home/ann/keys"
    assert places.read(flags={"api_key_file": "none"})[options.API_KEY_FILE] is None
    places.write('[serve]\napi-key-file = "~/keys"\n')
    assert places.read()[options.API_KEY_FILE] == "/home/ann/keys"


def test_a_list_may_be_a_flag_several_times_or_have_commas(places: Places) -> None:
    assert places.read(flags={"model": ["a", "b,c"]})[options.MODEL] == ("a", "b", "c")
    assert places.read({"MLXK2_MODEL": "a, b"})[options.MODEL] == ("a", "b")


@pytest.mark.parametrize("option", OPTIONS, ids=[option.name for option in OPTIONS])
def test_what_is_shown_of_a_default_can_be_written_again(option: Option[Any]) -> None:
    shown = option.shown_default
    assert shown or option.default == ()
    assert option.kind.read(shown or "x") == (option.default if shown else ("x",))


@pytest.mark.parametrize(
    ("kind", "value", "shown"),
    [
        (TIME, 0.0, "0s"),
        (TIME, 90.0, "90s"),
        (TIME, 0.25, "0.25s"),
        (TIME, 3600.0, "1h"),
        (TIME, 86_399.0, "86399s"),
        (SIZE, 0, "0B"),
        (SIZE, 1_500, "1500B"),
        (SIZE, 8 * 2**30, "8GiB"),
        (SIZE, 8 * 10**9, "8GB"),
        (SIZE, 1_500 * 10**6, "1500MB"),
    ],
)
def test_a_value_is_shown_in_the_largest_unit_that_is_exact(kind: Kind[Any], value: float, shown: str) -> None:
    assert kind.show(value) == shown
    assert kind.read(shown) == value


def test_every_option_is_a_flag_unless_it_is_a_secret() -> None:
    commands: Any = next(action.choices for action in build_parser(whole=True)._actions if action.dest == "command")
    actions = {action.dest for action in commands["serve"]._actions}
    assert {option.attribute for option in OPTIONS if not option.is_secret} <= actions
    assert not {option.attribute for option in OPTIONS if option.is_secret} & actions


def test_the_example_of_the_page_is_a_file_that_works(places: Places) -> None:
    (example,) = re.findall(r"```toml\n(.+?)```", (DOCS / "server.md").read_text(), re.DOTALL)
    places.write(example)
    configuration = places.read()
    assert {setting.source for setting in configuration.settings} == {"file", "default"}
    assert (configuration[options.PORT], configuration[options.KEEP_ALIVE]) == (8080, 3600.0)
    SCHEMA.validate(tomllib.loads(example))


def test_the_schema_is_a_valid_one_and_has_every_option_with_its_default() -> None:
    schema: Any = SCHEMA.schema
    jsonschema.Draft202012Validator.check_schema(schema)
    table = schema["properties"]["serve"]["properties"]
    assert list(table) == [option.name for option in OPTIONS if not option.is_secret]
    for name, part in table.items():
        assert SCHEMA.is_valid({"serve": {name: part["default"]}}), name
