"""Model names and references."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.domain.names import ModelReference, folder_of, name_of, parse_reference, short_name
from mlxk2.ports.errors import ValidationError


@pytest.mark.parametrize(
    ("text", "name", "revision"),
    [
        ("org/model", "org/model", None),
        ("model", "model", None),
        ("org/model@ABCdef0", "org/model", "abcdef0"),
        ("org/Demo", "org/Demo", None),
        ("x" * 96, "x" * 96, None),
    ],
)
def test_a_reference_is_a_name_and_an_optional_hash(text: str, name: str, revision: str | None) -> None:
    assert parse_reference(text) == ModelReference(name, revision)


def test_demo_is_short_for_one_exact_model() -> None:
    assert parse_reference("demo") == ModelReference("mlxk2/demo", exact=True)
    assert parse_reference("demo@abc") == ModelReference("mlxk2/demo", "abc", exact=True)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is empty"),
        ("   ", "is empty"),
        ("@abc", "is empty"),
        ("x" * 97, "97 characters"),
        ("/etc/passwd", "is a path"),
        ("~/models", "is a path"),
        ("org/../victim", "'..'"),
        ("..", "'..'"),
        ("models--org--m/../../victim", "'..'"),
        ("org//model", "empty parts"),
        ("org/", "empty parts"),
        ("org\\model", "backslash"),
        ("https://huggingface.co/org/model", "is an address; write only the model's name, such as org/model"),
        ("hf://org/model", "is an address"),
        ("org/model://x", "is an address"),
        ("org/mo\0del", "control character"),
        ("org/mo\ndel", "control character"),
        ("org/model@ab", "3 to 40 hexadecimal"),
        ("org/model@main", "3 to 40 hexadecimal"),
        ("org/model@", "3 to 40 hexadecimal"),
        ("org/model@" + "a" * 41, "3 to 40 hexadecimal"),
        ("org/model@../..", "3 to 40 hexadecimal"),
    ],
)
def test_a_bad_reference_says_which_rule_it_breaks(text: str, words: str) -> None:
    with pytest.raises(ValidationError, match="(?s)" + words.replace(".", r"\.")):
        parse_reference(text)


@pytest.mark.parametrize(
    ("name", "folder"),
    [("org/model", "models--org--model"), ("gpt2", "models--gpt2"), ("org/a/b", "models--org--a--b")],
)
def test_a_name_and_its_folder_are_converted_both_ways(name: str, folder: str) -> None:
    assert folder_of(name) == folder
    assert name_of(folder) == name


def test_a_folder_that_breaks_the_rules_is_shown_by_mechanical_conversion() -> None:
    assert name_of("models--org---model") == "org/-model"
    assert name_of("models--org--a--b--c") == "org/a/b/c"


def test_a_folder_with_bytes_that_are_not_text_has_a_name_that_can_be_printed() -> None:
    name = name_of(b"models--org--m\xff".decode("utf-8", "surrogateescape"))
    assert name == "org/m\\xff"
    assert name_of("models--org--\x1b[31mred\n") == "org/\\x1b[31mred\\x0a"


def test_only_the_default_organisation_is_left_out_of_short_names() -> None:
    assert short_name("mlx-community/phi") == "phi"
    assert short_name("other/phi") == "other/phi"


@given(st.text())
def test_parsing_any_text_gives_a_reference_that_stays_in_the_cache_or_a_validation_error(text: str) -> None:
    with contextlib.suppress(ValidationError):
        folder = folder_of(parse_reference(text).name)
        assert "/" not in folder
        assert "\0" not in folder
        assert folder.startswith("models--")
