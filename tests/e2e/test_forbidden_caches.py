"""Caches that may not be read or written in places: what cannot be looked at is told of, and the rest works.

Root may do everything, so that as root the program is run without the powers to.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jsonschema
import pytest

from mlxk2.testing import healthy_model, with_listing, write_cache
from tests.conftest import check_against
from tests.e2e.conftest import MLXK2, environment

IS_ROOT = os.geteuid() == 0
POWERLESS = ("setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-all") if IS_ROOT else ()
pytestmark = pytest.mark.skipif(
    IS_ROOT and not shutil.which("setpriv"), reason="root may do everything, and setpriv is not here"
)

GOOD, BAD = "org/good", "org/bad"
MODEL = with_listing(healthy_model(BAD))
(COMMIT,) = MODEL.revisions
CONFIG = MODEL.revisions[COMMIT].files["config.json"].etag
DENIED = "permission denied"
UNREADABLE = f"the folder cannot be read: {DENIED}"


class Answer(NamedTuple):
    code: int
    document: dict[str, Any]
    err: str

    @property
    def data(self) -> Any:
        return self.document["data"]

    @property
    def message(self) -> str:
        return str(self.document["error"]["message"])


Ask = Callable[..., Answer]


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Path]:
    root = write_cache(tmp_path / "hub", [healthy_model(GOOD), MODEL])
    (root / ".locks" / MODEL.folder).mkdir(parents=True)
    yield root
    for folder, folders, files in os.walk(root):
        for name in (*folders, *files):
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o700)


@pytest.fixture
def ask(root: Path, schema: jsonschema.Draft202012Validator) -> Ask:
    """`ask("list", "--all")` → exit code, the JSON document, standard error."""

    def call(*argv: str) -> Answer:
        result = subprocess.run(
            [*POWERLESS, MLXK2, *argv, "--json"],
            env=environment(root, HF_HUB_OFFLINE="1"),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        check_against(schema, result.stdout)
        assert "InternalError" not in result.stdout
        return Answer(result.returncode, json.loads(result.stdout), result.stderr)

    return call


def forbid(path: Path, mode: int = 0) -> None:
    """The folder above stays open to the test, which is root or the owner."""
    path.chmod(mode)


PLACES: dict[str, tuple[str, str | None]] = {
    "the model": (MODEL.folder, UNREADABLE),
    "snapshots": (f"{MODEL.folder}/snapshots", UNREADABLE),
    "the snapshot": (f"{MODEL.folder}/snapshots/{COMMIT}", "the snapshot's folder cannot be read"),
    "blobs": (f"{MODEL.folder}/blobs", UNREADABLE),
    "refs": (f"{MODEL.folder}/refs", UNREADABLE),
    "main": (f"{MODEL.folder}/refs/main", UNREADABLE),
    "a blob": (
        f"{MODEL.folder}/blobs/{CONFIG}",
        "config.json cannot be read",
    ),
    "listings": (f"{MODEL.folder}/trees", None),
    "locks": (".locks", None),
    "locks of the model": (f".locks/{MODEL.folder}", None),
}
"""The place, and what health says when it may not be read: None where that does not make the model worse."""


@pytest.mark.parametrize("what", PLACES)
def test_a_place_that_may_not_be_read_makes_its_model_unhealthy_and_no_other(root: Path, ask: Ask, what: str) -> None:
    place, said = PLACES[what]
    forbid(root / place)
    health = ask("health", "--fail")
    reasons = {row["name"]: row["reason"] for row in (*health.data["healthy"], *health.data["unhealthy"])}
    assert (health.code, reasons) == (1 if said else 0, {GOOD: None, BAD: said})
    listed = {row["name"]: row for row in ask("list", "--all").data["models"]}
    assert {name: row["reason"] for name, row in listed.items()} == {GOOD: None, BAD: said}
    assert not listed[BAD]["last_modified"].startswith("1970")
    assert ask("show", BAD).data["model"]["reason"] == said
    verified = ask("verify")
    assert verified.code == (1 if said else 0)
    assert [row["name"] for row in verified.data["healthy"]] == ([GOOD] if said else [BAD, GOOD])


@pytest.mark.parametrize("what", ["the model", "snapshots", "the snapshot", "blobs", "refs", "listings", "locks"])
def test_du_says_where_it_could_not_look_and_counts_the_rest(root: Path, ask: Ask, what: str) -> None:
    whole = {row["name"]: row["size_bytes"] for row in ask("du").data["models"]}
    forbid(root / PLACES[what][0])
    told = ask("du")
    sizes = {row["name"]: row["size_bytes"] for row in told.data["models"]}
    assert (told.code, told.data["unread"]) == (1, [PLACES[what][0]])
    assert sizes[GOOD] == whole[GOOD]
    assert sizes[BAD] <= whole[BAD]


@pytest.mark.parametrize("what", ["the model", "snapshots", "the snapshot", "blobs", "refs", "main", "listings"])
def test_prune_leaves_a_model_alone_that_it_may_not_read(root: Path, ask: Ask, what: str) -> None:
    before = sorted(path for path in (root / MODEL.folder).rglob("*"))
    old = root / "models--org--good" / "blobs" / ("e" * 64)
    old.write_bytes(b"nobody uses it")
    os.utime(old, (1e9, 1e9))
    forbid(root / PLACES[what][0])
    told = ask("prune", "--force")
    assert told.code in (0, 1)
    assert not old.exists()
    assert BAD in json.dumps(told.data)
    (root / PLACES[what][0]).chmod(0o700)
    assert sorted(path for path in (root / MODEL.folder).rglob("*")) == before


@pytest.mark.parametrize("what", ["snapshots", "the snapshot", "blobs", "refs"])
def test_rm_says_that_what_it_took_out_of_the_cache_could_not_all_be_deleted(root: Path, ask: Ask, what: str) -> None:
    forbid(root / PLACES[what][0])
    told = ask("rm", BAD, "--force")
    assert (told.code, told.document["error"]["type"]) == (3, "PermissionError")
    assert "is out of the cache, but not all of its files could be deleted" in told.message
    assert [row["name"] for row in ask("list", "--all").data["models"]] == [GOOD]


@pytest.mark.parametrize("what", [MODEL.folder, ".locks", "."])
def test_what_may_not_be_changed_stays_whole(root: Path, ask: Ask, what: str) -> None:
    forbid(root / what, 0o555)
    told = ask("rm", BAD, "--force")
    assert (told.code, told.document["error"]["type"]) == (3, "PermissionError")
    assert told.message.endswith("permission denied; check its permissions")
    assert ask("health", BAD, "--fail").code == 0


@pytest.mark.parametrize(
    "argv",
    [("list",), ("health",), ("show", BAD), ("du",), ("verify",), ("prune", "--force"), ("rm", BAD, "--force")],
    ids=" ".join,
)
def test_a_cache_that_may_not_be_read_at_all_is_told_in_one_sentence(
    root: Path, ask: Ask, argv: tuple[str, ...]
) -> None:
    forbid(root)
    told = ask(*argv)
    root.chmod(0o700)
    assert (told.code, told.document["error"]["type"]) == (3, "PermissionError")
    assert told.message == f"Cannot use the cache folder {root}: permission denied; check its permissions"


def test_fit_says_why_a_model_of_the_cache_could_not_be_looked_at(root: Path, ask: Ask) -> None:
    forbid(root / MODEL.folder)
    told = ask("fit", BAD)
    assert told.code == 2
    assert told.message.endswith(f"; what the cache has of it is not enough: {UNREADABLE}")


@pytest.mark.parametrize("variable", ["XDG_STATE_HOME", "XDG_CACHE_HOME"])
def test_where_nothing_can_be_remembered_every_command_works_all_the_same(
    root: Path, schema: jsonschema.Draft202012Validator, tmp_path: Path, variable: str
) -> None:
    folder = tmp_path / "forbidden"
    folder.mkdir(mode=0o555)
    env = environment(root, HF_HUB_OFFLINE="1", **{variable: str(folder)})
    for argv in (("list",), ("health", "--fail"), ("du",), ("verify",), ("prune", "--force"), ("rm", BAD, "--force")):
        result = subprocess.run(
            [*POWERLESS, MLXK2, *argv, "--json"], env=env, capture_output=True, text=True, check=False
        )
        check_against(schema, result.stdout)
        assert result.returncode == 0, (argv, result)
    assert list(folder.iterdir()) == []
