"""Bodies that were not written with care: whatever they hold, they are read or refused with a sentence."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlxk2.entrypoints.http.anthropic.parse import parse_count, parse_message
from mlxk2.ports.errors import ValidationError
from tests.entrypoints.http.anthropic.asking import HELLO, WEATHER, tool_result, tool_use
from tests.entrypoints.http.strange import STRANGE, changed, paths_of

WHOLE: dict[str, Any] = {
    "model": "demo",
    "max_tokens": 4096,
    "system": [{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        HELLO,
        {
            "role": "assistant",
            "content": [{"type": "thinking", "thinking": "Hm.", "signature": "unsigned"}, tool_use()],
        },
        {"role": "user", "content": [tool_result(), {"type": "text", "text": "And now?"}]},
    ],
    "tools": [WEATHER],
    "tool_choice": {"type": "auto"},
    "thinking": {"type": "enabled", "budget_tokens": 1024},
    "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    "stop_sequences": ["END"],
    "temperature": 1,
    "metadata": {"user_id": "me"},
}


@given(st.sampled_from(paths_of(WHOLE)), STRANGE)
def test_a_strange_value_anywhere_is_read_or_refused(path: tuple[Any, ...], strange: Any) -> None:
    body = json.dumps(changed(WHOLE, path, strange)).encode()
    for parse in (parse_message, parse_count):
        try:
            parse(body)
        except ValidationError as error:
            assert error.message  # noqa: PT017 - being read is as good


def at(path: tuple[Any, ...]) -> Any:
    spot: Any = WHOLE
    for step in path:
        spot = spot[step]
    return spot


OBJECTS = [
    path
    for path in paths_of(WHOLE)
    if isinstance(at(path), dict) and not {"input", "input_schema", "schema"} & set(path)
]


@given(st.sampled_from(OBJECTS), st.text(min_size=1, max_size=5))
def test_a_strange_field_anywhere_is_refused_by_name(path: tuple[Any, ...], name: str) -> None:
    assume(name not in at(path))
    body = json.dumps(changed(WHOLE, path, {**at(path), name: 1}))
    with pytest.raises(ValidationError) as caught:
        parse_message(body.encode())
    assert caught.value.message == f"{'.'.join(map(str, (*path, name)))}: Extra inputs are not permitted"


@pytest.mark.parametrize("second", ["[]", "null", "{}", "[1]"])
def test_a_key_that_stands_there_twice_is_told_like_any_other_mistake(second: str) -> None:
    body = json.dumps({**WHOLE, "tools": [{"name": "a", "input_schema": {}, "zz": 1}]})[:-1] + f', "tools": {second}}}'
    with pytest.raises(ValidationError):
        parse_message(body.encode())
