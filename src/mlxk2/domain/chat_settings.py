"""How the answers of a chat are made, and the names and words under which each part of that is set and kept."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any

from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.stopping import check_stops
from mlxk2.ports import checking
from mlxk2.ports.errors import ValidationError
from mlxk2.ports.generation import Structure

Pair = tuple[str, str]
"""A setting's name and its value, as `/set` takes them."""

_SAMPLING = {
    "temperature": checking.TEMPERATURE,
    "top-p": checking.TOP_P,
    "top-k": checking.TOP_K,
    "min-p": checking.MIN_P,
    "repetition-penalty": checking.REPETITION_PENALTY,
    "presence-penalty": checking.PRESENCE_PENALTY,
    "frequency-penalty": checking.FREQUENCY_PENALTY,
    "seed": checking.SEED,
}
_SWITCH = {"on": True, "off": False}
NAMES = (*_SAMPLING, "max-tokens", "stop", "thinking", "schema")
"""Of all settings. `stop` may be set several times; its values add up."""


@dataclass(slots=True)
class ChatSettings:
    """`max_tokens` None: as many as there is room for. `thinking` None leaves it to the model.

    `structure` is a form that answers are held to.
    """

    sampling: SamplingChoice = field(default_factory=SamplingChoice)
    max_tokens: int | None = None
    stops: tuple[str, ...] = ()
    thinking: bool | None = None
    structure: Structure | None = None


def changed(settings: ChatSettings, name: str, value: str) -> ChatSettings:
    """The settings with one of them set.

    Raises ValidationError for a name that there is not, with near ones, and for a value that it cannot have.
    """
    name = name.lower().replace("_", "-")
    if name in _SAMPLING:
        return _with_sampling(settings, name, _number(name, value, _SAMPLING[name]))
    if name == "max-tokens":
        return replace(settings, max_tokens=int(_number(name, value, checking.MAX_TOKENS)))
    if name == "stop":
        return replace(settings, stops=check_stops((*settings.stops, value)))
    if name == "thinking":
        return replace(settings, thinking=_switch(value))
    if name == "schema":
        return replace(settings, structure=_schema(value))
    raise _unknown(name)


def without(settings: ChatSettings, name: str) -> ChatSettings:
    """The settings with one of them as it is when nobody sets it. Raises ValidationError as `changed`."""
    name = name.lower().replace("_", "-")
    if name in _SAMPLING:
        return _with_sampling(settings, name, None)
    if name not in NAMES:
        raise _unknown(name)
    fields = {"max-tokens": "max_tokens", "stop": "stops", "thinking": "thinking", "schema": "structure"}
    return replace(settings, **{fields[name]: getattr(ChatSettings(), fields[name])})


def written(settings: ChatSettings) -> tuple[Pair, ...]:
    """Those that were set."""
    pairs = [(name, getattr(settings.sampling, _field(name))) for name in _SAMPLING]
    pairs += [("max-tokens", settings.max_tokens), *(("stop", stop) for stop in settings.stops)]
    if settings.thinking is not None:
        pairs.append(("thinking", "on" if settings.thinking else "off"))
    if settings.structure is not None and settings.structure.kind == "json_schema":
        pairs.append(("schema", settings.structure.text))
    return tuple((name, str(value)) for name, value in pairs if value is not None)


def read(pairs: Iterable[Pair]) -> ChatSettings:
    """The settings that were `written`. Raises ValidationError as `changed`."""
    settings = ChatSettings()
    for name, value in pairs:
        settings = changed(settings, name, value)
    return settings


def _with_sampling(settings: ChatSettings, name: str, value: float | None) -> ChatSettings:
    changes: dict[str, Any] = {_field(name): value}
    return replace(settings, sampling=settings.sampling._replace(**changes))


def _field(name: str) -> str:
    return name.replace("-", "_")


def _number(name: str, value: str, allowed: checking.Range) -> float:
    try:
        number = int(value) if allowed.whole else float(value)
    except ValueError:
        raise ValidationError(f"{name} {value!r} is no number: it must be {allowed.words}", parameter=name) from None
    checking.check_range(name, number, allowed)
    return number


def _switch(value: str) -> bool:
    if value.lower() not in _SWITCH:
        raise ValidationError(f"thinking {value!r} is not known: it must be on or off", parameter="thinking")
    return _SWITCH[value.lower()]


def _schema(value: str) -> Structure:
    try:
        json.loads(value)
    except ValueError as error:
        raise ValidationError(f"The schema is not JSON: {error}; correct it", parameter="schema") from None
    return Structure("json_schema", value)


def _unknown(name: str) -> ValidationError:
    near = get_close_matches(name, NAMES, 2)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(NAMES)}"
    return ValidationError(f"There is no setting {name!r}; {hint}")
