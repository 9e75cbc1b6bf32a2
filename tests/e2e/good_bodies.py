"""Requests that are good, one of each kind that a client sends; they ask for a token at most."""

from typing import Any

_MESSAGES = [{"role": "system", "content": "You are brief."}, {"role": "user", "content": "hello"}]
_SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 3}}, "required": ["city"]}
_CALLS = [{"id": "call12345", "type": "function", "function": {"name": "look", "arguments": '{"city": "Rome"}'}}]
_TOOL = {"type": "function", "function": {"name": "look", "description": "Looks", "parameters": _SCHEMA}}
_USE = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"city": "Rome"}}
_RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [{"type": "text", "text": "clear"}]}

GOOD: tuple[tuple[str, dict[str, Any]], ...] = (
    (
        "/v1/chat/completions",
        {"model": "demo", "messages": _MESSAGES, "max_tokens": 1, "temperature": 0.5, "top_p": 0.9, "seed": 1, "n": 1},
    ),
    (
        "/v1/chat/completions",
        {
            "model": "demo",
            "messages": [
                *_MESSAGES,
                {"role": "assistant", "content": None, "tool_calls": _CALLS},
                {"role": "tool", "tool_call_id": "call12345", "content": "clear"},
                {"role": "user", "content": [{"type": "text", "text": "and now?"}]},
            ],
            "tools": [_TOOL],
            "tool_choice": "auto",
            "max_completion_tokens": 1,
            "stream": False,
        },
    ),
    (
        "/v1/chat/completions",
        {
            "model": "demo",
            "messages": _MESSAGES,
            "max_tokens": 1,
            "logprobs": True,
            "top_logprobs": 2,
            "logit_bias": {"5": 1.5},
            "stop": ["x", "y"],
            "response_format": {"type": "json_schema", "json_schema": {"name": "a", "schema": _SCHEMA}},
        },
    ),
    (
        "/v1/chat/completions",
        {
            "model": "demo",
            "messages": _MESSAGES,
            "max_tokens": 1,
            "stream": True,
            "stream_options": {"include_usage": True},
            "presence_penalty": 0.5,
            "frequency_penalty": 0.5,
            "chat_template_kwargs": {"enable_thinking": False},
        },
    ),
    (
        "/v1/completions",
        {"model": "demo", "prompt": ["hi", "yo"], "max_tokens": 1, "echo": True, "top_k": 5, "min_p": 0.1},
    ),
    (
        "/v1/completions",
        {"model": "demo", "prompt": [5, 6, 7], "max_tokens": 1, "logprobs": 1, "repetition_penalty": 1.1, "stop": "x"},
    ),
    ("/tokenize", {"model": "demo", "prompt": "hello"}),
    ("/tokenize", {"model": "demo", "messages": _MESSAGES, "tools": [_TOOL]}),
    ("/detokenize", {"model": "demo", "tokens": [5, 6, 7]}),
    (
        "/v1/messages",
        {
            "model": "demo",
            "max_tokens": 1,
            "system": [{"type": "text", "text": "You are brief."}],
            "messages": [{"role": "user", "content": "hello"}],
            "temperature": 0.5,
            "top_k": 5,
            "stop_sequences": ["x"],
            "metadata": {"user_id": "me"},
        },
    ),
    (
        "/v1/messages",
        {
            "model": "demo",
            "max_tokens": 1,
            "stream": True,
            "messages": [
                {"role": "user", "content": [{"type": "text", "text": "hello"}]},
                {"role": "assistant", "content": [{"type": "text", "text": "I look."}, _USE]},
                {"role": "user", "content": [_RESULT]},
            ],
            "tools": [{"name": "look", "description": "Looks", "input_schema": _SCHEMA}],
            "tool_choice": {"type": "auto"},
        },
    ),
    (
        "/v1/messages/count_tokens",
        {"model": "demo", "messages": [{"role": "user", "content": "hello"}], "thinking": {"type": "disabled"}},
    ),
)
