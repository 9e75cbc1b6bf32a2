"""What Tab completes in a chat: commands, and the names of files after /attach and /edit."""

from collections.abc import Iterable, Mapping

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

_FILE_COMMANDS = frozenset({"/attach"})


class ChatCompleter(Completer):
    def __init__(self, commands: Mapping[str, str]) -> None:
        self._commands = {f"/{name.removeprefix('/')}": summary for name, summary in commands.items()}
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
        elif command in _FILE_COMMANDS:
            yield from self._paths.get_completions(Document(rest), complete_event)
