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

    def reuse_memory(self) -> None:
        """Keep what is freed from now on for what is asked for next, until `release_memory` gives it back.

        The C library by itself gives large pieces back at once, and the system clears each page of the next one. Does
        nothing where there is no such choice. Raises nothing.
        """

    def release_memory(self) -> None:
        """Give the system back what this process has freed and its C library keeps, in about a millisecond.

        Does nothing where the C library does that by itself. Raises nothing.
        """
