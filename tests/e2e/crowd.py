"""Processes that change one cache: `python -m tests.e2e.crowd ROLE STOP MODEL...`, until a file STOP is there.

Writers bring models from a Hub, deleters take them away, each in several ways. What becomes of their own work is not of
interest: another one may be in the way at any moment. Each prints at the end how often what happened, as JSON.
"""

import contextlib
import io
import json
import os
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import NamedTuple

from huggingface_hub import hf_hub_download, scan_cache_dir, snapshot_download

from mlxk2.cli import main

BRANCHES = ("main", "old")
LONGEST_PAUSE = 0.2
"""Seconds, so that now and then a model is whole."""


class Among(NamedTuple):
    """What there is to choose from, and the dice."""

    root: Path
    names: list[str]
    random: Random

    def model(self) -> str:
        return self.random.choice(self.names)

    def branch(self) -> str:
        return self.random.choice(BRANCHES)

    def folder(self) -> Path:
        return self.folder_of(self.model())

    def folder_of(self, name: str) -> Path:
        return self.root / f"models--{name.replace('/', '--')}"


def program(*argv: str) -> str:
    """How a command of ours ended: `success`, the type of its error, or whatever else it printed."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        main([*argv, "--json"])
    try:
        answer = json.loads(out.getvalue())
    except ValueError:
        return f"no JSON: {out.getvalue()}{err.getvalue()}"
    error = answer["error"]
    if error and error["type"] == "InternalError":
        return f"InternalError: {error['message']}{err.getvalue()}"
    return str(error["type"] if error else answer["status"])


def by_pull(among: Among) -> str:
    return program("pull", among.model(), "--revision", among.branch())


def by_rm(among: Among) -> str:
    name = among.model()
    commits = [path.name for path in (among.folder_of(name) / "snapshots").glob("*")]
    return program("rm", among.random.choice([name, *(f"{name}@{commit}" for commit in commits)]), "--force")


def by_prune(among: Among) -> str:  # noqa: ARG001 - the shape of all of them
    return program("prune", "--force")


def by_snapshot_download(among: Among) -> str:
    snapshot_download(among.model(), revision=among.branch())
    return "success"


def by_hf_hub_download(among: Among) -> str:
    hf_hub_download(among.model(), among.random.choice(["config.json", "tokenizer.json"]), revision=among.branch())
    return "success"


def by_scan_cache_dir(among: Among) -> str:
    name = among.model()
    found = scan_cache_dir(among.root)
    commits = [revision.commit_hash for repo in found.repos if repo.repo_id == name for revision in repo.revisions]
    found.delete_revisions(among.random.choice(commits)).execute()
    return "success"


def by_rmtree(among: Among) -> str:
    shutil.rmtree(among.folder())
    return "success"


def by_unlink(among: Among) -> str:
    """One file somewhere in a model: a blob, a link, a ref, a listing, a piece of a download."""
    files = [path for path in among.folder().rglob("*") if not path.is_dir()]
    among.random.choice(files).unlink()
    return "success"


ROLES: dict[str, tuple[Callable[[Among], str], ...]] = {
    "pull": (by_pull,),
    "hub": (by_snapshot_download, by_snapshot_download, by_hf_hub_download),
    "rm": (by_rm, by_rm, by_prune),
    "others": (by_scan_cache_dir, by_rmtree, by_unlink),
}


def work(role: str, stop: Path, names: list[str]) -> Counter[str]:
    among = Among(Path(os.environ["HF_HUB_CACHE"]), names, Random(role))  # noqa: S311 - no secret
    ends: Counter[str] = Counter()
    while not stop.exists():
        act = among.random.choice(ROLES[role])
        try:
            end = act(among)
        except Exception as error:  # noqa: BLE001 - of another library, into whose way somebody came
            end = type(error).__name__
        ends[f"{act.__name__}: {end}"] += 1
        time.sleep(among.random.uniform(0, LONGEST_PAUSE))
    return ends


if __name__ == "__main__":
    sys.stdout.write(json.dumps(work(sys.argv[1], Path(sys.argv[2]), sys.argv[3:])))
