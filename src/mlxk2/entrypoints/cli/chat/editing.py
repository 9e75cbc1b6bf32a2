"""Typing a question with prompt_toolkit: several lines, pasted text in one piece, history, completion."""

import contextlib
from collections.abc import Callable, Iterable, Mapping

from prompt_toolkit import PromptSession
from prompt_toolkit.data_structures import Size
from prompt_toolkit.formatted_text import FormattedText
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input import create_input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout.processors import TabsProcessor
from prompt_toolkit.output.color_depth import ColorDepth
from prompt_toolkit.output.vt100 import Vt100_Output
from prompt_toolkit.shortcuts import CompleteStyle
from prompt_toolkit.styles import Style

from mlxk2.entrypoints.cli.chat.completion import ChatCompleter, Words
from mlxk2.entrypoints.cli.chat.display.terminal import Terminal
from mlxk2.entrypoints.cli.chat.opening import Opening
from mlxk2.entrypoints.cli.chat.prompts import CONTINUED, PROMPT, is_open

_HINTS = ("Ask something  (/help for help)", "/help for help")
"""In an empty line, the first that fits."""
_SHORT = ("Loading the model", "Loading")
_STYLE = Style.from_dict({"placeholder": "ansibrightblack", "prompt": "bold"})


class _KeptHistory(FileHistory):
    """What cannot be read or written is no reason to end a chat."""

    def load_history_strings(self) -> Iterable[str]:
        try:
            return list(super().load_history_strings())
        except OSError:
            return []

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError):
            super().store_string(string)


class EditedPrompt:
    """`history` is the file's path, None for none. `on_reasoning` is called for Ctrl-T, above the prompt."""

    def __init__(
        self,
        terminal: Terminal,
        opening: Opening,
        *,
        history: str | None,
        commands: Mapping[str, str],
        words: Words,
        on_reasoning: Callable[[], None],
    ) -> None:
        self._opening = opening
        self._session: PromptSession[str] = PromptSession(
            history=_history(history),
            multiline=True,
            completer=ChatCompleter(commands, words),
            complete_while_typing=False,
            complete_style=CompleteStyle.READLINE_LIKE,
            reserve_space_for_menu=0,
            key_bindings=_keys(on_reasoning),
            prompt_continuation=_continuation,
            placeholder=self._placeholder,
            input_processors=[TabsProcessor(tabstop=4, char1=" ", char2=" ")],
            enable_suspend=True,
            enable_open_in_editor=True,
            style=_STYLE,
            input=create_input(always_prefer_tty=True),
            output=_output(terminal),
        )
        self._line: PromptSession[str] = PromptSession(input=self._session.input, output=self._session.output)
        opening.changed = self._on_change

    def read(self, default: str = "") -> str:
        """As `Prompt.read`, but Ctrl-C on a line that holds something begins a new one.

        Raises also what opening the model raised, as soon as it did.
        """
        app = self._session.app
        app.erase_when_done = False
        app.after_render += self._on_first_render
        while True:
            try:
                return self._session.prompt(PROMPT, default=default, pre_run=self._leave_when_failed)
            except KeyboardInterrupt:
                if not self._session.default_buffer.text:
                    raise
            default = ""

    def read_line(self, question: str) -> str:
        return self._line.prompt(question)

    def _on_first_render(self, _: object) -> None:
        """Only now: the thread that loads would keep the prompt from being shown."""
        self._session.app.after_render -= self._on_first_render
        self._opening.start()

    def _placeholder(self) -> FormattedText:
        if self._session.app.is_done or self._session.layout.is_searching:
            return FormattedText()
        room = self._session.output.get_size().columns - len(PROMPT) - 1
        texts: tuple[str, ...] = _HINTS
        if not self._opening.done:
            stage = f" ({self._opening.stage})" if self._opening.stage else ""
            texts = (f"Loading the model{stage}; you can type already", f"Loading the model{stage}", *_SHORT)
        fitting = next((text for text in texts if len(text) <= room), "")
        return FormattedText([("class:placeholder", fitting)])

    def _on_change(self) -> None:
        loop = self._session.app.loop
        if loop is not None:
            with contextlib.suppress(RuntimeError):  # the prompt ended in this very moment
                loop.call_soon_threadsafe(self._redraw)

    def _redraw(self) -> None:
        self._leave_when_failed()
        self._session.app.invalidate()

    def _leave_when_failed(self) -> None:
        app = self._session.app
        if self._opening.failed and app.is_running and not app.is_done:
            app.erase_when_done = True
            try:
                self._opening.chat()
            except BaseException as error:  # noqa: BLE001 - it is raised where the prompt was asked for
                app.exit(exception=error)


def _output(terminal: Terminal) -> Vt100_Output:
    """Not asked where the cursor stands: the prompt then takes the rows that it needs, and not all below it.

    Whoever makes the window smaller would else see the conversation pushed out of it.
    """

    def size() -> Size:
        found = terminal.size()
        return Size(rows=found.lines, columns=found.columns)

    depth = ColorDepth.DEPTH_4_BIT if terminal.colour else ColorDepth.MONOCHROME
    return Vt100_Output(terminal.file, size, default_color_depth=depth, enable_cpr=False)


def _continuation(_width: int, _line: int, wrapped: int) -> str:
    """Before a further line, and before what did not fit into one."""
    return " " * len(CONTINUED) if wrapped else CONTINUED


def _history(path: str | None) -> History:
    return InMemoryHistory() if path is None else _KeptHistory(path)


def _keys(on_reasoning: Callable[[], None]) -> KeyBindings:
    keys = KeyBindings()

    @keys.add("enter")
    def _(event: KeyPressEvent) -> None:
        if is_open(event.current_buffer.text):
            event.current_buffer.newline(copy_margin=False)
        else:
            event.current_buffer.validate_and_handle()

    @keys.add("escape", "enter")
    def _(event: KeyPressEvent) -> None:
        event.current_buffer.newline(copy_margin=False)

    @keys.add("c-t")
    async def _(_: KeyPressEvent) -> None:
        from prompt_toolkit.application import run_in_terminal

        await run_in_terminal(on_reasoning)

    return keys
