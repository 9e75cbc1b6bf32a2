"""The container starts without what dependency_injector needs for features that others use, which work all the same."""

import subprocess
import sys
from pathlib import Path

import pytest

_LEAN = """
import sys; bare = set(sys.modules)
import mlxk2.container
loaded = (sys.modules.keys() - bare) & {"asyncio", "configparser", "dependency_injector.wiring", "pkgutil"}
assert not loaded, loaded
"""
_AWAITED = """
from dependency_injector import providers

async def make():
    return 5

provider = providers.Factory(dict, number=providers.Coroutine(make))
import asyncio

async def main():
    return await provider()

print(asyncio.run(main()), asyncio.gather.__module__, sys.modules["asyncio"].__file__ is not None)
"""
_INI = """
from pathlib import Path
from dependency_injector import providers

Path(sys.argv[1]).write_text("[section]\\nkey = value\\n")
config = providers.Configuration()
config.from_ini(sys.argv[1])
import configparser
print(config.section.key(), configparser.ConfigParser.__module__)
"""
_WIRED = """
from dependency_injector import containers, providers

class Numbers(containers.DeclarativeContainer):
    number = providers.Object(5)

numbers = Numbers()
numbers.wire([__name__])
from dependency_injector.wiring import Provide, inject

@inject
def tell(number=Provide["number"]):
    return number

numbers.wire([__name__])
print(tell())
numbers.unwire()
"""


def run(code: str, *words: str) -> str:
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True).stdout


def test_the_container_does_not_load_what_it_has_no_use_for() -> None:
    assert run(_LEAN) == ""


def test_awaited_providers_and_asyncio_itself_work_afterwards() -> None:
    assert run(_LEAN + _AWAITED) == "{'number': 5} asyncio.tasks True\n"


def test_ini_files_and_wiring_work_afterwards(tmp_path: Path) -> None:
    assert run(_LEAN + _INI, str(tmp_path / "numbers.ini")) == "value configparser\n"
    assert run(_LEAN + _WIRED) == "5\n"


@pytest.mark.parametrize("module", ["asyncio", "configparser", "dependency_injector.wiring"])
def test_what_is_loaded_already_stays(module: str) -> None:
    code = f"import {module}, sys; before = sys.modules['{module}']; import mlxk2.container"
    assert run(f"{code}; print(sys.modules['{module}'] is before)") == "True\n"
