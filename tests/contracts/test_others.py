"""The contracts of the small ports: runtime catalogue, model source, clock, machine."""

import pytest

from mlxk2.adapters.bundled import BundledDemo
from mlxk2.adapters.memory import MemoryCatalogue, MemoryClock, MemoryMachine, MemorySource
from mlxk2.adapters.mlx.catalogue import MlxLmCatalogue
from mlxk2.adapters.system import SystemClock, SystemMachine
from mlxk2.testing import safetensors
from mlxk2.testing.contracts import ClockContract, MachineContract, RuntimeContract, SourceContract


class TestInstalledMlxLm(RuntimeContract):
    @pytest.fixture
    def catalogue(self) -> MlxLmCatalogue:
        return MlxLmCatalogue()


class TestMemoryCatalogue(RuntimeContract):
    @pytest.fixture
    def catalogue(self) -> MemoryCatalogue:
        return MemoryCatalogue()


class TestBundledDemo(SourceContract):
    @pytest.fixture
    def source(self) -> BundledDemo:
        return BundledDemo()


class TestMemorySource(SourceContract):
    @pytest.fixture
    def source(self) -> MemorySource:
        return MemorySource("org/model", {"config.json": b"{}", "model.safetensors": safetensors()})


class TestSystemClock(ClockContract):
    @pytest.fixture
    def clock(self) -> SystemClock:
        return SystemClock()


class TestMemoryClock(ClockContract):
    @pytest.fixture
    def clock(self) -> MemoryClock:
        return MemoryClock()


class TestSystemMachine(MachineContract):
    @pytest.fixture
    def machine(self) -> SystemMachine:
        return SystemMachine()


class TestMemoryMachine(MachineContract):
    @pytest.fixture
    def machine(self) -> MemoryMachine:
        return MemoryMachine()
