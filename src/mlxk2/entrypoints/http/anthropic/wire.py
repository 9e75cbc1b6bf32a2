"""The request bodies of Anthropic's API, with the ranges that it names itself; all others are the engine's.

Fields that are None here exist in the API and are refused unless they are null.
"""

from typing import Annotated, Literal

from msgspec import Meta, Raw

from mlxk2.entrypoints.http.anthropic.blocks import CacheControl, NoItems, TextBlock, Turn, Wire

LEAST_BUDGET = 1024
"""Tokens that a budget for thinking has at least."""


class CustomTool(Wire):
    """A function that the client carries out; `input_schema` is the JSON schema of an object."""

    name: Annotated[str, Meta(pattern="^[a-zA-Z0-9_-]{1,128}$")]
    input_schema: Raw
    description: str | None = None
    type: Literal["custom"] | None = None
    strict: bool | None = None
    cache_control: CacheControl | None = None
    eager_input_streaming: bool | None = None
    defer_loading: bool | None = None
    allowed_callers: list[Literal["direct"]] | None = None
    input_examples: NoItems | None = None


class AutoChoice(Wire, tag="auto"):
    disable_parallel_tool_use: bool = False


class AnyChoice(Wire, tag="any"):
    disable_parallel_tool_use: bool = False


class NamedChoice(Wire, tag="tool"):
    name: str
    disable_parallel_tool_use: bool = False


class NoChoice(Wire, tag="none"):
    """No tool is to be called."""


Display = Literal["summarized", "omitted"]
"""How thinking is shown: as it is, or not at all."""


class ThinkingEnabled(Wire, tag="enabled"):
    budget_tokens: Annotated[int, Meta(ge=LEAST_BUDGET)]
    display: Display | None = None


class ThinkingAdaptive(Wire, tag="adaptive"):
    display: Display | None = None


class ThinkingDisabled(Wire, tag="disabled"):
    pass


class JsonFormat(Wire):
    type: Literal["json_schema"]
    schema: Raw


class OutputConfig(Wire):
    effort: Literal["low", "medium", "high", "xhigh"] | None = None
    format: JsonFormat | None = None


class Metadata(Wire):
    """Taken without effect."""

    user_id: str | None = None


class CountTokens(Wire):
    """What makes up a prompt: the body of `/v1/messages/count_tokens`."""

    model: Annotated[str, Meta(min_length=1)]
    messages: Annotated[list[Turn], Meta(min_length=1)]
    system: str | list[TextBlock] | None = None
    tools: list[CustomTool] | None = None
    tool_choice: AutoChoice | AnyChoice | NamedChoice | NoChoice | None = None
    thinking: ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled | None = None
    output_config: OutputConfig | None = None
    output_format: JsonFormat | None = None
    cache_control: CacheControl | None = None
    speed: Literal["standard"] | None = None
    context_management: None = None
    mcp_servers: None = None


class CreateMessage(CountTokens, kw_only=True):
    """The body of `/v1/messages`."""

    max_tokens: Annotated[int, Meta(ge=1)]
    stream: bool | None = None
    temperature: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_p: Annotated[float, Meta(ge=0, le=1)] | None = None
    top_k: Annotated[int, Meta(ge=0)] | None = None
    stop_sequences: list[str] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    container: None = None
    diagnostics: None = None
    inference_geo: None = None
