"""Tokens and private keys in the content of files."""

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.domain.secrets import secret_in

PIECE = 256 * 1024
RANDOM = "q7Zk2mXv9LdTn4RsWcB8yHfJ3pGaE6uKoVbN"
HF = f"hf_{RANDOM[:34]}"


def in_pieces(content: bytes, size: int = PIECE) -> Iterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


@pytest.mark.parametrize(
    ("secret", "kind"),
    [
        (HF, "a Hugging Face token"),
        (f"ghp_{RANDOM}", "a GitHub token"),
        (f"gho_{RANDOM}", "a GitHub token"),
        (f"ghs_{RANDOM}", "a GitHub token"),
        (f"ghu_{RANDOM}", "a GitHub token"),
        (f"ghr_{RANDOM}", "a GitHub token"),
        (f"github_pat_11ABCDEFG0{RANDOM}_{RANDOM}", "a GitHub token"),
        (f"glpat-{RANDOM[:20]}", "a GitLab token"),
        ("AKIAIOSFODNN7Q2MXV9L", "an AWS access key"),
        ("ASIAIOSFODNN7Q2MXV9L", "an AWS access key"),
        (f"sk-{RANDOM}", "an API key"),
        (f"sk-proj-{RANDOM}_{RANDOM}", "an API key"),
        (f"sk-ant-api03-{RANDOM}-{RANDOM}", "an API key"),
        (f"AIzaSy{RANDOM[:33]}", "a Google API key"),
        (f"xoxb-1234567890-{RANDOM}", "a Slack token"),
        (f"pypi-AgEIcHlwaS5vcmc{RANDOM}{RANDOM}", "a PyPI token"),
        (f"npm_{RANDOM}", "an npm token"),
        ("-----BEGIN PRIVATE KEY-----", "a private key"),
        ("-----BEGIN RSA PRIVATE KEY-----", "a private key"),
        ("-----BEGIN EC PRIVATE KEY-----", "a private key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ("-----BEGIN ENCRYPTED PRIVATE KEY-----", "a private key"),
        ("-----BEGIN PGP PRIVATE KEY BLOCK-----", "a private key"),
    ],
)
@pytest.mark.parametrize("text", ["{}", 'TOKEN = "{}"', "a line\nexport TOKEN={}\nanother", "https://user:{}@host/x"])
def test_a_secret_is_known_by_the_form_that_its_issuer_gives_it(secret: str, kind: str, text: str) -> None:
    assert secret_in([text.format(secret).encode()]) == kind


AWS_SECRET = f"{RANDOM}/+1x"


@pytest.mark.parametrize(
    "text",
    [
        f"AWS_SECRET_ACCESS_KEY={AWS_SECRET}",
        f"aws_secret_access_key = {AWS_SECRET}\n",
        f'export AWS_SECRET_ACCESS_KEY="{AWS_SECRET}"',
        f'{{"aws_secret_access_key": "{AWS_SECRET}"}}',
        f"aws_secret_access_key: {AWS_SECRET}",
    ],
)
def test_a_secret_key_of_aws_is_known_by_its_name(text: str) -> None:
    assert secret_in([text.encode()]) == "an AWS secret key"


@pytest.mark.parametrize(
    "text",
    [AWS_SECRET, "AWS_SECRET_ACCESS_KEY=", "aws_secret_access_key = your-key-here", "AWS_SECRET_ACCESS_KEY=$KEY"],
)
def test_a_name_without_a_key_and_a_key_without_a_name_are_no_secret_keys(text: str) -> None:
    assert secret_in([text.encode()]) is None


@pytest.mark.parametrize("secret", [f"api_org_{RANDOM[:34]}", f"hf_oauth_eyJhbGciOiJFZERTQSJ9.{RANDOM}.{RANDOM}"])
def test_every_kind_of_token_of_the_hub_is_known(secret: str) -> None:
    assert secret_in([f"TOKEN={secret}\n".encode()]) == "a Hugging Face token"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "hf_xxxx",
        "AWS_SECRET_ACCESS_KEY=" + "x" * 40,
        "hf_" + "x" * 34,
        "hf_XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX",
        "hf_" + "*" * 34,
        "hf_...",
        "hf_short1",
        "the hf_token argument",
        "hf_hub_download(repo_id, filename)",
        "sk-" + "x" * 40,
        "sk-...",
        "ghp_" + "0" * 36,
        "AKIA" + "X" * 16,
        "AKIAIOSFODNN7Q2MXV9LMORE",
        f"half_{RANDOM}",
        f"shelf_{RANDOM}",
        f"disk-{RANDOM}",
        "-----BEGIN PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----",
        "BEGIN PRIVATE KEY",
        '{"token": null, "bos_token": "<s>", "eos_token_id": 2}',
    ],
)
def test_placeholders_and_ordinary_text_are_no_secrets(text: str) -> None:
    assert secret_in([text.encode()]) is None


def test_an_empty_file_holds_nothing() -> None:
    assert secret_in([]) is None


def test_a_placeholder_does_not_hide_the_secret_after_it() -> None:
    assert secret_in([f"hf_{'x' * 34}\n{HF}\n".encode()]) == "a Hugging Face token"


@pytest.mark.parametrize("before", range(-len(HF), 1))
def test_a_secret_that_lies_across_the_border_of_two_pieces_is_found(before: int) -> None:
    content = b"x" * (PIECE + before - 1) + b"\n" + HF.encode() + b"\n"
    assert secret_in(in_pieces(content)) == "a Hugging Face token"


@pytest.mark.parametrize("padding", [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE - 7])
def test_a_secret_is_found_wherever_it_lies(padding: int) -> None:
    assert secret_in(in_pieces(b" " * padding + HF.encode())) == "a Hugging Face token"


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(0, 60))
def test_a_secret_is_found_however_the_file_is_cut(size: int, padding: int) -> None:
    content = b" " * padding + HF.encode() + b" " * 60
    assert secret_in(in_pieces(content, size)) == "a Hugging Face token"


@pytest.mark.parametrize("position", [0, 100, 8191])
def test_a_binary_file_is_not_searched(position: int) -> None:
    content = bytearray(b" " * 9000 + HF.encode())
    content[position] = 0
    assert secret_in([bytes(content)]) is None


def test_a_nul_far_behind_the_beginning_does_not_make_a_file_binary() -> None:
    assert secret_in([b" " * 8192 + b"\0" + HF.encode()]) == "a Hugging Face token"


def test_of_a_binary_file_only_the_first_piece_is_read() -> None:
    pieces = iter([b"\0" * PIECE, b"more"])
    assert secret_in(pieces) is None
    assert next(pieces) == b"more"


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_a_text_of_wide_characters_is_searched_when_it_begins_as_one(encoding: str) -> None:
    text = f"\ufeffTOKEN=hf_{RANDOM[:34]}" if encoding != "utf-16" else f"TOKEN=hf_{RANDOM[:34]}"
    assert secret_in([text.encode(encoding)]) == "a Hugging Face token"
