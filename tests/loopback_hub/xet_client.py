"""The Hub's own use of its Xet store, through hf_xet: to put the files of a model in, to get an uploaded file out."""

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .xet_format import XetFile
from .xet_serving import WRITE_TOKEN

_WORKER = Path(__file__).with_name("xet_worker.py")


class XetClient:
    def __init__(self, endpoint: str, folder: Path) -> None:
        self._endpoint = endpoint
        self._folder = folder

    def upload(self, paths: Sequence[Path]) -> list[str]:
        """The Xet hash of each file."""
        return self._run({"uploads": [str(path) for path in paths]})

    def download(self, file: XetFile, path: Path) -> None:
        self._run({"downloads": [{"hash": file.hash, "size": file.size, "path": str(path)}]})

    def _run(self, task: dict[str, Any]) -> list[str]:
        access = {"endpoint": self._endpoint, "token": WRITE_TOKEN, "expiry": int(time.time()) + 3600}
        done = subprocess.run(
            [sys.executable, str(_WORKER)],
            input=json.dumps({**access, **task}),
            env={"HF_HOME": str(self._folder), "HF_HUB_DISABLE_TELEMETRY": "1"},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"hf_xet failed:\n{done.stderr}")
        hashes: list[str] = json.loads(done.stdout)
        return hashes
