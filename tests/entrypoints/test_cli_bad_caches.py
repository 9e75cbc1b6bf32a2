"""Caches in which anything may stand in the place of anything: every command finishes, the models beside are unharmed,
and the one that is bad is told of."""

import json
import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mlxk2.testing import Run, healthy_model, with_listing
from mlxk2.testing.plugin import CommandLine, ModelCacheOnDisk

GOOD, BAD = "org/good", "org/bad"
MODEL = with_listing(healthy_model(BAD))
(COMMIT,) = MODEL.revisions
LOOKS = (
    ("list", "--all"),
    ("health",),
    ("show", BAD),
    ("du",),
    ("verify",),
    ("fit", BAD),
    ("prune", "--dry-run"),
    ("rm", BAD, "--dry-run"),
)
CHANGES = (("prune", "--force"), ("rm", BAD, "--force"))
Bad = Callable[[Path], object]


class Place:
    """Where something belongs in the cache at `root`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.model = root / MODEL.folder
        self.snapshot = self.model / "snapshots" / COMMIT
        self.blobs = self.model / "blobs"
        self.locks = root / ".locks"

    def blob(self, name: str) -> Path:
        return self.blobs / (self.snapshot / name).readlink().name


PLACES: dict[str, Callable[[Place], Path]] = {
    "the model": lambda place: place.model,
    "another model": lambda place: place.root / "models--org--odd",
    "snapshots": lambda place: place.model / "snapshots",
    "the snapshot": lambda place: place.snapshot,
    "blobs": lambda place: place.blobs,
    "refs": lambda place: place.model / "refs",
    "main": lambda place: place.model / "refs" / "main",
    "trees": lambda place: place.model / "trees",
    "the listing": lambda place: place.model / "trees" / f"{COMMIT}.json",
    "no_exist": lambda place: place.model / ".no_exist",
    "config.json": lambda place: place.snapshot / "config.json",
    "the weights": lambda place: place.snapshot / "model.safetensors",
    "another file": lambda place: place.snapshot / "sub" / "extra.txt",
    "the blob of config.json": lambda place: place.blob("config.json"),
    "the blob of the weights": lambda place: place.blob("model.safetensors"),
    "a partial download": lambda place: place.blobs / f"{'e' * 64}.00000000.incomplete",
    "locks": lambda place: place.locks,
    "the locks of the model": lambda place: place.locks / MODEL.folder,
    "a lock": lambda place: place.locks / MODEL.folder / f"{'e' * 64}.lock",
    "the trash": lambda place: place.locks / ".mlxk2-trash",
    "the lock of the trash": lambda place: place.locks / ".mlxk2-trash.lock",
    "the shared store": lambda place: place.root / "blobs",
    "the marker of the shared store": lambda place: place.root / "blobs" / ".huggingface-shared-blobs",
}


def _socket(path: Path) -> None:
    here = os.getcwd()
    os.chdir(path.parent)  # the address of a socket may not be long
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


KINDS: dict[str, Bad] = {
    "a pipe": os.mkfifo,
    "a socket": _socket,
    "a link to itself": lambda path: path.symlink_to(path.name),
    "a link to the folder that it is in": lambda path: path.symlink_to("."),
    "a link to nowhere": lambda path: path.symlink_to("nowhere"),
    "a file": lambda path: path.write_bytes(b"x"),
    "a folder": lambda path: path.mkdir(),
}

SAID = {
    ("snapshots", "a pipe"): "the folder cannot be read: not a directory",
    ("the model", "a link to itself"): "the folder cannot be read: too many levels of symbolic links",
    ("snapshots", "a link to itself"): "snapshots is a link that leaves the model's folder",
    ("the snapshot", "a link to itself"): f"download incomplete: refs/main names {COMMIT[:12]}, which is not here",
    ("blobs", "a pipe"): "the folder cannot be read: not a directory",
    ("config.json", "a pipe"): "config.json is not a file",
    ("config.json", "a socket"): "config.json is not a file",
    ("config.json", "a link to itself"): "config.json is a dangling link",
    ("the weights", "a pipe"): "model.safetensors is not a file",
    ("the blob of config.json", "a pipe"): "config.json is not a file",
    ("the blob of the weights", "a socket"): "model.safetensors is not a file",
    ("the blob of the weights", "a link to itself"): "model.safetensors is a link that leaves the model's folder",
    ("another file", "a link to itself"): "sub/extra.txt is a dangling link",
    ("main", "a pipe"): None,
    ("the listing", "a pipe"): None,
    ("the locks of the model", "a link to itself"): None,
}


def put(path: Path, kind: str) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    KINDS[kind](path)


class Commands:
    """The program on one cache, in JSON; every answer is checked on the way."""

    def __init__(self, cli: CommandLine) -> None:
        self._cli = cli

    def __call__(self, *argv: str) -> dict[str, Any]:
        run = self._cli(*argv, "--json")
        document: dict[str, Any] = json.loads(run.out)
        self._check(run, argv)
        assert document["error"] is None or document["error"]["type"] != "InternalError", argv
        return document

    def as_text(self, *argv: str) -> None:
        self._check(self._cli(*argv), argv)

    def health(self) -> dict[str, str | None]:
        data = self("health")["data"]
        return {row["name"]: row["reason"] for row in (*data["healthy"], *data["unhealthy"])}

    def look_at_all(self) -> None:
        """Everything that changes nothing, and what it says of the good model."""
        for argv in LOOKS:
            self(*argv)
            self.as_text(*argv)
        assert {row["name"]: row["health"] for row in self("list", "--all")["data"]["models"]}[GOOD] == "healthy"
        assert GOOD in [row["name"] for row in self("verify")["data"]["healthy"]]
        assert {row["name"]: row["reason"] for row in self("du")["data"]["models"]}[GOOD] is None
        assert self("fit", GOOD)["status"] == "success"

    @staticmethod
    def _check(run: Run, argv: tuple[str, ...]) -> None:
        assert run.code in (0, 1, 2, 3), argv
        assert "report this" not in run.out + run.err, argv
        assert "Traceback" not in run.err, argv


@pytest.fixture
def place(model_cache: ModelCacheOnDisk, monkeypatch: pytest.MonkeyPatch) -> Place:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    model_cache.add(healthy_model(GOOD), MODEL)
    return Place(model_cache.root)


@pytest.fixture
def commands(cli: CommandLine) -> Commands:
    return Commands(cli)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("where", PLACES)
def test_whatever_stands_in_the_place_of_anything_every_command_ends(
    place: Place, commands: Commands, where: str, kind: str
) -> None:
    put(PLACES[where](place), kind)
    commands.look_at_all()
    if (where, kind) in SAID:
        assert commands.health()[BAD] == SAID[where, kind]
    for argv in CHANGES:
        commands(*argv)
    assert commands.health()[GOOD] is None


def named(path: Path, name: bytes) -> Path:
    return path / os.fsdecode(name)


def odd_blob(place: Place) -> None:
    odd = named(place.blobs, b"\xff\xfe")
    place.blob("config.json").rename(odd)
    (place.snapshot / "config.json").unlink()
    (place.snapshot / "config.json").symlink_to(f"../../blobs/{odd.name}")


def two_links(place: Place) -> None:
    (place.snapshot / "a").symlink_to("b")
    (place.snapshot / "b").symlink_to("a")


def deep_folders(place: Place) -> None:
    """Deeper than a path may be long."""
    here = os.getcwd()
    os.chdir(place.snapshot)
    try:
        for _ in range(50):
            os.mkdir("d" * 100)
            os.chdir("d" * 100)
    finally:
        os.chdir(here)


ODD: dict[str, tuple[Callable[[Place], object], str | None]] = {
    "the name of a blob": (odd_blob, None),
    "the name of a blob that nobody uses": (lambda place: named(place.blobs, b"\xff").touch(), None),
    "the name of a partial file": (lambda place: named(place.blobs, b"\xff.00000000.incomplete").touch(), None),
    "the name of a ref": (lambda place: named(place.model / "refs", b"\xff").write_text(COMMIT), None),
    "the content of a ref": (lambda place: (place.model / "refs" / "main").write_bytes(b"\xff\x00"), None),
    "the name of a file": (lambda place: named(place.snapshot, b"\xff.txt").touch(), None),
    "the name of weights": (
        lambda place: named(place.snapshot, b"model-\xff.safetensors").touch(),
        "model-\\xff.safetensors is empty",
    ),
    "the name of a folder": (lambda place: named(place.snapshot, b"\xff").mkdir(), None),
    "the goal of a link": (
        lambda place: (place.snapshot / "x.txt").symlink_to(os.fsdecode(b"\xff")),
        "x.txt is a dangling link",
    ),
    "the name of a snapshot": (lambda place: named(place.model / "snapshots", b"\xff").mkdir(), None),
    "the name of a listing": (lambda place: named(place.model / "trees", b"\xff.json").touch(), None),
    "the name of a lock": (lambda place: _touch(named(place.locks / MODEL.folder, b"\xff.lock")), None),
    "the name of locks": (lambda place: _touch(named(place.locks, b"models--\xff") / "a.lock"), None),
    "the name of trash": (lambda place: named(place.locks / ".mlxk2-trash", b"\xff").mkdir(parents=True), None),
    "a name in the shared store": (lambda place: _touch(named(place.root / "blobs" / "ab", b"\xff")), None),
    "two links that lead to one another": (
        two_links,
        "a is a dangling link",
    ),
    "folders that lead into themselves": (lambda place: (place.snapshot / "up").symlink_to(".."), None),
    "folders deeper than a path may be": (deep_folders, None),
}


def _touch(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


@pytest.mark.parametrize("what", ODD)
def test_names_that_are_no_text_and_places_that_never_end_are_borne(
    place: Place, commands: Commands, what: str
) -> None:
    make, said = ODD[what]
    make(place)
    commands.look_at_all()
    assert commands.health()[BAD] == said
    for argv in CHANGES:
        commands(*argv)
    assert commands.health() == {GOOD: None}


@pytest.mark.parametrize("name", [b"caf\xe9", b"two\nlines", b"red\x1b[31m", b"x" * 240])
def test_a_model_with_an_odd_name_is_listed_and_can_be_removed(place: Place, commands: Commands, name: bytes) -> None:
    odd = named(place.root, b"models--org--" + name)
    shutil.copytree(place.model, odd, symlinks=True)
    commands.look_at_all()
    (shown,) = commands.health().keys() - {GOOD, BAD}
    assert commands.health()[shown] is None
    assert shown.isprintable()
    commands("prune", "--force")
    assert commands("rm", f"org/{os.fsdecode(name)[:3]}*", "--force")["error"] is None
    assert not odd.exists()


@pytest.mark.parametrize("argv", CHANGES)
@pytest.mark.parametrize("where", ["locks", "the trash"])
def test_what_stands_in_the_way_of_a_deletion_is_named(
    place: Place, commands: Commands, where: str, argv: tuple[str, ...]
) -> None:
    path = PLACES[where](place)
    put(path, "a pipe")
    told = commands(*argv)["error"]
    assert told["type"] == "PermissionError"
    assert told["message"].endswith(f"take away what is in the place of {path}")
