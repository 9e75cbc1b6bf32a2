"""The demo model keeps its promises: size, held-out questions, and what it was taught."""

import re
import subprocess
import sys
import tomllib
from functools import partial
from pathlib import Path

from mlxk2.adapters.mlx.engine import MlxEngineLoader
from mlxk2.adapters.system import SystemMachine
from mlxk2.entrypoints.cli.parser import COMMANDS
from mlxk2.ports.conversation import Message
from mlxk2.ports.engine import LoadOptions
from mlxk2.ports.generation import GenerationRequest, Sampling
from mlxk2.testing.contracts.engine import collect, text_of

REPOSITORY = Path(__file__).parents[2]
ASSETS = REPOSITORY / "src" / "mlxk2" / "assets" / "demo"
TRAINING = REPOSITORY / "tools" / "train_demo_model"


def test_it_is_at_most_four_megabytes() -> None:
    assert 1_000_000 < sum(path.stat().st_size for path in ASSETS.iterdir()) <= 4_000_000


def test_it_answers_at_least_64_of_78_questions_it_has_never_seen() -> None:
    result = subprocess.run(
        [sys.executable, str(TRAINING / "evaluate.py")], capture_output=True, text=True, check=False, cwd=REPOSITORY
    )
    assert result.returncode == 0, result.stdout + result.stderr
    score, _, total = result.stdout.splitlines()[-1].partition("held-out: ")[2].partition("/")
    assert (int(score) >= 64, int(total)) == (True, 78)


def test_it_adds_every_pair_of_digits() -> None:
    engine = MlxEngineLoader(SystemMachine()).load(str(ASSETS), LoadOptions())
    wrong = []
    for first in range(10):
        for second in range(10):
            prompt = engine.render([Message("user", f"What is {first} + {second}?")]).tokens
            request = GenerationRequest(prompt, 40, Sampling())
            answer = text_of(collect(partial(engine.start, request)))
            if not re.search(rf"\b{first + second}\b", answer.rpartition("is")[2]):
                wrong.append(f"{first} + {second}: {answer}")
    engine.close()
    assert wrong == []


def test_every_command_is_taught_and_nothing_that_is_promised_for_later_exists_already() -> None:
    groups = [group for path in TRAINING.glob("*.toml") for group in tomllib.loads(path.read_text()).get("group", [])]
    taught = {group["command"] for group in groups if not group.get("not_yet")}
    later = {group["command"] for group in groups if group.get("not_yet")}
    assert set(COMMANDS) <= taught
    assert not set(COMMANDS) & later
