"""The machine that the program runs on."""

from mlxk2.adapters.system.clock import SystemClock
from mlxk2.adapters.system.machine import SystemMachine

__all__ = ["SystemClock", "SystemMachine"]
