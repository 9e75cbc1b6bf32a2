"""Conversations to token ids, by the model's own chat template.

mlx-lm's wrapper switches thinking on wherever the vocabulary has think tokens; here the template's own default holds
unless the user chose.
"""

from collections.abc import Sequence
from typing import Any

from mlxk2.ports.conversation import Message
from mlxk2.ports.errors import OperationError

_SWITCH = "enable_thinking"


def has_thinking_switch(tokenizer: Any) -> bool:
    """Whether the template reads the variable that switches thinking on and off."""
    template = tokenizer.chat_template
    texts = template.values() if isinstance(template, dict) else [template]
    return any(isinstance(text, str) and _SWITCH in text for text in texts)


def render(tokenizer: Any, messages: Sequence[Message], *, thinking: bool | None) -> list[int]:
    """Token ids that end where the answer begins. Raises OperationError when the template refuses the conversation."""
    turns = [{"role": message.role, "content": message.content} for message in messages]
    chosen = {} if thinking is None else {_SWITCH: thinking}
    try:
        if thinking is None and tokenizer.chat_template is not None:
            # The wrapped tokenizer itself: the wrapper would choose for the user.
            tokens = tokenizer._tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
        else:
            tokens = tokenizer.apply_chat_template(turns, add_generation_prompt=True, **chosen)
        return [int(token) for token in tokens]
    except Exception as error:
        raise OperationError(f"The model's chat template does not accept this conversation: {error}") from error
