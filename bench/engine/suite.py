"""The sections of the engine's benchmark, in the order of the report."""

from bench.engine.contests import Section
from bench.engine.endurance import endurance
from bench.engine.mixed import mixed_load
from bench.engine.newcomer import newcomer
from bench.engine.second_turn import second_turn
from bench.engine.streams import in_process, over_http

GROUP = "engine"
SECTIONS = (
    Section(
        "engine-streams",
        "Streams in process",
        "at least 0.9 times a bare `BatchGenerator` loop at the same batch",
        in_process,
    ),
    Section(
        "engine-http",
        "Streams over HTTP",
        "at least 1.0 times `mlx_lm.server` at 1 stream, 1.2 times at 8 and 32, same BLAS and type",
        over_http,
    ),
    Section("engine-mixed", "Mixed load", "at least 3 times the requests of `mlx_lm.server` a minute", mixed_load),
    Section(
        "engine-newcomer",
        "First token of a newcomer while 31 others decode",
        "p95 at most half of `mlx_lm.server`'s",
        newcomer,
    ),
    Section(
        "engine-second-turn",
        "Second turn of a chat with a shared prefix of 4,000 tokens",
        "first token in at most 10 % of the cold time",
        second_turn,
    ),
    Section(
        "engine-endurance",
        "Ten thousand requests in a row",
        "resident memory after the last within 5 % of that after the first thousand",
        endurance,
    ),
)
