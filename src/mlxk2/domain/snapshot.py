"""One snapshot as the rules of health and classification look at it."""

from collections.abc import Mapping
from functools import cached_property

from mlxk2.domain.contents import NO_JSON
from mlxk2.ports.cache import FileFact, LinkState, ListedFile, RepoFacts, SnapshotFacts
from mlxk2.ports.contents import Broken, Json, JsonValue, LargeJson, ModelCard

JsonObject = Mapping[str, JsonValue]


class Snapshot:
    """`files` and `listing` by path; `model_type` and `architectures` as config.json has them, `card` of README.md."""

    def __init__(self, repo: RepoFacts, facts: SnapshotFacts) -> None:
        self.repo = repo
        self.commit = facts.commit
        self.files: dict[str, FileFact] = {file.path: file for file in facts.files}
        self.listing: dict[str, ListedFile] | None = (
            None if facts.listing is None else {row.path: row for row in facts.listing}
        )
        self.elsewhere = facts.elsewhere
        self.config: JsonObject = self.json_object("config.json")
        model_type = self.config.get("model_type")
        self.model_type = model_type if isinstance(model_type, str) else ""
        self.architectures = _names(self.config.get("architectures"))
        card = self.files["README.md"].content if self.has("README.md") else None
        self.card = card if isinstance(card, ModelCard) else ModelCard()

    def has(self, path: str) -> bool:
        """The file is there and its bytes can be reached."""
        file = self.files.get(path)
        return file is not None and file.state is LinkState.FILE

    def expects(self, path: str) -> bool:
        """The file is, or by the commit's listing should be, there."""
        return path in self.files or (self.listing is not None and path in self.listing)

    def json(self, path: str) -> JsonValue | Broken | LargeJson:
        """What was kept of the document; None when the file is not there."""
        if not self.has(path):
            return None
        content = self.files[path].content
        if isinstance(content, Json):
            return content.value
        return content if isinstance(content, (Broken, LargeJson)) else NO_JSON

    def json_object(self, path: str) -> JsonObject:
        """The document when it is a JSON object that could be parsed, else an empty one."""
        value = self.json(path)
        return value if isinstance(value, dict) else {}

    @cached_property
    def top_level(self) -> tuple[str, ...]:
        """Names of the files that are, or by the commit's listing should be, in the snapshot's first level."""
        names = self.files.keys() | self.listing.keys() if self.listing else self.files.keys()
        return tuple(sorted(name for name in names if "/" not in name))

    @cached_property
    def has_chat_template(self) -> bool:
        """A template for conversations, in any of the three places where tokenizers keep one."""
        if self.has("chat_template.jinja") or self.json_object("chat_template.json").get("chat_template"):
            return True
        config = self.json("tokenizer_config.json")
        if isinstance(config, LargeJson):
            return config.has_template
        return isinstance(config, dict) and bool(config.get("chat_template"))

    @property
    def size(self) -> int:
        """Bytes on disk; a blob that several names share counts once."""
        blobs = {file.blob: file.size for file in self.files.values() if file.blob}
        return sum(blobs.values()) + sum(file.size for file in self.files.values() if not file.blob)


def _names(value: JsonValue) -> tuple[str, ...]:
    """The strings of a list; a single one counts as a list of one."""
    values = [value] if isinstance(value, str) else value if isinstance(value, list) else []
    return tuple(item for item in values if isinstance(item, str))
