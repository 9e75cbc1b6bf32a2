"""Health: is every byte of the model where it should be? Decided offline, from facts that an adapter collected.

Each rule is a function from a case to the first problem in words, or None; `RULES` lists them per framework in the
order in which problems are reported. Whether mlx-lm can run a healthy model is a question of its own
(`domain/compatibility.py`).
"""

import re
from collections.abc import Callable, Iterable, Sequence
from enum import Enum
from functools import cache
from typing import NamedTuple

from mlxk2.domain.classify import Classification, Framework, ModelType
from mlxk2.domain.contents import LOADER_JSON, NO_GGUF, NO_JSON, NO_SAFETENSORS
from mlxk2.domain.names import printable
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.subject import Subject
from mlxk2.domain.weights import LOADER_GLOB, WeightFormat, WeightSet, has_only_lora
from mlxk2.ports.cache import COMMIT_LOCK, FileFact, LinkState, ListedFile, RepoFacts
from mlxk2.ports.contents import Broken, GgufHeader, Json, LargeJson, LfsPointer, SafetensorsHeader

IN_PROGRESS = "download in progress"
INCOMPLETE = "download incomplete"
DAMAGED = "is damaged: its content does not have its hash"
_VOCABULARIES = ("tokenizer.json", "tokenizer.model", "tiktoken.model")
_ENCODER_VOCABULARIES = ("sentencepiece.bpe.model", "spiece.model")
_VOCABULARY_FILE = re.compile(r"[^/]+\.tiktoken|[^/]*vocab[^/]*\.txt")
_SHOWN_NAMES = 3


class Health(NamedTuple):
    """`reason` is the first problem in words, None when healthy."""

    reason: str | None

    @classmethod
    def of(cls, problem: str | None) -> "Health":
        """The verdict; names from the repo in it are made printable."""
        return cls(None if problem is None else printable(problem))

    @property
    def healthy(self) -> bool:
        return self.reason is None


class _Case(NamedTuple):
    """What a rule looks at."""

    snapshot: Snapshot
    classification: Classification
    weights: WeightSet | None


Rule = Callable[[_Case], str | None]


def judge_missing(repo: RepoFacts) -> Health:
    """The verdict on a model folder without any snapshot."""
    if repo.problem:
        return Health.of(repo.problem)
    if repo.held_locks:
        return Health(IN_PROGRESS)
    main = repo.refs.get("main")
    named = f": refs/main names {main[:12]}, which is not here" if main else ""
    word = INCOMPLETE if repo.partials or main else "no snapshot"
    return Health.of(f"{word}{named}")


def judge(subject: Subject, classification: Classification) -> Health:
    """The verdict on one snapshot."""
    if subject.snapshot.repo.problem:
        return Health.of(subject.snapshot.repo.problem)
    case = _Case(subject.snapshot, classification, subject.weights)
    unknown = classification.framework is Framework.UNKNOWN
    complete = unknown and _every_listed_file_is_here(
        subject.snapshot
    )  # a kind that these rules do not know, all there
    problems = (rule(case) for rule in (_FIRST if complete else RULES[classification.framework]))
    return Health.of(next((problem for problem in problems if problem), None))


def _no_download_in_progress(case: _Case) -> str | None:
    """By the lock of one of its blobs, which huggingface_hub takes, or by that of the commit, which a pull takes."""
    repo = case.snapshot.repo
    if case.snapshot.commit in repo.installing:
        return IN_PROGRESS
    etags = {name for name in repo.held_locks if not name.endswith(COMMIT_LOCK)}
    return IN_PROGRESS if _own_etags(case.snapshot, etags) else None


def _no_partial_download(case: _Case) -> str | None:
    unfinished = {partial.etag for partial in case.snapshot.repo.partials if not partial.finished}
    own = _own_etags(case.snapshot, unfinished)
    if not own:
        return None
    paths = sorted(row.path for row in (case.snapshot.listing or {}).values() if row.blob in own)
    return f"{INCOMPLETE}{': ' if paths else ''}{', '.join(paths[:_SHOWN_NAMES])}"


def _own_etags(snapshot: Snapshot, etags: set[str]) -> set[str]:
    """Those that belong to this snapshot: by its links, by its listing, or, without a listing, by nobody else."""
    if not etags:
        return set()
    linked = {file.blob for file in snapshot.files.values()}
    if snapshot.listing is not None:
        listed = {row.blob for row in snapshot.listing.values()}
        return {etag for etag in etags if etag in listed or etag in linked}
    others = snapshot.repo.blobs.keys() | snapshot.elsewhere
    return {etag for etag in etags if etag in linked or etag not in others}


def _snapshot_can_be_read(case: _Case) -> str | None:
    top = case.snapshot.files.get(".")
    return "the snapshot's folder cannot be read" if top and top.state is LinkState.UNREADABLE else None


def _no_file_is_known_to_be_damaged(case: _Case) -> str | None:
    """By its hash, which somebody has taken of the file as it is now."""
    known = case.snapshot.repo.damaged
    paths = sorted(file.path for file in case.snapshot.files.values() if file.blob in known) if known else []
    return of_files(paths, DAMAGED) if paths else None


def of_files(paths: Sequence[str], why: str, where: str = "") -> str:
    """A sentence about files that all have one problem, `why` as its second half."""
    shown = ", ".join(paths[:_SHOWN_NAMES])
    more = f" and {len(paths) - _SHOWN_NAMES} more" if len(paths) > _SHOWN_NAMES else ""
    return f"{shown}{more}{where} {why}" if len(paths) == 1 else f"{shown}{more}{where}: each {why}"


def _no_link_leaves_the_model(case: _Case) -> str | None:
    for file in case.snapshot.files.values():
        if file.state is LinkState.OUTSIDE:
            return f"{file.path} is a link that leaves the model's folder"
    return None


def _all_shards_are_here(case: _Case) -> str | None:
    expected = case.weights.expected if case.weights else ()
    missing = [name for name in expected if not _is_there(case.snapshot, name)]
    if not missing or len(expected) == 1:
        return None
    shown = ", ".join(missing[:_SHOWN_NAMES])
    more = f" and {len(missing) - _SHOWN_NAMES} more" if len(missing) > _SHOWN_NAMES else ""
    return f"incomplete: {len(missing)} of {len(expected)} shards missing: {shown}{more}"


def _is_there(snapshot: Snapshot, name: str) -> bool:
    file = snapshot.files.get(name)
    return file is not None and file.state is not LinkState.DANGLING


def _is_not_only_lora(case: _Case) -> str | None:
    only = case.weights is None and has_only_lora(case.snapshot)
    return "no weights: only LoRA weights of another model" if only else None


def _config_is_an_object(case: _Case) -> str | None:
    snapshot = case.snapshot
    if "config.json" not in snapshot.files:
        return "config.json is missing"
    problem = _file_problem(snapshot.files["config.json"])
    if problem:
        return f"config.json {problem}"
    config = snapshot.json("config.json")
    if isinstance(config, Broken):
        return f"config.json {config.why}"
    if not isinstance(config, dict):
        return "config.json is not a JSON object"
    return None if config else "config.json is an empty object"


def _weights_are_here(case: _Case) -> str | None:
    if case.weights is None or not case.weights.expected:
        return "no weights"
    return case.weights.index_problem


def _weight_files_are_whole(case: _Case) -> str | None:
    snapshot = case.snapshot
    for name in case.weights.expected if case.weights else ():
        if name not in snapshot.files:
            return f"incomplete: {name} is missing"
        problem = _file_problem(snapshot.files[name]) or _size_problem(snapshot, name) or _format_problem(case, name)
        if problem:
            return f"{name} {problem}"
    return _no_tensors_at_all(case)


def _no_tensors_at_all(case: _Case) -> str | None:
    if case.weights is None or case.weights.format is not WeightFormat.SAFETENSORS:
        return None
    headers = [case.snapshot.files[name].content for name in case.weights.expected]
    empty = all(isinstance(header, SafetensorsHeader) and header.is_empty for header in headers)
    return f"{case.weights.expected[0]} holds no tensors" if headers and empty else None


def _format_problem(case: _Case, name: str) -> str | None:
    kind = case.weights.format if case.weights else None
    content = case.snapshot.files[name].content
    if kind is WeightFormat.SAFETENSORS:
        return None if isinstance(content, SafetensorsHeader) else _broken(content, NO_SAFETENSORS).why
    if kind is WeightFormat.GGUF:
        return None if isinstance(content, GgufHeader) else _broken(content, NO_GGUF).why
    return None


def _broken(content: object, otherwise: Broken) -> Broken:
    """What reading found wrong; `otherwise` of a file with nothing to read."""
    return content if isinstance(content, Broken) else otherwise


def _listed_files_are_here(case: _Case) -> str | None:
    snapshot, listing = case.snapshot, case.snapshot.listing or {}
    for name in sorted(name for name, row in listing.items() if not _is_as_listed(snapshot.files.get(name), row)):
        if not _loader_needs(case, name):
            continue
        if name not in snapshot.files:
            return f"incomplete: {name} is missing"
        problem = _size_problem(snapshot, name)
        if problem:
            return f"{name} {_file_problem(snapshot.files[name]) or problem}"
    return None


def _is_as_listed(file: FileFact | None, row: ListedFile) -> bool:
    return file is not None and file.size == row.size


def _every_listed_file_is_here(snapshot: Snapshot) -> bool:
    listing = snapshot.listing or {}
    return bool(listing) and all(
        snapshot.has(name) and snapshot.files[name].size == row.size for name, row in listing.items()
    )


def _loader_needs(case: _Case, name: str) -> bool:
    """Whether loading reads this file; vocabularies beside a tokenizer.json are only its older forms."""
    need = _need(name)
    if need is _Need.WEIGHTS:
        return case.weights is not None and case.weights.format is WeightFormat.SAFETENSORS
    return need is _Need.ALWAYS or (need is _Need.WITHOUT_TOKENIZER and "tokenizer.json" not in case.snapshot.top_level)


class _Need(Enum):
    """When loading reads a file of a certain name."""

    ALWAYS = "always"
    WEIGHTS = "when the weights are safetensors"
    WITHOUT_TOKENIZER = "when there is no tokenizer.json"
    NEVER = "never"


@cache
def _need(name: str) -> _Need:
    if LOADER_GLOB.fullmatch(name):
        return _Need.WEIGHTS
    if name == "chat_template.jinja" or (name in LOADER_JSON and name != "vocab.json"):
        return _Need.ALWAYS
    older_form = name in (*_VOCABULARIES, "vocab.json", "merges.txt") or _VOCABULARY_FILE.fullmatch(name)
    return _Need.WITHOUT_TOKENIZER if older_form else _Need.NEVER


def _tokenizer_is_here(case: _Case) -> str | None:
    if not case.classification.generates_text:
        return None
    return None if has_tokenizer(case.snapshot) or _brings_its_tokenizer(case.snapshot) else _NO_TOKENIZER


_NO_TOKENIZER = "no tokenizer: tokenizer.json, tokenizer.model, or vocab.json with merges.txt is needed"


def has_tokenizer(snapshot: Snapshot) -> bool:
    """A vocabulary that the tokenizer library can load by itself."""
    pair = snapshot.has("vocab.json") and snapshot.has("merges.txt")
    return pair or snapshot.has("tokenizer.json") or snapshot.has("tokenizer.model")


def _has_vocabulary(snapshot: Snapshot, names: Iterable[str]) -> bool:
    single = any(snapshot.has(name) for name in names)
    return single or any(_VOCABULARY_FILE.fullmatch(name) and snapshot.has(name) for name in snapshot.files)


def _brings_its_tokenizer(snapshot: Snapshot) -> bool:
    """A vocabulary of another form with the Python file that reads it: whole, though mlx-lm will not run that."""
    return any(name.endswith(".py") for name in snapshot.files) and _has_vocabulary(snapshot, ("tiktoken.model",))


def _encoder_files_are_here(case: _Case) -> str | None:
    if case.classification.model_type is not ModelType.EMBEDDING:
        return None
    if not has_tokenizer(case.snapshot) and not _has_vocabulary(case.snapshot, _ENCODER_VOCABULARIES):
        return "no tokenizer: tokenizer.json or a vocabulary file is needed"
    modules = case.snapshot.json("modules.json")
    for module in modules if isinstance(modules, list) else []:
        path = module.get("path") if isinstance(module, dict) else None
        needed = f"{path}/config.json"
        if isinstance(path, str) and path.endswith("_Pooling") and not case.snapshot.has(needed):
            return f"{needed} is missing, which modules.json names"
    return None


def _loader_files_are_whole(case: _Case) -> str | None:
    snapshot = case.snapshot
    for name, file in snapshot.files.items():
        if file.state is LinkState.DANGLING:
            return f"{name} is a dangling link"
        problem = (_file_problem(file) or _json_problem(name, file)) if _loader_needs(case, name) else None
        if problem:
            return f"{name} {problem}"
    return None


def _json_problem(name: str, file: FileFact) -> str | None:
    """What the loader could not read from a JSON file: each of them must be an object."""
    if name not in LOADER_JSON or isinstance(file.content, LargeJson):
        return None
    if not isinstance(file.content, Json):
        return _broken(file.content, NO_JSON).why
    value = file.content.value
    if not isinstance(value, dict):
        return "is not a JSON object"
    return "holds no tokenizer" if name == "tokenizer.json" and "model" not in value else None


def _file_problem(file: FileFact) -> str | None:
    if file.state is LinkState.UNREADABLE:
        return "cannot be read"
    if file.state is not LinkState.FILE:
        return f"is a {file.state.value}" if file.state is LinkState.DANGLING else f"is {file.state.value}"
    if file.size == 0:
        return "is empty"
    return "is a git-LFS pointer, not the file itself" if isinstance(file.content, LfsPointer) else None


def _size_problem(snapshot: Snapshot, name: str) -> str | None:
    listed = (snapshot.listing or {}).get(name)
    size = snapshot.files[name].size
    if listed is None or listed.size == size:
        return None
    return f"{'is truncated' if size < listed.size else 'is too long'}: {size} of {listed.size} bytes"


_FIRST: tuple[Rule, ...] = (  # whatever kind of model it is
    _snapshot_can_be_read,
    _no_download_in_progress,
    _no_link_leaves_the_model,
    _all_shards_are_here,
    _no_partial_download,
    _no_file_is_known_to_be_damaged,
    _is_not_only_lora,
)

RULES: dict[Framework, tuple[Rule, ...]] = {
    Framework.MLX: (
        *_FIRST,
        _config_is_an_object,
        _weights_are_here,
        _weight_files_are_whole,
        _listed_files_are_here,
        _tokenizer_is_here,
        _encoder_files_are_here,
        _loader_files_are_whole,
    ),
    Framework.PYTORCH: (
        *_FIRST,
        _config_is_an_object,
        _weights_are_here,
        _weight_files_are_whole,
        _listed_files_are_here,
        _encoder_files_are_here,
        _loader_files_are_whole,
    ),
    Framework.GGUF: (*_FIRST, _weights_are_here, _weight_files_are_whole, _loader_files_are_whole),
    Framework.UNKNOWN: (
        *_FIRST,
        _config_is_an_object,
        _listed_files_are_here,
        _weights_are_here,
        _loader_files_are_whole,
    ),
}
