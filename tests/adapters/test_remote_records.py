"""The client's JSON is what msgspec, on the server's side, makes of the same records."""

from typing import Any

import msgspec
import pytest

from mlxk2.adapters.remote.records import from_json, to_json
from mlxk2.ports.attachment import Line, Opened, ToGenerate, ToRender
from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool, ToolCall
from mlxk2.ports.engine import EngineInfo, EngineStats, KvCost, KvLayers, Markers
from mlxk2.ports.generation import (
    Delta,
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
from mlxk2.ports.held import Held, HeldModel, ToUnload
from mlxk2.ports.troubles import Trouble

CALL = ToolCall("f", '{"a": 1}', "1")
MODEL = HeldModel("m", "c", "loaded", "", 1, 2, 3, 4, 5.5, 6, None, 7.5, True, 8, None)
SENT = [
    ToRender(
        "m", (Message("assistant", "é \u2028 \0", "r", (CALL,), None),), (Tool("f"),), RenderOptions(thinking=True)
    ),
    ToGenerate("m", GenerationRequest((1, 2), 3, Sampling(0.5, logit_bias=((1, -1.5),)), 2, Structure("regex", "a"))),
    ToUnload("m", force=True),
    {},
]
HEARD = [
    Held((MODEL,), None, 1, 0),
    EngineStats(steps=5),
    RenderedPrompt((1, 2), (1,), opens_reasoning=True),
    Line(),
    Line(stage="weights"),
    Line(
        opened=Opened(EngineInfo(True, False, 9, 10, Markers("<a>", special=(("<b>", 1),)), KvCost((KvLayers(1),))), 7)
    ),
    Line(queued=Queued(1)),
    Line(progress=PromptProgress(1, 2)),
    Line(delta=Delta("é", 1, (7,), (TokenLogprobs(TokenChance(7, "é", -0.5), (TokenChance(7, "é", -1.0),)),))),
    Line(finished=Finished(FinishReason.STOP, 1, 2, 0.5, 1)),
    Line(failed=Trouble("AmbiguousMatch", "m", None, (("a", "b"), 1, 1.5, None, "x"))),
]


@pytest.mark.parametrize("body", SENT, ids=repr)
def test_what_is_sent_reads_as_what_it_was(body: Any) -> None:
    assert msgspec.json.decode(to_json(body), type=type(body)) == body


@pytest.mark.parametrize("body", HEARD, ids=repr)
def test_what_is_heard_becomes_the_record_that_it_was(body: Any) -> None:
    heard = from_json(msgspec.json.encode(body), type(body))
    assert heard == body
    assert repr(heard) == repr(msgspec.json.decode(msgspec.json.encode(body), type=type(body)))


def test_plain_values_and_lists_are_read() -> None:
    assert from_json(b"[1,2]", list[int]) == [1, 2]
    assert from_json(b'["a"]', tuple[str, ...]) == ("a",)
    assert from_json(b'"a"', str) == "a"


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"{}", Held),
        (b"[]", Held),
        (b'{"models":[],"memory_limit":"1","memory_taken":1,"waiting":0}', Held),
        (b'{"models":{},"memory_limit":1,"memory_taken":1,"waiting":0}', Held),
        (b'{"models":[],"memory_limit":1,"memory_taken":true,"waiting":0}', Held),
        (b"[1.5]", EngineStats),
        (b"[null]", EngineStats),
        (b"{}", EngineStats),
        (b"[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0]", EngineStats),
        (b'{"delta":["a"]}', Line),
        (b'{"delta":[1,1]}', Line),
        (b'{"delta":{"text":"a","generated_tokens":1}}', Line),
        (b'{"finished":["tired",1,1,0.1,0.2]}', Line),
        (b'{"failed":["ModelNotFound","m",null]}', Line),
        (b'{"failed":["ModelNotFound","m",null,[],1]}', Line),
        (b'{"failed":["ModelNotFound","m",null,[{}]]}', Line),
        (b"[1,true]", list[int]),
        (b"NaN", float),
        (b"-Infinity", float),
        (b"1 2", int),
        (b"", str),
        (b'"\xff"', str),
    ],
)
def test_what_is_no_such_value_is_refused(content: bytes, kind: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        from_json(content, kind)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "\ud83d", b"a", object()], ids=repr)
def test_what_json_cannot_hold_is_refused(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        to_json({"a": value})
