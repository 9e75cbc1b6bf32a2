"""The server's two parts: its cost beside the engine, which is measured with everything else, and the long run."""

from bench.engine.contests import Group, Section
from bench.engine.servers import KNIFE_COMMAND
from bench.server.overhead import overhead
from bench.server.soak import soak
from bench.server.waiting import first_token, whole_request

_INTRODUCTION = f"""\
Written by `python -m bench serve`. `mlxk2 serve` against its own engine without a server: in the measuring process, and
behind the boundary of a worker's process, where the server has it. All are loaded at the same time and asked in turn,
{{rounds}} rounds; medians of the rounds are held against the row that says reference. The client is one more process
on the same cores. Models and peers are those of the part on the engine, with float32 weights and the same BLAS;
mlx-knife's server runs with its own versions of MLX and mlx-lm; the variable `{KNIFE_COMMAND}` says how to start it.
"""
_SOAK = """\
Written by `python -m bench serve-soak --minutes N`, which runs only when it is asked for.
"""

SERVER = Group(
    "serve",
    "The server",
    _INTRODUCTION,
    (
        Section(
            "serve-overhead",
            "Streams through the server",
            "with 30 M parameters, at 32 streams at least 0.9 times the engine in process at the same batch",
            overhead,
        ),
        Section(
            "serve-first-token",
            "First token of a single stream",
            "at most 5 ms after the engine's own",
            first_token,
        ),
        Section(
            "serve-request",
            "A whole answer of one token, on an idle server",
            "at most 3 ms beyond the engine's own time",
            whole_request,
        ),
    ),
)
SOAK = Group(
    "serve-soak",
    "The server at work for a long time",
    _SOAK,
    (
        Section(
            "serve-soak-memory",
            "Memory of server and worker",
            "no growth beyond noise after warming up: the last quarter of the time within 5 % of the second",
            soak,
        ),
    ),
    on_demand=True,
)
