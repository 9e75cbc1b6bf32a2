"""assets/completions/: what the shells offer after Tab, for both names of the program.

shtab derives the scripts from the parser. Names of models come from the cache folder's own listing, in shell, so that
Tab answers at once.
"""

import argparse

import shtab

from docs_generator.grammar import subcommands, summaries
from mlxk2.configuration.options import OPTIONS
from mlxk2.entrypoints.cli.parser import JSON_SPECS

SECOND_NAME = "mlxk-json"
_MODEL_ARGUMENTS = {
    "list": "pattern",
    "show": "model",
    "health": "pattern",
    "verify": "pattern",
    "du": "pattern",
    "rm": "model",
    "run": "model",
    "fit": "model",
    "stop": "model",
}
_COMPLETE = "complete"
"""The attribute in which shtab looks for an argument's own completion."""
_MODELS = {"bash": "_mlxk2_models", "zsh": "_mlxk2_models"}
_BY_METAVAR = {"MODEL": _MODELS, "FILE": shtab.FILE}
_CHOICES = {option.attribute: option.kind.choices for option in OPTIONS if option.kind.choices}

_CACHE = (
    'local cache="${HF_HUB_CACHE:-${HUGGINGFACE_HUB_CACHE:-'
    '${HF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/huggingface}/hub}}"'
)
_BASH_MODELS = f"""\
# npm and others do the same: a revision after @ is part of the word
COMP_WORDBREAKS=${{COMP_WORDBREAKS//@/}}

# names of the models in the cache that begin with $1, and revisions after an @; none that a shell would read as more
# than a word
_mlxk2_models() {{
  {_CACHE}
  local folder name repo found plain='^[A-Za-z0-9._/-]+$' commit='^[0-9a-f]{{40}}$'
  if [[ $1 == *@* ]]; then
    name="${{1%%@*}}"
    [[ $name =~ $plain ]] || return
    repo="${{name//\\//--}}"
    [[ $name == demo ]] && repo=mlxk2--demo
    for folder in "$cache/models--$repo"/snapshots/* "$cache/models--"*"--$repo"/snapshots/*; do
      found="${{folder##*/}}"
      [[ $found =~ $commit && $found == "${{1#*@}}"* ]] && printf '%s@%.12s\\n' "$name" "$found"
    done
    return
  fi
  local names=("$cache"/models--"${{1//\\//--}}"*)
  names=(demo "${{names[@]##*/models--}}")
  for name in "${{names[@]//--//}}"; do
    [[ $name == "$1"* && $name != *[!A-Za-z0-9._/-]* ]] && printf '%s\\n' "$name"
  done
}}
"""
_ZSH_MODELS = f"""\
# names of the models in the cache, and revisions after an @
_mlxk2_models() {{
  {_CACHE}
  local repo
  if [[ $PREFIX == *@* ]]; then
    repo=${{${{PREFIX%%@*}}//\\//--}}
    [[ $repo == demo ]] && repo=mlxk2--demo
    compset -P '*@'
    local -a commits=($cache/models--$repo/snapshots/*(N/:t) $cache/models--*--$repo/snapshots/*(N/:t))
    compadd -a commits
    return
  fi
  local -a folders=($cache/models--*(N/:t))
  local -a names=(demo ${{${{folders#models--}}//--//}})
  compadd -a names
}}
"""
_PREAMBLE = {"bash": _BASH_MODELS, "zsh": _ZSH_MODELS}


def completions(parser: argparse.ArgumentParser) -> dict[str, str]:
    """File name to content; `parser` gets completions of its own attached and is not for parsing any more."""
    _attach(parser)
    program = parser.prog
    bash = shtab.complete(parser, "bash", preamble=_PREAMBLE)
    zsh = shtab.complete(parser, "zsh", preamble=_PREAMBLE)
    return {
        f"{program}.bash": _registered_twice(bash, f" {program}"),
        f"{SECOND_NAME}.bash": _forwarding(program),
        f"_{program}": _registered_twice(zsh, f"#compdef {program}", f" -N {program}"),
    }


def _attach(parser: argparse.ArgumentParser) -> None:
    short = summaries(parser)
    for name, command in subcommands(parser).items():
        command.description = short[name]
        for action in command._actions:
            if not action.option_strings and action.dest == _MODEL_ARGUMENTS.get(name):
                setattr(action, _COMPLETE, _MODELS)
            elif action.option_strings and action.metavar in _BY_METAVAR:
                setattr(action, _COMPLETE, _BY_METAVAR[action.metavar])
    for each in (parser, *subcommands(parser).values()):
        for action in each._actions:
            if action.dest == "json_spec":
                action.choices = JSON_SPECS
            elif action.dest in _CHOICES:
                action.choices = _CHOICES[action.dest]


def _registered_twice(script: str, *ends: str) -> str:
    """The script, registering the second name in each line that ends so and registers the first."""
    lines = script.splitlines()
    for end in ends:
        numbers = [number for number, line in enumerate(lines) if line.endswith(end) and "comp" in line.split()[0]]
        (number,) = numbers
        lines[number] += f" {SECOND_NAME}"
    return "\n".join(line.rstrip() for line in lines) + "\n"


def _forwarding(program: str) -> str:
    """bash-completion looks for a file of the command's name; this one reads the other."""
    return f'# completion of {SECOND_NAME}, the second name of {program}\n. "${{BASH_SOURCE[0]%/*}}/{program}.bash"\n'
