"""The body of `/v1/chat/completions`.

`response_format` of the types `regex` and `grammar`, `chat_template_kwargs`, and what `Asking` names are extensions.
"""

from typing import Annotated, Literal

from msgspec import Meta, Raw

from mlxk2.domain.text.tools import MOST_TOOLS
from mlxk2.entrypoints.http.openai.chat.messages import AnyMessage
from mlxk2.entrypoints.http.openai.wire import Asking, MaxTokens, Never, TopLogprobs, Wire

FunctionName = Annotated[str, Meta(extra_json_schema={"pattern": "^[a-zA-Z0-9_-]{1,64}$"})]
Schema = dict[str, Raw]
"""A JSON schema that is an object; what it says is for the grammar to read."""


class Function(Wire, kw_only=True):
    name: FunctionName
    description: str | None = None
    parameters: Schema | None = None
    strict: bool | None = None


class FunctionTool(Wire, kw_only=True):
    type: Literal["function"]
    function: Function


class FunctionNamed(Wire, kw_only=True):
    name: str


class FunctionChoice(Wire, tag_field="type", tag="function", kw_only=True):
    function: FunctionNamed


class AllowedTool(Wire, kw_only=True):
    type: Literal["function"]
    function: FunctionNamed


class AllowedTools(Wire, kw_only=True):
    mode: Literal["auto", "required"]
    tools: Annotated[list[AllowedTool], Meta(min_length=1)]


class AllowedChoice(Wire, tag_field="type", tag="allowed_tools", kw_only=True):
    allowed_tools: AllowedTools


ToolChoiceOption = Literal["none", "auto", "required"] | FunctionChoice | AllowedChoice


class TextFormat(Wire, tag_field="type", tag="text", kw_only=True):
    pass


class JsonObjectFormat(Wire, tag_field="type", tag="json_object", kw_only=True):
    """Any object of JSON."""


class NamedSchema(Wire, kw_only=True):
    """`name`, `description` and `strict` are taken without effect: the answer is always held to the whole schema."""

    name: FunctionName
    schema: Schema
    description: str | None = None
    strict: bool | None = None


class JsonSchemaFormat(Wire, tag_field="type", tag="json_schema", kw_only=True):
    json_schema: NamedSchema


class RegexFormat(Wire, tag_field="type", tag="regex", kw_only=True):
    """The whole answer matches the expression."""

    pattern: Annotated[str, Meta(min_length=1)]


class GrammarFormat(Wire, tag_field="type", tag="grammar", kw_only=True):
    """The whole answer is a sentence of the grammar, which is written in Lark's notation."""

    grammar: Annotated[str, Meta(min_length=1)]


ResponseFormat = TextFormat | JsonObjectFormat | JsonSchemaFormat | RegexFormat | GrammarFormat


class TemplateOptions(Wire, kw_only=True):
    """What the chat template is told."""

    enable_thinking: bool | None = None


class CacheOptions(Wire, kw_only=True):
    """Taken without effect: whatever can be taken from the prefix cache is."""

    mode: Literal["implicit", "explicit"] | None = None
    ttl: Literal["30m"] | None = None


Effort = Literal["none", "minimal", "low", "medium", "high", "xhigh"]


Messages = Annotated[list[AnyMessage], Meta(min_length=1)]
Tools = Annotated[list[FunctionTool], Meta(extra_json_schema={"maxItems": MOST_TOOLS})]


class CreateChatCompletion(Asking, kw_only=True):
    messages: Messages
    tools: Tools | None = None
    tool_choice: ToolChoiceOption | None = None
    reasoning_effort: Effort | None = None
    chat_template_kwargs: TemplateOptions | None = None
    max_completion_tokens: MaxTokens | None = None
    parallel_tool_calls: bool | None = None
    response_format: ResponseFormat | None = None
    logprobs: bool | None = None
    top_logprobs: TopLogprobs | None = None
    modalities: list[Literal["text"]] | None = None
    verbosity: Literal["medium"] | None = None
    store: Never | None = None
    service_tier: Literal["auto", "default"] | None = None
    metadata: dict[str, str] | None = None
    safety_identifier: str | None = None
    prompt_cache_key: str | None = None
    prompt_cache_options: CacheOptions | None = None
    prompt_cache_retention: Literal["in_memory", "24h"] | None = None
    audio: None = None
    function_call: None = None
    functions: None = None
    moderation: None = None
    prediction: None = None
    web_search_options: None = None
