"""The bodies that the client sends, to us and to `mlx_lm.server` alike, and how our front reads them."""

import json
from collections.abc import Mapping
from typing import Any

from mlxk2.ports.conversation import Message, RenderedPrompt
from mlxk2.ports.generation import GenerationRequest, Sampling, Structure

Body = dict[str, Any]
"""A chat completion's JSON object as OpenAI defines it; it leaves the process as it is."""


def chat(content: str, tokens: int, **options: object) -> Body:
    """One user message, greedy and streamed unless `options` say otherwise."""
    return conversation([{"role": "user", "content": content}], tokens, **options)


def conversation(messages: list[dict[str, str]], tokens: int, **options: object) -> Body:
    return {
        "model": "default_model",
        "messages": messages,
        "max_tokens": tokens,
        "temperature": 0.0,
        "stream": True,
        "stream_options": {"include_usage": True},
        "chat_template_kwargs": {"enable_thinking": False},
        **options,
    }


def parse_messages(body: Mapping[str, Any]) -> list[Message]:
    return [Message(message["role"], message["content"]) for message in body["messages"]]


def parse_request(body: Mapping[str, Any], prompt: RenderedPrompt) -> GenerationRequest:
    sampling = Sampling(
        temperature=float(body["temperature"]),
        top_p=float(body.get("top_p", 1)),
        top_k=int(body.get("top_k", 0)),
        min_p=float(body.get("min_p", 0)),
        presence_penalty=float(body.get("presence_penalty", 0)),
        seed=body.get("seed"),
    )
    return GenerationRequest(
        prompt.tokens,
        int(body["max_tokens"]),
        sampling,
        logprobs=int(body["top_logprobs"]) if body.get("logprobs") else None,
        structure=_structure(body),
        borders=prompt.borders,
    )


def _structure(body: Mapping[str, Any]) -> Structure | None:
    wanted = body.get("response_format")
    return Structure("json_schema", json.dumps(wanted["json_schema"]["schema"])) if wanted else None
