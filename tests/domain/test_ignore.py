"""What of a folder stays at home when it is pushed, and why."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlxk2.domain.ignore import IgnoreRules, Reason

DEFAULTS = IgnoreRules.of(None)
DEPTHS = ("", "sub/", "a/b/c/")


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "path",
    [
        *(".venv/lib/site.py", "venv/bin/python", "node_modules/left/index.js", "__pycache__/model.cpython-311.pyc"),
        *("model.pyc", "model.pyo", "model.pyd", ".cache/anything", ".mypy_cache/x.json", ".pytest_cache/README.md"),
        *(".ruff_cache/x", ".ipynb_checkpoints/a.ipynb", ".tox/x", ".nox/x", ".DS_Store", "._config.json", "Thumbs.db"),
        *("desktop.ini", "config.json~", ".config.json.swp", "model.safetensors.incomplete", ".hfignore"),
    ],
)
def test_caches_virtual_environments_and_leftovers_stay_at_home_at_every_depth(depth: str, path: str) -> None:
    assert DEFAULTS.reason(f"{depth}{path}") is Reason.JUNK


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "path",
    [
        *(".env", ".env.local", ".env.example", ".envrc", "prod.env", ".netrc", "_netrc", ".pypirc", ".npmrc"),
        *(".htpasswd", ".git-credentials", "credentials", "credentials.json", "aws_credentials.csv"),
        *("google-credentials.json", "client_secret_123.json", "service_account.json", "service-account-prod.json"),
        *("secrets.yaml", ".secrets/anything", "id_rsa", "id_rsa.pub", "id_dsa", "id_ecdsa", "id_ed25519"),
        *("secrets/anything", "secrets/a/b.txt", "Secrets/pin.txt"),
        *("server.pem", "server.key", "store.p12", "store.pfx", "login.ppk", "store.jks", "passwords.kdbx"),
        *("app.keystore", "token", "token.txt", "hub.token", "hf_token", "hf-token", "hf_token.txt", "stored_tokens"),
        *(".ssh/config", ".aws/config", ".gnupg/pubring.kbx", ".kube/config", ".docker/config.json"),
    ],
)
def test_secrets_stay_at_home_at_every_depth(depth: str, path: str) -> None:
    assert DEFAULTS.reason(f"{depth}{path}") is Reason.SECRET


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("path", [".git/config", ".git", ".hg/store", ".svn/entries", ".bzr/README", ".jj/repo/x"])
def test_version_control_stays_at_home_at_every_depth(depth: str, path: str) -> None:
    assert DEFAULTS.reason(f"{depth}{path}") is Reason.VERSION_CONTROL


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize(
    "path",
    [
        *("config.json", "generation_config.json", "model.safetensors", "model-00001-of-00002.safetensors"),
        *("model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json", "tokenizer.model"),
        *("special_tokens_map.json", "added_tokens.json", "tokens.txt", "vocab.json", "merges.txt"),
        *("chat_template.jinja", "preprocessor_config.json", "weights.npz", "tiny-Q4_K_M.gguf", "modeling_tiny.py"),
        *("README.md", "LICENSE", ".gitattributes", ".gitignore", "environment.yml", "keys.json", "public.txt"),
    ],
)
def test_the_files_of_a_model_go_along(depth: str, path: str) -> None:
    assert DEFAULTS.reason(f"{depth}{path}") is None


@pytest.mark.parametrize(
    ("lines", "path", "stays"),
    [
        ("*.log", "train.log", True),
        ("*.log", "runs/1/train.log", True),
        ("*.log", "train.log.txt", False),
        ("*.LOG", "train.log", False),
        ("notes", "notes", True),
        ("notes", "notes/a.md", True),
        ("notes", "old/notes/a.md", True),
        ("notes/", "notes/a.md", True),
        ("notes/", "notes", False),
        ("/top.txt", "top.txt", True),
        ("/top.txt", "sub/top.txt", False),
        ("a/b.txt", "a/b.txt", True),
        ("a/b.txt", "x/a/b.txt", False),
        ("**/b.txt", "x/y/b.txt", True),
        ("a/**/b.txt", "a/b.txt", True),
        ("a/**/b.txt", "a/x/y/b.txt", True),
        ("a/**", "a/x/y", True),
        ("a/*", "a/x", True),
        ("?.txt", "a.txt", True),
        ("?.txt", "ab.txt", False),
        ("[a-c].txt", "b.txt", True),
        ("[!a-c].txt", "b.txt", False),
        ("# *.log", "train.log", False),
        ("\\#notes", "#notes", True),
        ("\\!notes", "!notes", True),
        ("", "train.log", False),
        ("train.log   ", "train.log", True),
        ("train.log\\ ", "train.log ", True),
        ("*.log\r\n*.tmp\r\n", "a.tmp", True),
        ("*.log\n!keep.log", "keep.log", False),
        ("*.log\n!keep.log", "runs/keep.log", False),
        ("!keep.log\n*.log", "keep.log", True),
        ("*.log\n!keep.log\nkeep.log", "keep.log", True),
        ("runs/*\n!runs/keep.log", "runs/keep.log", False),
        ("*\n!*.json", "config.json", False),
        ("*\n!*.json", "model.safetensors", True),
    ],
)
def test_an_hfignore_file_means_what_a_gitignore_file_means(lines: str, path: str, stays: bool) -> None:
    assert IgnoreRules.of(lines).reason(path) is (Reason.ASKED if stays else None)


def test_a_byte_order_mark_is_no_part_of_the_first_pattern() -> None:
    assert IgnoreRules.of("\ufeff*.log\n").reason("train.log") is Reason.ASKED


@pytest.mark.parametrize("line", ["!", "\\", "notes\\", "!\\"])
def test_a_line_that_means_nothing_is_passed_over_as_git_does(line: str) -> None:
    rules = IgnoreRules.of(f"{line}\n*.log\n")
    assert rules.reason("train.log") is Reason.ASKED


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        ("!.env.example", ".env.example"),
        ("!.env.example", "sub/.env.example"),
        ("!*.pem", "certificates/public.pem"),
        ("!*.swp", "a.swp"),
        ("!__pycache__/", "__pycache__/x.txt"),
    ],
)
def test_hfignore_can_take_a_default_back(lines: str, path: str) -> None:
    assert DEFAULTS.reason(path) is not None
    assert IgnoreRules.of(lines).reason(path) is None


def test_what_is_taken_back_is_that_and_no_more() -> None:
    rules = IgnoreRules.of("!.env.example")
    assert rules.reason(".env") is Reason.SECRET
    assert rules.reason(".env.example.local") is Reason.SECRET


@pytest.mark.parametrize(
    "lines",
    [
        *("!.git", "!.git/", "!**/.git/", "!.git/config", "!.git/*", "!.git/**", "!**/.git/**", "!sub/.git/"),
        *("!*", "!**", "!*/", "*\n!**\n", "!.svn/\n!.cache/\n"),
    ],
)
@pytest.mark.parametrize(
    ("folder", "reason"),
    [
        (".git/", Reason.VERSION_CONTROL),
        ("sub/.git/", Reason.VERSION_CONTROL),
        (".svn/", Reason.VERSION_CONTROL),
        (".cache/", Reason.JUNK),
        ("sub/.cache/huggingface/", Reason.JUNK),
    ],
)
def test_version_control_and_what_the_hub_refuses_cannot_be_taken_back(lines: str, folder: str, reason: Reason) -> None:
    rules = IgnoreRules.of(lines)
    assert rules.reason_of_folder(folder, frozenset({"config"})) is not None
    assert rules.reason(f"{folder}config") is reason


@pytest.mark.parametrize("folder", ["env/", "my-python/", "sub/py311/"])
def test_a_virtual_environment_is_known_by_its_pyvenv_cfg_whatever_its_name(folder: str) -> None:
    assert DEFAULTS.reason_of_folder(folder, frozenset({"bin", "lib", "pyvenv.cfg"})) is not None
    assert DEFAULTS.reason_of_folder(folder, frozenset({"bin", "lib"})) is None


@pytest.mark.parametrize("folder", [".venv/", "sub/venv/", "node_modules/", ".ssh/", ".git/", "sub/.hg/"])
def test_a_folder_that_stays_at_home_is_not_entered(folder: str) -> None:
    assert DEFAULTS.reason_of_folder(folder, frozenset({"config.json"})) is not None


def test_a_folder_that_hfignore_names_is_not_entered() -> None:
    rules = IgnoreRules.of("runs/")
    assert rules.reason_of_folder("runs/", frozenset()) is not None
    assert rules.reason_of_folder("old/runs/", frozenset()) is not None
    assert rules.reason_of_folder("running/", frozenset()) is None


@settings(deadline=None)
@given(
    st.lists(st.sampled_from(["!.git", "!.git/", "!.*", "*", "!config", "!/.git/config", "x", "#", ""]), max_size=6),
    st.sampled_from(["", "sub/", "a/b/"]),
    st.sampled_from([".git/", ".hg/", ".svn/", ".bzr/", ".jj/"]),
)
def test_no_order_of_lines_opens_a_folder_of_version_control(lines: list[str], depth: str, folder: str) -> None:
    assert IgnoreRules.of("\n".join(lines)).reason_of_folder(f"{depth}{folder}", frozenset()) is not None


@pytest.mark.parametrize("path", [".ENV", "sub/KEY.PEM", "Id_Rsa", "Credentials.JSON"])
def test_secrets_are_known_in_capitals_too(path: str) -> None:
    assert DEFAULTS.reason(path) is Reason.SECRET


def test_a_secret_in_capitals_can_be_taken_back_by_its_name() -> None:
    assert IgnoreRules.of("!PUBLIC.PEM").reason("PUBLIC.PEM") is None


@pytest.mark.parametrize(
    "path",
    [".pgpass", "infra/prod.tfstate", ".config/gh/hosts.yml", "a/.bash_history", "secrets/prod.yaml", "passwords.txt"],
)
def test_where_tools_keep_secrets_is_known(path: str) -> None:
    assert DEFAULTS.reason(path) is Reason.SECRET


@pytest.mark.parametrize("path", [".GIT/config", "sub/.Svn/entries"])
def test_version_control_is_known_in_any_case(path: str) -> None:
    """A file system may not tell the cases apart."""
    assert DEFAULTS.reason(path) is Reason.VERSION_CONTROL
