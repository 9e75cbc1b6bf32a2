"""`push`: make a repo on the Hub hold what a folder holds, in one commit with only the changes.

Everything is decided before anything is sent: which files go, that none of them holds a secret, that the repo is as
private as the user said, and what a commit would change.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from mlxk2.domain.classify import classify
from mlxk2.domain.contents import READER
from mlxk2.domain.health import Health, judge
from mlxk2.domain.ignore import IGNORE_FILE, IgnoreRules, Reason
from mlxk2.domain.lookup import look_up
from mlxk2.domain.names import MAIN, check_revision, hub_name
from mlxk2.domain.secrets import secret_in
from mlxk2.domain.snapshot import Snapshot
from mlxk2.domain.subject import Subject
from mlxk2.ports.blobs import BlobHash
from mlxk2.ports.cache import ModelCache, RepoFacts, SnapshotFacts
from mlxk2.ports.errors import Conflict, Mlxk2Error, NotOnHub, OperationError, ValidationError
from mlxk2.ports.hub import Commit, Committed, Hub, HubModel, Notice
from mlxk2.ports.sources import SourceFile
from mlxk2.ports.workspace import LocalFile, Workspace

_LOOK = {True: "looks like a secret. Take it out", False: "look like secrets. Take them out"}
_KEPT_ON_THE_HUB = (".gitattributes",)
"""Written by the Hub itself; a folder without it does not mean that it should go."""


@dataclass(frozen=True, slots=True)
class PushOptions:
    """`private` is what the user said of the repo; `create` also makes what is missing, `delete` removes the rest."""

    private: bool
    branch: str = MAIN
    message: str | None = None
    create: bool = False
    delete: bool = False


@dataclass(frozen=True, slots=True)
class FolderCheck:
    """The folder by itself: `files` go along, `at_home` do not (a path that ends in '/' is a whole folder).

    `odd` cannot go along, and `outside` are links to files elsewhere, which are left out.
    """

    name: str
    files: tuple[LocalFile, ...]
    at_home: Mapping[str, Reason]
    odd: tuple[str, ...]
    outside: tuple[str, ...]
    health: Health

    def holds(self, path: str) -> bool:
        """Whether the folder has something of this name that does not go along, which is no reason to delete it."""
        left = (*self.at_home, *self.odd, *self.outside)
        return any(path == name or path.startswith(f"{name.removesuffix('/')}/") for name in left)

    @property
    def secrets_at_home(self) -> tuple[str, ...]:
        return tuple(sorted(path for path, reason in self.at_home.items() if reason is Reason.SECRET))


@dataclass(frozen=True, slots=True)
class PushPlan:
    """What one commit would change. `repo` is the branch as it is, None when it has to be made first."""

    check: FolderCheck
    options: PushOptions
    repo: HubModel | None
    missing: Literal["repo", "branch"] | None
    added: tuple[LocalFile, ...]
    modified: tuple[LocalFile, ...]
    deleted: tuple[str, ...]

    @property
    def is_empty(self) -> bool:
        return not (self.added or self.modified or self.deleted)

    @property
    def uploads(self) -> tuple[LocalFile, ...]:
        return tuple(sorted(self.added + self.modified))


@dataclass(frozen=True, slots=True)
class PushResult:
    """`committed` is None when there was nothing to change."""

    plan: PushPlan
    committed: Committed | None
    created_repo: bool = False
    created_branch: bool = False


@dataclass
class PushModel:
    workspace: Workspace
    hub: Hub
    cache: ModelCache
    _hashes: dict[tuple[str, bool], str] = field(default_factory=dict)

    def page(self, name: str) -> str:
        """The repo's address, for people."""
        return self.hub.page(name)

    def check(self, folder: str, name: str) -> FolderCheck:
        """No network. Raises ValidationError when the folder is none, is empty, or holds a secret."""
        if "/" not in name:
            raise ValidationError(f"'{name}' does not say whose repo it is: write org/model")
        full_name = hub_name(name)
        rules = IgnoreRules.of(self.workspace.text(folder, IGNORE_FILE))
        at_home: dict[str, Reason] = {}

        def enter(path: str, names: frozenset[str]) -> bool:
            reason = rules.reason_of_folder(path, names)
            if reason:
                at_home[path] = reason
            return reason is None

        listing = self.workspace.listing(folder, enter)
        for file in listing.files:
            target = listing.targets.get(file.path)
            if reason := rules.reason(file.path) or (rules.reason(target) if target else None):
                at_home[file.path] = reason
        files = tuple(file for file in listing.files if file.path not in at_home)
        if not files:
            outside = f", or links out of it ({listing.outside[0]})" if listing.outside else ""
            raise ValidationError(f"{folder} has no files to upload: all of it stays at home{outside}, or it is empty")
        for file in files:
            _check_path(file.path)
        self._check_secrets(files)
        return FolderCheck(full_name, files, at_home, listing.odd, listing.outside, self._health(full_name, files))

    def plan(self, check: FolderCheck, options: PushOptions, notice: Notice) -> PushPlan:
        """What a push would change; sends nothing. Raises OperationError when the repo is more public than was said."""
        check_revision(options.branch, f"--branch {options.branch}")
        repo, missing = self._repo(check.name, options, notice)
        if repo and options.private and not repo.private:
            raise OperationError(
                f"'{check.name}' is a public repo, and --private was asked for; nothing was sent. Make it private at"
                f" {self.hub.page(check.name)}/settings, or push with --public if everybody may read it"
            )
        there = {file.path: file for file in repo.files} if repo else {}
        added = tuple(file for file in check.files if file.path not in there)
        modified = tuple(file for file in check.files if file.path in there and self._differs(file, there[file.path]))
        gone = there.keys() - {file.path for file in check.files} - set(_KEPT_ON_THE_HUB) if options.delete else ()
        deleted = tuple(sorted(path for path in gone if not check.holds(path)))
        return PushPlan(check, options, repo, missing, added, modified, deleted)

    def execute(self, plan: PushPlan, notice: Notice, *, bars: bool = False) -> PushResult:
        """Upload and commit. Raises Conflict when somebody else changed the branch meanwhile."""
        try:
            return self._execute(plan, notice, bars=bars)
        except Mlxk2Error as error:
            if plan.missing == "repo" and self._exists(plan.check.name, notice):
                error.message += f". The repo {plan.check.name} is there by now"
            raise

    def _exists(self, name: str, notice: Notice) -> bool:
        try:
            return bool(self.hub.model(name, MAIN, notice))
        except Mlxk2Error:
            return False

    def _execute(self, plan: PushPlan, notice: Notice, *, bars: bool) -> PushResult:
        created = plan.missing == "repo", plan.missing is not None and plan.options.branch != MAIN
        if plan.missing:
            plan = self._create(plan, notice)
        if plan.is_empty:
            return PushResult(plan, None, *created)
        message = plan.options.message or f"Upload {plan.check.name.partition('/')[2]} with mlxk2"
        parent = plan.repo.commit if plan.repo else None
        commit = Commit(plan.check.name, plan.options.branch, message, parent, plan.uploads, plan.deleted)
        try:
            return PushResult(plan, self.hub.commit(commit, notice, bars=bars), *created)
        except Conflict:
            again = self.plan(plan.check, plan.options, notice)
            if again.repo is None or not again.is_empty:
                raise
            # an answer that was lost on its way: the commit is there
            page = f"{self.hub.page(plan.check.name)}/commit/{again.repo.commit}"
            return PushResult(plan, Committed(again.repo.commit, page), *created)

    def _create(self, plan: PushPlan, notice: Notice) -> PushPlan:
        """Make the repo or the branch, and plan again on what is there then."""
        name, options = plan.check.name, plan.options
        if plan.missing == "repo":
            self.hub.create_repo(name, private=options.private, notice=notice)
        if options.branch != MAIN:
            self.hub.create_branch(name, options.branch, notice)
        return self.plan(plan.check, options, notice)

    def _repo(
        self, name: str, options: PushOptions, notice: Notice
    ) -> tuple[HubModel | None, Literal["repo", "branch"] | None]:
        try:
            return look_up(self.hub, self.cache, name, options.branch, notice), None
        except NotOnHub as error:
            missing: Literal["repo", "branch"] = "repo" if error.missing == "repo" else "branch"
            if not options.create:
                what = f"a repo '{name}'" if missing == "repo" else f"a branch '{options.branch}' in '{name}'"
                error.message = (
                    f"The Hub has no {what.removeprefix('a ')} that you can see; make it with --create, or check the"
                    " spelling and your login (hf auth login)"
                )
                raise
        if missing == "branch":  # a branch is made from main, and so is as private as the repo
            return self.hub.model(name, MAIN, notice), missing
        return None, missing

    def _differs(self, file: LocalFile, there: SourceFile) -> bool:
        return file.size != there.size or self._hash(file, lfs=there.is_lfs) != there.etag

    def _hash(self, file: LocalFile, *, lfs: bool) -> str:
        key = file.path, lfs
        if key not in self._hashes:
            digest = BlobHash(file.size, lfs=lfs)
            for piece in self.workspace.pieces(file):
                digest.update(piece)
            self._hashes[key] = digest.name()
        return self._hashes[key]

    def _check_secrets(self, files: tuple[LocalFile, ...]) -> None:
        found = {file.path: kind for file in files if (kind := secret_in(self.workspace.pieces(file)))}
        if found:
            named = ", ".join(f"{path} ({kind})" for path, kind in sorted(found.items()))
            raise ValidationError(
                f"Nothing was sent: {named} {_LOOK[len(found) == 1]}, or keep the file at home with a line in"
                f" {IGNORE_FILE}; revoke what was ever shared"
            )

    def _health(self, name: str, files: tuple[LocalFile, ...]) -> Health:
        """What `health` would say of these files as a snapshot."""
        facts = SnapshotFacts("", self.workspace.facts(files, READER))
        subject = Subject(name, Snapshot(RepoFacts("", {}, (), {}), facts))
        return judge(subject, classify(subject))


def _check_path(path: str) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValidationError(
            f"The name of {path!r} is not valid UTF-8, which the Hub needs; rename the file"
        ) from error
