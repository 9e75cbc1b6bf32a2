"""Names of repos on the Hub and the revisions that are asked for."""

import contextlib
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.domain.names import HubReference, check_revision, folder_of, hub_name, parse_hub_reference
from mlxk2.ports.errors import ValidationError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("org/model", "org/model"),
        ("Org/Model-7B_v0.1", "Org/Model-7B_v0.1"),
        ("o/m", "o/m"),
        ("0org/0model", "0org/0model"),
        ("org_/model_", "org_/model_"),
        ("org/_model", "org/_model"),
        ("org.name/model", "org.name/model"),
        ("model", "mlx-community/model"),
        ("Qwen2.5-0.5B-Instruct-4bit", "mlx-community/Qwen2.5-0.5B-Instruct-4bit"),
        ("demos", "mlx-community/demos"),
        ("mlxk2/demo", "mlxk2/demo"),
        ("org/" + "m" * 92, "org/" + "m" * 92),
    ],
)
def test_a_full_name_means_itself_and_a_bare_one_is_of_mlx_community(text: str, name: str) -> None:
    assert parse_hub_reference(text) == HubReference(text, name, "main", pinned=False)
    assert hub_name(text) == name


def test_demo_means_the_model_of_this_package() -> None:
    assert parse_hub_reference("demo") == HubReference("demo", "mlxk2/demo", "main", pinned=False)
    assert parse_hub_reference("demo@main") == HubReference("demo", "mlxk2/demo", "main", pinned=True)


@pytest.mark.parametrize(
    "revision",
    [
        *("main", "v1.0", "refs/pr/1", "feature/new-head", "release_2", "a+b", "a=b", "abc", "ABC", "1", "_", "-"),
        *("x" * 200, "a.b", ".hidden", "lock", "a.locked"),
    ],
)
def test_a_branch_a_tag_or_a_short_hash_follows_the_at_sign_or_comes_as_an_option(revision: str) -> None:
    expected = HubReference("org/model", "org/model", revision, pinned=True)
    assert parse_hub_reference(f"org/model@{revision}") == expected
    assert parse_hub_reference("org/model", revision) == expected
    assert parse_hub_reference(f"org/model@{revision}", revision) == expected
    assert not expected.is_commit


@pytest.mark.parametrize("text", [COMMIT, COMMIT.upper()])
def test_forty_hexadecimal_digits_are_a_commit_in_any_case(text: str) -> None:
    reference = parse_hub_reference(f"org/model@{text}")
    assert (reference.revision, reference.is_commit, reference.pinned) == (COMMIT, True, True)


@pytest.mark.parametrize("revision", [COMMIT[:39], f"{COMMIT}0", f"v{COMMIT[1:]}"])
def test_what_only_resembles_a_commit_is_a_branch_or_tag(revision: str) -> None:
    assert not parse_hub_reference("org/model", revision).is_commit


def test_two_different_revisions_are_refused() -> None:
    with pytest.raises(ValidationError, match="Two revisions are asked for, 'v1' and 'v2'; name one"):
        parse_hub_reference("org/model@v1", "v2")


@pytest.mark.parametrize("text", ["", "   ", "@main", "\t"])
def test_an_empty_reference_says_so(text: str) -> None:
    with pytest.raises(ValidationError, match="is empty"):
        parse_hub_reference(text)


@pytest.mark.parametrize(
    "text",
    [
        *("org/a--b", "a--b", "org--model", "or--g/model"),
        *("../x", "x/..", "..", ".", "./x", "org/..", "org/.", "org/a..b", "o..g/model", "a..b"),
        *("a/b/c", "org/model/", "/org/model", "org//model", "/", "~/model", "~", "https://huggingface.co/org/model"),
        *(" org/model", "org/model ", "org /model", "org/mo del", "org/model\n", "org/mo\0del", "org/\x1b[31mred"),
        *("-org/model", "org-/model", ".org/model", "org./model", "_org/model", "org/-model", "org/model-"),
        *("org/.model", "org/model.", "-model", "model-", ".model", "model."),
        *("org\\model", "org/mo\\del", "org/mod\u00e8le", "\u540d/model", "org/model\udcff", "org/model\u200b"),
        *("org/m:x", "org/m?x", "org/m*", "org/m#x", "org/m%2f", "org/m+x", "org/m=x", "org/m,x", "org/m'x", 'org/m"x'),
        *("org/m(x)", "org/m[x]", "org/m{x}", "org/m<x>", "org/m|x", "org/m;x", "org/m&x", "org/m$x", "org/m!x"),
        *("org/m`x", "org/m^x", "org/m~x", "org/" + "m" * 93, "m" * 83, "m" * 97),
    ],
)
def test_what_cannot_be_a_name_on_the_hub_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        parse_hub_reference(text)
    with pytest.raises(ValidationError):
        hub_name(text)


def test_an_odd_name_is_told_how_it_should_be() -> None:
    with pytest.raises(ValidationError) as caught:
        hub_name("org/a--b")
    assert caught.value.message == (
        "'org/a--b' is not a name on the Hub: write org/model, each of letters, digits, '-', '_' and '.', beginning and"
        " ending with a letter or digit, without '--' or '..', at most 96 characters"
    )


@pytest.mark.parametrize("text", ["https://huggingface.co/org/model", "hf://org/model@v1", "http://x"])
def test_an_address_is_told_to_be_one(text: str) -> None:
    with pytest.raises(ValidationError, match="' is an address; write only the model's name, such as org/model"):
        parse_hub_reference(text)


@pytest.mark.parametrize(
    "revision",
    [
        *("", ".", "..", "a..b", "../x", "x/..", "x/../y", "a/./b", "/main", "main/", "a//b", "main.lock", "a.lock/b"),
        *("a.", "a./b", "main ", " main", "ma in", "main\n", "ma\0in", "a@b", "a~1", "a^", "a:b", "a?b", "a*b", "a[b"),
        *("a\\b", "HEAD@{1}", "caf\u00e9", "\u0661", "x" * 201, "a%2fb", "a#b", "a&b", "'main'"),
    ],
)
def test_what_cannot_be_a_branch_a_tag_or_a_commit_is_refused(revision: str) -> None:
    for refused in (
        lambda: parse_hub_reference(f"org/model@{revision}"),
        lambda: parse_hub_reference("org/model", revision),
        lambda: check_revision(revision, "org/model"),
    ):
        with pytest.raises(ValidationError) as caught:
            refused()
        shown = repr(revision.encode("utf-8", "surrogateescape").decode("utf-8", "replace"))
        assert caught.value.message.endswith(
            f" does not name a revision: write a branch, a tag or the hash of a commit, not {shown}"
        )


ODD = string.ascii_letters[:4] + "09_-./\\~@:%+= \0\n\u00e9\udcff"
NAMES = st.one_of(st.text(), st.text(ODD), st.text("ab-./_", max_size=12))


@settings(deadline=None)
@given(NAMES)
def test_no_name_that_is_accepted_can_lead_out_of_the_cache(text: str) -> None:
    with contextlib.suppress(ValidationError):
        name = hub_name(text)
        folder = folder_of(name)
        assert folder.startswith("models--")
        assert folder.isascii()
        assert folder.isprintable()
        assert not set(folder) & set("/\\:~")
        assert ".." not in folder
        assert name == folder.removeprefix("models--").replace("--", "/")


@settings(deadline=None)
@given(NAMES)
def test_no_revision_that_is_accepted_can_lead_out_of_the_folder_of_refs(text: str) -> None:
    with contextlib.suppress(ValidationError):
        revision = parse_hub_reference("org/model", text).revision
        assert revision.isascii()
        assert not set(revision) & set("\\:~ \0\n")
        parts = revision.split("/")
        assert not {"", ".", ".."} & set(parts)
        assert not any(part.endswith(".lock") for part in parts)


@settings(deadline=None)
@given(NAMES)
def test_any_text_is_a_reference_or_a_validation_error(text: str) -> None:
    with contextlib.suppress(ValidationError):
        reference = parse_hub_reference(text)
        assert parse_hub_reference(f"{reference.name}@{reference.revision}").name == reference.name
