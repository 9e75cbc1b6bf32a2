"""`doctor`: the lines for people, the document for programs, and its exit code."""

import json
from pathlib import Path
from typing import Any

import pytest

from mlxk2.ports.errors import NetworkProblem, OperationError
from mlxk2.ports.examination import Device
from mlxk2.testing import (
    MemoryCache,
    MemoryEngine,
    MemoryHubAccess,
    MemoryMachine,
    MemorySetup,
    Run,
    healthy_model,
    memory_program,
)
from mlxk2.testing.plugin import CommandLine

TOKEN = "of-no-known-form-but-secret"  # noqa: S105 - of nobody
SLOW = Device("0.32.4", "CPU", "AMD EPYC", "the one that comes with mlx", slow_blas=True)
CHECKS = [
    *("python", "packages", "device", "blas", "memory", "cache", "disk"),
    *("hub", "token", "servers", "generation"),
]
PLACE = MemoryCache().place()
CRASH = OperationError("mlx does not work: its process crashed", details="Illegal instruction")


def doctor(
    cli: CommandLine, *argv: str, setup: MemorySetup | None = None, access: MemoryHubAccess | None = None
) -> Run:
    program = memory_program(
        MemoryCache([healthy_model()]),
        MemoryEngine(lambda _: "Hi!"),
        machine=MemoryMachine(16 * 10**9, 8 * 10**9),
        setup=setup,
        hub_access=access,
    )
    return cli("doctor", *argv, services=program)


def data(run: Run, code: int = 0) -> Any:
    document = json.loads(run.out)
    assert (run.code, run.err) == (code, "")
    assert (document["status"], document["command"], document["error"]) == ("success", "doctor", None)
    return document["data"]


class TestWords:
    def test_all_is_well(self, cli: CommandLine) -> None:
        run = doctor(cli)
        assert (run.code, run.err) == (0, "")
        lines = run.out.splitlines()
        disk = next(line for line in lines if "disk" in line)
        assert lines == [
            "ok    python      CPython 3.11.7 on Linux x86_64",
            "ok    packages    mlx 0.32.4, mlx-lm 0.32.2; all 2 are as asked for",
            "ok    device      CPU (AMD EPYC), with mlx 0.32.4",
            "ok    blas        OpenBLAS",
            "ok    memory      16.0 GB, 8.0 GB free; a model may take 8.0 GB now",
            f"ok    cache       1 model in {PLACE}, all healthy",
            disk,
            "ok    hub         memory://hub answers",
            "ok    token       None, which is needed for private and gated models only: hf auth login",
            "ok    servers     None of yours is running",
            "ok    generation  The demo model answers (4 tokens, 0.0 s with loading)",
            "11 ok",
        ]
        assert disk.endswith("left where the cache is")

    def test_a_warning_has_its_mend_below_it_and_fails_nothing(self, cli: CommandLine) -> None:
        run = doctor(cli, setup=MemorySetup(device=SLOW))
        assert run.code == 0
        assert (
            "warn  blas        On a CPU the one that comes with mlx is many times slower than OpenBLAS\n"
            "                  mend: install OpenBLAS, such as: apt install libopenblas0-pthread;"
            " it is found by itself\n"
        ) in run.out
        assert run.out.endswith("10 ok, 1 warn\n")

    def test_a_failure_ends_with_1_and_the_checks_after_it_are_made(self, cli: CommandLine) -> None:
        run = doctor(cli, setup=MemorySetup(device=CRASH))
        assert run.code == 1
        assert "fail  device      mlx does not work: its process crashed [Illegal instruction]\n" in run.out
        assert "ok    generation  The demo model answers" in run.out
        assert run.out.endswith("9 ok, 1 warn, 1 fail\n")

    def test_lines_are_folded_into_a_narrow_terminal(self, cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "60")
        run = doctor(cli, setup=MemorySetup(device=SLOW))
        assert max(len(line) for line in run.out.splitlines()) <= 60
        assert (
            "warn  blas        On a CPU the one that comes with mlx is\n"
            "                  many times slower than OpenBLAS\n"
            "                  mend: install OpenBLAS, such as: apt\n"
        ) in run.out

    def test_control_characters_do_not_reach_the_terminal(self, cli: CommandLine) -> None:
        crash = OperationError("mlx does not work", details="\x1b[31mred")
        assert "\x1b" not in doctor(cli, setup=MemorySetup(device=crash)).out

    def test_the_token_is_not_told_even_by_whoever_quotes_it(
        self, cli: CommandLine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        access = MemoryHubAccess(has_token=True, problem=NetworkProblem(f"Refused for {TOKEN}"))
        for argv in ((), ("--json",)):
            run = doctor(cli, *argv, access=access)
            assert run.code == 1
            assert TOKEN not in run.out
            assert "Refused for (token)" in run.out


class TestForPrograms:
    def test_every_check_in_its_order(self, cli: CommandLine) -> None:
        told = data(doctor(cli, "--json"))
        assert [check["name"] for check in told["checks"]] == CHECKS
        assert told["summary"] == {"ok": 11, "warn": 0, "fail": 0}
        assert told["checks"][4] == {
            "name": "memory",
            "status": "ok",
            "message": "16.0 GB, 8.0 GB free; a model may take 8.0 GB now",
            "mend": None,
            "values": {
                "total_bytes": 16_000_000_000,
                "available_bytes": 8_000_000_000,
                "usable_bytes": 8_000_000_000,
            },
        }

    def test_a_failure_is_a_success_of_looking_with_exit_code_1(self, cli: CommandLine) -> None:
        told = data(doctor(cli, "--json", setup=MemorySetup(device=CRASH)), 1)
        assert told["summary"] == {"ok": 9, "warn": 1, "fail": 1}
        device = next(check for check in told["checks"] if check["name"] == "device")
        assert (device["status"], device["values"]) == ("fail", {})
        assert device["mend"]

    def test_offline_mode_is_ok(self, cli: CommandLine) -> None:
        told = data(doctor(cli, "--json", access=MemoryHubAccess(is_offline=True)))
        hub = next(check for check in told["checks"] if check["name"] == "hub")
        assert (hub["status"], hub["values"]["offline"]) == ("ok", True)


def test_every_check_has_a_row_in_the_specification() -> None:
    text = (Path(__file__).parents[2] / "docs" / "json-api-specification.md").read_text(encoding="utf-8")
    section = text.partition("### doctor")[2].partition("\n### ")[0]
    assert [name for name in CHECKS if f"| `{name}` |" not in section] == []
