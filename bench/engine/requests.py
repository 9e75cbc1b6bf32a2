"""The bodies that the client sends to every server alike; each is told its own name of the model."""

from typing import Any

Body = dict[str, Any]
"""A chat completion's JSON object as OpenAI defines it; it leaves the process as it is."""


def chat(content: str, tokens: int, **options: object) -> Body:
    """One user message, greedy and streamed unless `options` say otherwise."""
    return conversation([{"role": "user", "content": content}], tokens, **options)


def conversation(messages: list[dict[str, str]], tokens: int, **options: object) -> Body:
    body: Body = {
        "messages": messages,
        "max_tokens": tokens,
        "temperature": 0.0,
        "stream": True,
        **options,
    }
    return {**body, "stream_options": {"include_usage": True}} if body["stream"] else body
