"""What Tab completes in a chat: commands, and what may follow them."""

import contextlib
from collections.abc import Callable, Iterable, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from mlxk2.ports.errors import Mlxk2Error

_WITH_FILES = "/attach"

Words = Mapping[str, Callable[[], Iterable[str]]]


class ChatCompleter(Completer):
    """`commands` are names with summaries, without the slash; `words` are what may follow a command, by its name."""

    def __init__(self, commands: Mapping[str, str], words: Words) -> None:
        self._commands = {f"/{name}": summary for name, summary in commands.items()}
        self._words = {f"/{name}": following for name, following in words.items()}
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        text = document.text_before_cursor
        if not text.startswith("/"):
            return
        command, space, rest = text.partition(" ")
        if not space:
            for name, summary in sorted(self._commands.items()):
                if name.startswith(command):
                    yield Completion(name, -len(command), display_meta=summary)
        elif command == _WITH_FILES:
            yield from self._paths.get_completions(Document(rest), complete_event)
        elif command in self._words and " " not in rest:
            with contextlib.suppress(Mlxk2Error):  # the folder of kept conversations cannot be read: nothing to offer
                yield from (Completion(word, -len(rest)) for word in self._words[command]() if word.startswith(rest))
