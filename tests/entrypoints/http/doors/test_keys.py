"""Who has a key gets in, and nobody learns which keys there are."""

from pathlib import Path

import pytest

from mlxk2.entrypoints.http.auth import KeyFile, KeyRing, checked_keys, label_of, read_key_file, required_keys
from mlxk2.ports.errors import AccessProblem, ValidationError
from tests.entrypoints.http.doors.asking import HOME, ask
from tests.entrypoints.http.doors.rooms import behind

KEYS = ["first-key", "second-key"]


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer second-key"),
        (b"authorization", b"bearer  second-key "),
        (b"x-api-key", b"second-key"),
    ],
)
def test_any_of_the_keys_opens_in_either_form(header: tuple[bytes, bytes]) -> None:
    reply = ask(behind(api_keys=KEYS), headers=[HOME, header])
    assert (reply.status, reply.body) == (200, label_of(b"second-key").encode())


@pytest.mark.parametrize(
    "header",
    [
        (b"authorization", b"Bearer third-key"),
        (b"authorization", b"Bearer "),
        (b"authorization", b"Basic first-key"),
        (b"authorization", b"Bearer first-key second-key"),
        (b"authorization", b"Bearer \xff\xfe\xc3"),
        (b"x-api-key", b"first-ke"),
        (b"x-api-key", b"first-key,second-key"),
        (b"x-api-key", "schlüssel".encode()),
        (b"x-api-key", b""),
        (b"api-key", b"first-key"),
    ],
)
def test_a_wrong_key_is_refused_as_http_wants_it(header: tuple[bytes, bytes]) -> None:
    reply = ask(behind(api_keys=KEYS), headers=[HOME, header])
    assert reply.status == 401
    assert reply.header(b"www-authenticate") == b"Bearer"
    assert reply.error["type"] == "authentication_error"


def test_a_refusal_does_not_repeat_the_key() -> None:
    assert b"third-key" not in ask(behind(api_keys=KEYS), headers=[HOME, (b"x-api-key", b"third-key")]).body


def test_a_wrong_key_in_one_form_does_not_spoil_a_right_one_in_the_other() -> None:
    headers = [HOME, (b"authorization", b"Bearer none"), (b"x-api-key", b"first-key")]
    assert ask(behind(api_keys=KEYS), headers=headers).status == 200


@pytest.mark.parametrize(
    "path", ["/v1/models", "/ready", "/metrics", "/openapi.json", "/nothing", "/health/x", "//health"]
)
def test_everything_but_health_wants_a_key(path: str) -> None:
    assert ask(behind(api_keys=KEYS), path=path).status == 401


def test_health_is_answered_without_a_key() -> None:
    assert ask(behind(api_keys=KEYS), path="/health").status == 200


def test_anthropics_clients_hear_of_it_in_their_own_form() -> None:
    reply = ask(behind(api_keys=KEYS), path="/v1/messages")
    assert reply.json["type"] == "error"
    assert reply.error["type"] == "authentication_error"


def test_without_keys_the_machine_itself_is_one_client_and_others_are_their_addresses() -> None:
    assert ask(behind(), client=("127.0.0.1", 1)).body == ask(behind(), client=("::1", 2)).body == b"local"
    assert ask(behind(), client=None).body == b"local"
    assert ask(behind(), client=("192.168.1.5", 1)).body == b"192.168.1.5"


def test_a_label_does_not_tell_the_key() -> None:
    assert "first" not in label_of(b"first-key")
    assert label_of(b"first-key") != label_of(b"second-key")


def test_neither_a_ring_nor_a_file_shows_its_keys(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first-key\n")
    assert "first-key" not in repr(read_key_file(tmp_path / "keys"))
    assert "first-key" not in repr(vars(KeyRing(KEYS)))


def test_a_key_file_has_one_key_a_line_and_comments(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("# mine\nfirst-key\n\n  second-key  \nfirst-key\n")
    (tmp_path / "keys").chmod(0o600)
    assert read_key_file(tmp_path / "keys") == KeyFile(("first-key", "second-key"), exposed=False)


def test_a_key_file_that_others_can_read_is_called_exposed(tmp_path: Path) -> None:
    (tmp_path / "keys").write_text("first-key\n")
    (tmp_path / "keys").chmod(0o644)
    assert read_key_file(tmp_path / "keys").exposed


@pytest.mark.parametrize(
    "content", [b"", b"# nothing\n\n", b"two words\n", "schlüssel\n".encode(), b"\xff\xfe\n", b"a" * 513]
)
def test_a_key_file_without_usable_keys_is_refused_without_quoting_it(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(ValidationError, match="key") as caught:
        read_key_file(tmp_path / "keys")
    assert "words" not in str(caught.value)


def test_a_key_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(AccessProblem, match="nowhere"):
        read_key_file(tmp_path / "nowhere")


def test_keys_of_the_environment_are_checked_as_well() -> None:
    assert checked_keys(["a", "b", "a"], "MLXK2_API_KEYS") == ("a", "b")
    with pytest.raises(ValidationError, match="Key 2 of MLXK2_API_KEYS"):
        checked_keys(["a", "b\n"], "MLXK2_API_KEYS")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "box.lan"])  # noqa: S104
def test_other_machines_are_let_in_only_with_keys_or_on_purpose(host: str) -> None:
    with pytest.raises(ValidationError, match="--insecure"):
        required_keys(host, (), insecure=False)
    required_keys(host, ("a-key",), insecure=False)
    required_keys(host, (), insecure=True)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_this_machine_alone_needs_no_keys(host: str) -> None:
    required_keys(host, (), insecure=False)  # raises nothing, unlike for the hosts above
