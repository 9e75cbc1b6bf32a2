"""What OpenAI's API has and this server has not, and what to do instead: one sentence for each."""

from dataclasses import dataclass
from typing import Any

from mlxk2.entrypoints.http.openai.paths import Path, values_along, written

_ELSEWHERE = "this server does not offer it; leave it out"
_NAME = "the models here have no place for it; write the name into the content"
_FIELDS = {
    "annotations": "this server searches no web; leave it out",
    "audio": "this server is text only; leave it out",
    "best_of": "this server does not choose among answers; ask for them with n and choose yourself",
    "function_call": "it is the older form; use tools and tool_choice, and tool_calls in messages",
    "functions": "it is the older form; use tools",
    "moderation": _ELSEWHERE,
    "name": _NAME,
    "prediction": "this server makes every answer itself; leave it out",
    "suffix": "the models here only continue a text; put what is to come before into the prompt",
    "web_search_options": "this server searches no web; leave it out, or offer a tool of your own",
}
"""Fields that must be null, by name."""

_TEXT_ONLY = "this server is text only and never fetches URLs; send text parts"
_PARTS = dict.fromkeys(("image_url", "input_image", "input_audio", "audio_url", "video_url", "file"), _TEXT_ONLY)
_FUNCTIONS_ONLY = "this server has function tools only; describe it as a function"
_ONE_TIER = "this server has one tier; use 'auto' or 'default', or leave it out"
_ONE_LENGTH = "the models here cannot be told how much to say; use 'medium', or say it in a message"
_VALUES = {
    "role": {"function": "it is the older form; use the role 'tool' with a tool_call_id"},
    "type": {**_PARTS, "custom": _FUNCTIONS_ONLY},
    "modalities": {"audio": 'this server is text only; ask for ["text"]'},
    "reasoning_effort": {"max": "no model here knows that level; use 'xhigh' or less"},
    "service_tier": dict.fromkeys(("flex", "scale", "priority", "fast"), _ONE_TIER),
    "verbosity": dict.fromkeys(("low", "high"), _ONE_LENGTH),
}
"""Values that OpenAI's API knows, by the field that they stand in."""


@dataclass(frozen=True, slots=True)
class Absent:
    """A value that this server has nothing for; `path` is where it stands."""

    path: Path
    message: str


def absent_field(path: Path) -> str:
    """What to do about a field that must be null."""
    return _FIELDS.get(path[-1], _ELSEWHERE)


def absent_value(body: Any, path: Path) -> Absent | None:
    """The value at the path, or the kind of object around it, that explains why the body could not be read.

    An object is named by its `role` or `type`: fields of a kind that is unknown here would else be called unknown.
    """
    along = values_along(body, path)
    found = (_explained(value, path[:depth]) for depth, value in reversed(list(enumerate(along))))
    return next((absent for absent in found if absent is not None), None)


def _explained(value: Any, path: Path) -> Absent | None:
    if isinstance(value, dict):
        for tag in ("role", "type"):
            if found := _explained(value.get(tag), (*path, tag)):
                return found
        return None
    field = next((step for step in reversed(path) if not step.isdigit()), "")
    step = _VALUES.get(field, {}).get(value) if isinstance(value, str) else None
    return None if step is None else Absent(path, f"'{value}' is not supported in {written(path)}: {step}")
