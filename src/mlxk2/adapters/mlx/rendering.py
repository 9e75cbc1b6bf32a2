"""Conversations to token ids, by the model's own chat template.

mlx-lm's wrapper switches thinking on wherever the vocabulary has think tokens; here the template's own default holds
unless the user chose. A template says nothing about what it leaves out: tools are refused where it cannot show them.
"""

import json
from collections.abc import Callable, Sequence
from typing import Any

from mlxk2.ports.conversation import Message, RenderedPrompt, RenderOptions, Tool, ToolCall
from mlxk2.ports.errors import OperationError, ValidationError

_SWITCH = "enable_thinking"
_EFFORT = "reasoning_effort"
_TAIL = 16
"""Tokens at the end of a prompt in which a marker that opens the reasoning can stand."""

Turns = list[dict[str, Any]]


def has_thinking_switch(tokenizer: Any) -> bool:
    """Whether the template reads the variable that switches thinking on and off."""
    return _mentions(tokenizer, _SWITCH)


def has_effort_levels(tokenizer: Any) -> bool:
    """Whether the template reads how long the model is to think."""
    return _mentions(tokenizer, _EFFORT)


def render(
    tokenizer: Any, messages: Sequence[Message], tools: Sequence[Tool], options: RenderOptions, *, with_borders: bool
) -> RenderedPrompt:
    """Raises OperationError when the template refuses the conversation, ValidationError for tools it cannot show."""
    if tools and not _mentions(tokenizer, "tools"):
        raise ValidationError(
            "This model's chat template cannot show tools; leave them out or choose another model", parameter="tools"
        )
    chosen: dict[str, Any] = {} if options.thinking is None else {_SWITCH: options.thinking}
    if options.effort is not None:
        chosen[_EFFORT] = options.effort
    if tools:
        chosen["tools"] = [_tool(tool) for tool in tools]
    turns = [_turn(message) for message in messages]
    try:
        tokens = _apply(tokenizer, turns, chosen, opens_answer=True)
    except Exception as error:
        raise OperationError(f"The model's chat template does not accept this conversation: {error}") from error
    return RenderedPrompt(
        tokens,
        _borders(tokenizer, turns, chosen, tokens) if with_borders else (),
        _opens_reasoning(tokenizer, tokens),
    )


def _apply(tokenizer: Any, turns: Turns, chosen: dict[str, Any], *, opens_answer: bool) -> tuple[int, ...]:
    by_default = _SWITCH not in chosen and tokenizer.chat_template is not None
    # The wrapped tokenizer itself where nothing is chosen: the wrapper would choose for the user.
    writer = tokenizer._tokenizer if by_default else tokenizer
    options = {"add_generation_prompt": opens_answer, **({"return_dict": False} if by_default else {}), **chosen}
    if (encode := plain_encoder(tokenizer._tokenizer)) is not None:
        return tuple(encode(writer.apply_chat_template(turns, tokenize=False, **options)))
    return tuple(int(token) for token in writer.apply_chat_template(turns, **options))


def plain_encoder(tokenizer: Any) -> Callable[[str], list[int]] | None:
    """From a template's text to token ids without transformers' detours, which take longer than the way itself.

    None for a tokenizer with ways of its own, or with settings for texts that transformers would have to undo.
    """
    from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

    kind = type(tokenizer)
    is_usual = issubclass(kind, PreTrainedTokenizerFast) and (
        kind.apply_chat_template is PreTrainedTokenizerBase.apply_chat_template
        and kind.__call__ is PreTrainedTokenizerBase.__call__
        and kind.encode is PreTrainedTokenizerBase.encode
        and kind._encode_plus is PreTrainedTokenizerFast._encode_plus
    )
    if not is_usual:
        return None
    backend = tokenizer.backend_tokenizer
    is_set = backend.truncation is not None or backend.padding is not None
    if is_set or backend.encode_special_tokens != tokenizer.split_special_tokens:
        return None
    return lambda text: list(backend.encode(text, add_special_tokens=False).ids)


def _borders(tokenizer: Any, turns: Turns, chosen: dict[str, Any], tokens: tuple[int, ...]) -> tuple[int, ...]:
    """Where the first message ends, and where the last begins: what other requests are most likely to share."""
    places = set()
    for count in {1, len(turns) - 1} - {0, len(turns)}:
        try:
            part = _apply(tokenizer, turns[:count], chosen, opens_answer=False)
        except Exception:  # noqa: BLE001, S112 - a template may refuse half a conversation, which then has no border here
            continue
        places.add(next((i for i, pair in enumerate(zip(part, tokens, strict=False)) if pair[0] != pair[1]), len(part)))
    return tuple(sorted(place for place in places if 0 < place < len(tokens)))


def _opens_reasoning(tokenizer: Any, tokens: tuple[int, ...]) -> bool:
    marker = tokenizer.think_start
    return bool(marker) and str(tokenizer.decode(list(tokens[-_TAIL:]))).rstrip().endswith(marker)


def _turn(message: Message) -> dict[str, Any]:
    """As templates read it; those that know reasoning look for it under one of two names."""
    turn: dict[str, Any] = {"role": message.role, "content": message.content}
    if message.reasoning is not None:
        turn |= {"reasoning_content": message.reasoning, "thinking": message.reasoning}
    if message.tool_calls:
        turn["tool_calls"] = [_call(call) for call in message.tool_calls]
    if message.tool_call_id is not None:
        turn["tool_call_id"] = message.tool_call_id
    return turn


def _call(call: ToolCall) -> dict[str, Any]:
    """Templates write the arguments themselves, from an object; text that is none is passed on as it is."""
    try:
        arguments: Any = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = call.arguments
    return {"type": "function", "id": call.id, "function": {"name": call.name, "arguments": arguments}}


def _tool(tool: Tool) -> dict[str, Any]:
    try:
        parameters = json.loads(tool.parameters)
    except (ValueError, RecursionError) as error:
        raise ValidationError(
            f"The parameters of the tool '{tool.name}' are not a JSON schema: {error}", parameter="tools"
        ) from error
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": parameters},
    }


def _mentions(tokenizer: Any, word: str) -> bool:
    template = tokenizer.chat_template
    texts = template.values() if isinstance(template, dict) else [template]
    return any(isinstance(text, str) and word in text for text in texts)
