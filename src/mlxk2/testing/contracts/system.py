"""The contracts of `Clock` and `Machine`."""

import pytest

from mlxk2.ports.system import Clock, Machine


class ClockContract:
    """Subclasses supply `clock`."""

    @pytest.fixture
    def clock(self, request: pytest.FixtureRequest) -> Clock:
        raise NotImplementedError(request)

    def test_time_is_in_seconds_of_this_century_and_never_runs_back(self, clock: Clock) -> None:
        first = clock.now()
        assert 946_684_800 < first < 4_102_444_800
        assert clock.now() >= first


class MachineContract:
    """Subclasses supply `machine`."""

    @pytest.fixture
    def machine(self, request: pytest.FixtureRequest) -> Machine:
        raise NotImplementedError(request)

    def test_memory_is_in_bytes_and_no_more_is_free_than_there_is(self, machine: Machine) -> None:
        total, available, resident = machine.total_memory(), machine.available_memory(), machine.resident_memory()
        assert total is None or total > 10**8
        assert total is None or available is None or 0 < available <= total
        assert total is None or resident is None or 0 < resident < total

    def test_memory_can_be_given_back_at_any_time(self, machine: Machine) -> None:
        machine.release_memory()
        machine.reuse_memory()
        machine.release_memory()
        assert machine.resident_memory() != 0
