"""`mlxk2 completion`: what is printed is what the shell reads."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from mlxk2.testing.plugin import CommandLine

SCRIPTS = Path(__file__).parents[2] / "src/mlxk2/assets/completions"


@pytest.mark.parametrize(("shell", "name"), [("bash", "mlxk2.bash"), ("zsh", "_mlxk2")])
def test_the_script_of_the_shell_is_printed(cli: CommandLine, shell: str, name: str) -> None:
    script = (SCRIPTS / name).read_text()
    assert cli("completion", shell).out == script
    document = json.loads(cli("completion", shell, "--json").out)
    assert (document["status"], document["data"]) == ("success", {"shell": shell, "script": script})


def test_a_shell_without_a_script_is_refused_by_name(cli: CommandLine) -> None:
    ran = cli("completion", "fish")
    assert ran.code == 2
    assert "'fish'" in ran.err


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_shell_completes_after_reading_it(cli: CommandLine, shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    begin = "autoload -U compinit; compinit -u -D; " if shell == "zsh" else ""
    asked = "print -r -- ${_comps[mlxk2]} ${_comps[mlxk-json]}" if shell == "zsh" else "complete -p mlxk2 mlxk-json"
    script = tmp_path / "script"
    script.write_text(cli("completion", shell).out)
    ran = subprocess.run(
        [shell, "-fc" if shell == "zsh" else "-c", f'{begin}eval "$(cat "$1")"; {asked}', shell, str(script)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert ran.stdout.count("_shtab_mlxk2") == 2
    assert ran.stderr == ""
