"""The terminal's part of the benchmarks."""

from bench.engine.contests import Group, Section
from bench.terminal.completing import tab
from bench.terminal.waiting import attached, ps

_INTRODUCTION = """\
Written by `python -m bench terminal`, {rounds} rounds each, with the demo model: what somebody waits for who types a
command while a server is running on the same machine, and after TAB.
"""

TERMINAL = Group(
    "terminal",
    "The terminal",
    _INTRODUCTION,
    (
        Section(
            "terminal-attached",
            "First token of `run` attached to a running server",
            "at most 100 ms beyond the server's own",
            attached,
        ),
        Section("terminal-ps", "`mlxk2 ps`", "at most 120 ms in all", ps),
        Section("terminal-tab", "Completion in bash", "at most 60 ms a TAB", tab),
    ),
)
