"""The machine: clock and memory."""

from typing import Protocol


class Clock(Protocol):
    """Wall-clock time."""

    def now(self) -> float:
        """Seconds since the epoch, UTC."""


class Machine(Protocol):
    """What the computer has."""

    def total_memory(self) -> int | None:
        """Bytes of physical memory, or None where the system does not tell."""

    def available_memory(self) -> int | None:
        """Bytes that programs can still take without swapping, or None where the system does not tell."""

    def resident_memory(self) -> int | None:
        """Bytes of physical memory that this process takes now, or None where the system does not tell."""

    def release_memory(self) -> None:
        """Give the system back what this process has freed and its C library keeps, in about a millisecond.

        Does nothing where the C library does that by itself. Raises nothing.
        """
