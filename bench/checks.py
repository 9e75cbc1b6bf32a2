"""What has to hold before a time means anything: the answer is right, and nothing was loaded that should not be."""

import json
import subprocess
import sys
from pathlib import Path

from bench.processes import CommandFailed, clean_environment

_HEAVY = ("mlx", "mlx_lm", "transformers", "numpy", "huggingface_hub")
_PROGRAM = f"""
import contextlib, io, sys
from mlxk2.cli import main
with contextlib.redirect_stdout(io.StringIO()) as out:
    code = main(["list", "--json"])
print(code, *(name for name in {_HEAVY!r} if name in sys.modules))
print(out.getvalue())
"""


def check_list(cache: Path, home: Path, models: int) -> None:
    """`list` finds every model of the cache, all of them healthy MLX models, and imports no runtime."""
    finished = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        capture_output=True,
        env=clean_environment(home, {"HF_HUB_CACHE": str(cache)}),
        check=False,
    )
    head, _, document = finished.stdout.decode().partition("\n")
    if finished.returncode or head != "0":
        raise CommandFailed(f"list: exit status and heavy imports: {head!r}\n{finished.stderr.decode()[-2000:]}")
    rows = json.loads(document)["data"]["models"]
    good = [
        row for row in rows if row["health"] == "healthy" and row["framework"] == "MLX" and row["model_type"] == "chat"
    ]
    if len(rows) != models or len(good) != models:
        bad = next((row for row in rows if row not in good), None)
        raise CommandFailed(f"list: {len(good)} of {len(rows)} models are healthy MLX models, {models} expected: {bad}")


def check_peer(output: bytes, models: int) -> None:
    """`hf cache ls` saw the same models: one identifier a line with `--quiet`."""
    seen = sum(line.startswith(b"model/") for line in output.splitlines())
    if seen != models:
        raise CommandFailed(f"hf cache ls: {seen} of {models} models seen")
