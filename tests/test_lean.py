"""The container starts without what dependency_injector needs for awaited providers, which work all the same."""

import subprocess
import sys

_LEAN = "import sys; from mlxk2.container import build_services; assert 'asyncio' not in sys.modules, 'asyncio'"
_AWAITED = """
import sys
from dependency_injector import providers

async def make():
    return 5

provider = providers.Factory(dict, number=providers.Coroutine(make))
import asyncio

async def main():
    return await provider()

print(asyncio.run(main()), asyncio.gather.__module__, sys.modules["asyncio"].__file__ is not None)
"""


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


def test_the_container_does_not_load_asyncio() -> None:
    assert run(_LEAN) == ""


def test_awaited_providers_and_asyncio_itself_work_afterwards() -> None:
    assert run(_LEAN + "\n" + _AWAITED) == "{'number': 5} asyncio.tasks True\n"


def test_what_is_loaded_already_stays() -> None:
    assert run(
        "import asyncio, sys; before = asyncio; import mlxk2.container; print(sys.modules['asyncio'] is before)"
    ) == ("True\n")
