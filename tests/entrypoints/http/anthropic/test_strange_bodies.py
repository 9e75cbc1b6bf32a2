"""Bodies that were not written with care: whatever they hold, they are read or refused with a sentence."""

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from mlxk2.entrypoints.http.anthropic.parse import parse_count, parse_message
from mlxk2.ports.errors import ValidationError
from tests.entrypoints.http.anthropic.asking import HELLO, WEATHER, tool_result, tool_use

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

STRANGE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths_of(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where every part of a JSON value stands."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(found for key, part in inner for found in paths_of(part, (*path, key)))]


def changed(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    """A copy in which `other` stands at `path`."""
    if not path:
        return other
    copy = value.copy()
    copy[path[0]] = changed(value[path[0]], path[1:], other)
    return copy


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
