"""No token and no signature in anything that is told, and nothing else lost."""

import pytest

from mlxk2.ports.redaction import without_secrets

TOKEN = "hf_q7Zk2mXv9LdTn4RsWcB8yHfJ3pGaE6uKoV"  # noqa: S105 - made up


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (f"token {TOKEN} is wrong", "token (token) is wrong"),
        (f"header b'Bearer {TOKEN}'", "header b'(token)'"),
        ("authorization: bearer anything-else", "authorization: (token)"),
        (f"hf_oauth_{TOKEN}.{TOKEN}-x", "(token)"),
        ("GET https://host/file?Signature=abc&Expires=1 failed", "GET https://host/file?... failed"),
        ("api_org_q7Zk2mXv9LdTn4RsWcB8yHfJ3pGaE6uKoV", "(token)"),
    ],
)
def test_secrets_are_left_out(text: str, told: str) -> None:
    assert without_secrets(text) == told


@pytest.mark.parametrize(
    "text",
    [
        "hf_quant_config.json is missing",
        "Cannot use /data/hf_cache_dir/hub",
        "The Hub has no model 'org/hf_small_model_v2'",
        "what is the meaning of this? nothing",
        "see https://huggingface.co/org/model/tree/main",
    ],
)
def test_ordinary_names_stay_as_they_are(text: str) -> None:
    assert without_secrets(text) == text


def test_the_token_in_use_is_left_out_whatever_its_form() -> None:
    assert without_secrets("bad token s3cr3t-of-mine!", "s3cr3t-of-mine!") == "bad token (token)"
    assert without_secrets("a short word", "a") == "a short word"
