"""One commit to the Hub, and what huggingface_hub says while it works."""

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from json import JSONDecodeError

from huggingface_hub import CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError
from huggingface_hub.utils import disable_progress_bars, enable_progress_bars

from mlxk2.ports.errors import ValidationError
from mlxk2.ports.hub import Commit, Committed, Notice
from mlxk2.ports.redaction import without_secrets

_LONGEST = 500
_READ_AS_TEXT = ("README.md", ".gitignore")


class _Addition(CommitOperationAdd):
    """A file that goes along whatever a `.gitignore` in the repo says: the plan has decided that already."""

    @property
    def _should_ignore(self) -> bool:
        return False

    @_should_ignore.setter
    def _should_ignore(self, value: bool | None) -> None:
        pass


def upload(api: HfApi, commit: Commit) -> Committed:
    """The operations are made anew for every try, because huggingface_hub writes into them."""
    try:
        operations: list[CommitOperationAdd | CommitOperationDelete] = [
            _Addition(path_in_repo=file.path, path_or_fileobj=file.location) for file in commit.uploads
        ]
        operations += [CommitOperationDelete(path_in_repo=path, is_folder=False) for path in commit.deletions]
        made = api.create_commit(
            commit.name,
            operations,
            commit_message=commit.message,
            revision=commit.branch,
            parent_commit=commit.parent,
        )
    except JSONDecodeError as error:
        raise ConnectionError("an answer of the Hub could not be read") from error
    except UnicodeDecodeError as error:  # of the files that huggingface_hub reads as text
        named = " or ".join(file.path for file in commit.uploads if file.path in _READ_AS_TEXT)
        raise ValidationError(f"{named} is not valid UTF-8 text, as the Hub needs it; nothing was committed") from error
    except ValueError as error:
        if isinstance(error, HfHubHTTPError):
            raise
        why = without_secrets(" ".join(str(error).split()))[:_LONGEST]
        raise ValidationError(f"The Hub would not take these files, nothing was committed: {why}") from error
    return Committed(made.oid, made.commit_url)


class _Ear(logging.Handler):
    def __init__(self, notice: Notice) -> None:
        super().__init__(logging.WARNING)
        self._notice = notice

    def emit(self, record: logging.LogRecord) -> None:
        self._notice(without_secrets(record.getMessage()))


@contextmanager
def heard(notice: Notice, *, bars: bool) -> Iterator[None]:
    """Hand huggingface_hub's warnings to whoever wants them, and let it draw bars or not."""
    logger = logging.getLogger("huggingface_hub")
    others, ear = logger.handlers[:], _Ear(notice)
    (enable_progress_bars if bars else disable_progress_bars)()
    logger.handlers = [ear]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("always", UserWarning)
            warnings.showwarning = lambda message, *_, **__: notice(without_secrets(str(message)))
            yield
    finally:
        logger.handlers = others
