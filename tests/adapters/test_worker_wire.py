"""Frames and packets: whatever is sent arrives as it was, whatever else arrives is told apart from it."""

import inspect
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlxk2.adapters.worker import protocol
from mlxk2.adapters.worker.wire import LARGEST_FRAME, Body, BrokenStream, Packet, Reader, Unsendable, frame
from mlxk2.ports import errors
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool, ToolCall
from mlxk2.ports.engine import EngineInfo, EngineStats, KvCost, KvLayers, LoadOptions, Markers
from mlxk2.ports.errors import Mlxk2Error
from mlxk2.ports.generation import (
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    GenerationRequest,
    PromptProgress,
    Queued,
    Sampling,
    Structure,
    TokenChance,
    TokenLogprobs,
)
from mlxk2.ports.troubles import FIELDS

whole = st.integers(-(2**63), 2**63 - 1)
seeds = st.integers(0, 2**64 - 1)
real = st.floats(allow_nan=False)
text = st.text(max_size=30)


def tuples(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=4).map(tuple)


requests = st.builds(
    GenerationRequest,
    prompt=tuples(whole),
    max_tokens=whole,
    sampling=st.builds(
        Sampling,
        temperature=real,
        top_p=real,
        top_k=whole,
        min_p=real,
        repetition_penalty=real,
        presence_penalty=real,
        frequency_penalty=real,
        logit_bias=tuples(st.tuples(whole, real)),
        seed=st.none() | seeds,
    ),
    logprobs=st.none() | whole,
    structure=st.none() | st.builds(Structure, st.sampled_from(["json_schema", "regex", "lark"]), text),
    borders=tuples(whole),
)
stats = st.builds(EngineStats, *(whole for _ in EngineStats._fields))
chances = st.builds(TokenChance, whole, text, real)
events: st.SearchStrategy[Event] = st.one_of(
    st.builds(Queued, whole),
    st.builds(PromptProgress, whole, whole, whole),
    st.builds(Delta, text, whole, tuples(whole), tuples(st.builds(TokenLogprobs, chances, tuples(chances)))),
    st.builds(Finished, st.sampled_from(FinishReason), whole, whole, real, real, whole),
)
ERRORS: list[Mlxk2Error] = [
    Mlxk2Error("plain", details="and why"),
    errors.ValidationError("wrong"),
    errors.UsageError("wrong", usage="usage: so"),
    errors.AmbiguousMatch("which", matches=("a", "b"), available_hashes=("c",)),
    errors.ModelNotFound("gone"),
    errors.LocksPresent("locked", model="a/b", lock_files=("x.lock",)),
    errors.AccessProblem("no"),
    errors.NetworkProblem("down"),
    errors.RateLimited("slow", retry_after=2.5, details="429"),
    errors.DownloadFailed("broke"),
    errors.NotOnHub("no such", missing="revision", details="404"),
    errors.Unauthorised("token"),
    errors.Gated("terms", page="https://example.org", details="403"),
    errors.DiskFull("full"),
    errors.OperationError("cannot"),
    errors.ContextExceeded("long", prompt_tokens=9, context_length=8),
    errors.NotEnoughMemory("large", needed_bytes=2**40, limit_bytes=2**30),
    errors.Overloaded("later"),
    errors.EngineFailure("broke", details="trace\nline"),
    errors.Conflict("changed"),
    errors.ServerGone("The server has ended"),
    errors.Interrupted("Ctrl-C"),
    errors.InternalError("defect", details="here"),
]


def received(*frames: bytes) -> list[Packet]:
    return list(Reader().feed(b"".join(frames)))


def carried(value: object, body: Body[Any]) -> Any:
    (packet,) = received(frame("kind", 7, value))
    assert (packet.kind, packet.id) == ("kind", 7)
    return body.read(packet.body)


@given(requests)
def test_every_request_arrives_as_it_was(request: GenerationRequest) -> None:
    assert carried(request, protocol.request) == request


@given(st.lists(st.tuples(whole, events), max_size=6), st.none() | whole, st.none() | stats)
def test_every_step_of_events_arrives_in_its_order(
    step: list[tuple[int, Event]], busy: int | None, stats: EngineStats | None
) -> None:
    happened = carried(protocol.write_events(step, busy, stats), protocol.happened)
    assert (happened.busy, happened.stats, list(protocol.read_events(happened))) == (busy, stats, step)


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_every_error_arrives_as_the_same_class_with_the_same_values(error: Mlxk2Error) -> None:
    happened = carried(protocol.write_events([(1, Failed(error))], None, None), protocol.happened)
    ((_, failed),) = protocol.read_events(happened)
    assert isinstance(failed, Failed)
    assert type(failed.error) is type(error)
    assert vars(failed.error) == vars(error)
    assert failed.error.args == error.args


def test_the_table_of_errors_names_every_class_and_every_value() -> None:
    classes = {kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, Mlxk2Error)}
    assert set(FIELDS) == classes == {type(error) for error in ERRORS}
    for kind, names in FIELDS.items():
        signature = inspect.signature(kind).parameters.values()
        only_by_name = {each.name for each in signature if each.kind is each.KEYWORD_ONLY}
        assert only_by_name - {"details"} == set(names), kind


def test_an_error_of_a_class_derived_elsewhere_arrives_as_what_it_is_derived_from() -> None:
    class Odd(errors.Overloaded):
        pass

    arrived = carried(Odd("too many"), protocol.refused)
    assert (type(arrived), arrived.message) == (errors.Overloaded, "too many")


def test_an_error_about_a_file_whose_name_is_no_text_arrives_readable() -> None:
    error = errors.LocksPresent("odd: \udcff", model="\udcff", lock_files=("a\udcff.lock",))
    arrived = carried(error, protocol.refused)
    assert (arrived.message, arrived.model, arrived.lock_files) == ("odd: ?", "?", ("a?.lock",))


@pytest.mark.parametrize(
    ("value", "body"),
    [
        (LoadOptions(trust_remote_code=True, prefix_cache_bytes=5, memory_limit=2**40, max_rows=3), Body(LoadOptions)),
        (
            EngineInfo(
                has_chat_template=True,
                has_thinking_switch=True,
                vocab_size=600,
                context_length=4096,
                markers=Markers("<think>", "</think>", "<tool>", "</tool>", "hermes", (("<eos>", 2),)),
                kv=KvCost((KvLayers(64, 128), KvLayers(32)), 1000, 16),
                weights_bytes=2**33,
                max_rows=1,
            ),
            Body(EngineInfo),
        ),
        (protocol.Beat(5, 2, EngineStats(*range(1, 15))), protocol.beat),
        (RenderedPrompt((1, 2), (1,), opens_reasoning=True), protocol.RENDER.answer),
        (
            protocol.Render(
                [Message("assistant", "hi", "hm", (ToolCall("f", "{}", "1"),), "2"), Message("tool", "ok")],
                [Tool("f", "does", "{}")],
                RenderOptions(thinking=False),
            ),
            protocol.render,
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_other_records_arrive_as_they_were(value: object, body: Body[Any]) -> None:
    assert carried(value, body) == value


@given(st.lists(st.binary(max_size=40), max_size=5), st.integers(1, 20))
def test_packets_are_the_same_however_the_bytes_are_cut(bodies: list[bytes], size: int) -> None:
    stream = b"".join(frame("kind", number, body) for number, body in enumerate(bodies))
    reader = Reader()
    packets = [packet for begin in range(0, len(stream), size) for packet in reader.feed(stream[begin : begin + size])]
    assert [(packet.id, Body(bytes).read(packet.body)) for packet in packets] == list(enumerate(bodies))


@given(st.binary(max_size=200))
def test_any_bytes_are_packets_or_a_broken_stream(noise: bytes) -> None:
    framed = len(noise).to_bytes(4, "big") + noise
    for stream in (noise, framed):
        try:
            packets = received(stream)
        except BrokenStream:
            continue
        for packet in packets:
            assert (type(packet.kind), type(packet.id)) == (str, int)
            for body in (protocol.hello, protocol.happened, protocol.refused, protocol.request, protocol.beat):
                readable(body, packet)


def readable(body: Body[Any], packet: Packet) -> bool:
    try:
        value = body.read(packet.body)
        if isinstance(value, protocol.Happened):
            list(protocol.read_events(value))
    except BrokenStream:
        return False
    return True


DEEP = b"\x91" * 100_000


@pytest.mark.parametrize("noise", [DEEP, b"\x93\xa1k\x01" + DEEP, b"\x93\xa2\xff\xff\x01\xc0"])
def test_nonsense_that_is_hard_to_read_is_a_broken_stream(noise: bytes) -> None:
    with pytest.raises(BrokenStream):
        received(len(noise).to_bytes(4, "big") + noise)


def test_a_frame_beyond_the_limit_is_broken_before_its_bytes_are_waited_for() -> None:
    with pytest.raises(BrokenStream, match="announced"):
        received((LARGEST_FRAME + 1).to_bytes(4, "big"))


@pytest.mark.parametrize("trouble", [["Nobody", "m", None, []], ["NotEnoughMemory", "m", None, [1]], ["ValueError"], 5])
def test_what_is_no_error_of_this_program_is_a_broken_stream(trouble: object) -> None:
    with pytest.raises(BrokenStream):
        carried(trouble, protocol.refused)


@pytest.mark.parametrize("kind", [-1, 5, 2**62])
def test_an_event_of_an_unknown_kind_is_a_broken_stream(kind: int) -> None:
    happened = carried((None, None, [(1, kind, {})]), protocol.happened)
    with pytest.raises(BrokenStream):
        list(protocol.read_events(happened))


@pytest.mark.parametrize(
    "make",
    [
        lambda: "\ud83d",
        lambda: 2**70,
        lambda: object(),
        lambda: GenerationRequest((1,), lambda: 3),  # type: ignore[arg-type]
        lambda: bytes(LARGEST_FRAME),
    ],
)
def test_what_no_frame_can_hold_is_refused_before_it_is_sent(make: Callable[[], object]) -> None:
    with pytest.raises(Unsendable):
        frame("kind", 1, make())
