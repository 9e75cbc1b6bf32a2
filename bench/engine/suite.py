"""The engine's part: its sections in the order of the report, and what to know of how they are measured."""

from bench.engine.contests import Group, Section
from bench.engine.endurance import endurance
from bench.engine.mixed import mixed_load
from bench.engine.newcomer import newcomer
from bench.engine.second_turn import second_turn
from bench.engine.streams import in_process, over_http

_INTRODUCTION = """\
Written by `python -m bench engine`. Loaded engines and servers, each a process of its own, are asked in turn, {rounds}
rounds (twice as many of the streams over HTTP, one less of the mixed load and of newcomers, whose rounds have many
requests). Ratios are taken round by round to the row that says reference; their median is shown. The client is one more
process on the same cores: raw sockets, one thread.

Two models: the demo, and a Qwen3 of 30 million random parameters and 16,384 tokens (`bench/engine/random_model.py`).
Neither ever says its end token, so all answers have the length that was asked, and no peer pays for holding it back.
Every peer has float32 weights and the same BLAS with the same kernels; the row called stock is `mlx_lm.server` as it is
installed, without OpenBLAS and with the weights as they are shipped; both have a longer queue of connections than the
standard library's 5. Ours is `mlxk2 serve` as it is installed; it has OpenBLAS's threads sleep sooner than they do by
themselves, as the bare loop has, pads the rows of large products, has one thread for the demo, and leaves the
exponentials of prompts to numpy. Every prompt is new; prefix caches are on.
"""
_SECTIONS = (
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
ENGINE = Group("engine", "The engine", _INTRODUCTION, _SECTIONS)
