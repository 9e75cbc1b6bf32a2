"""From the command line to a running chat."""

import gc
import os
from argparse import Namespace
from collections.abc import Callable
from typing import TYPE_CHECKING

from mlxk2.domain.chat_settings import changed, without, written
from mlxk2.domain.usecases.chat_model import ChatOptions, ChatSettings
from mlxk2.domain.usecases.open_model import OpenOptions
from mlxk2.entrypoints.cli.asking import sampling_of
from mlxk2.entrypoints.cli.chat.commands import COMMANDS, run_command
from mlxk2.entrypoints.cli.chat.editor import edit
from mlxk2.entrypoints.cli.chat.front import Front, Manner, Skills
from mlxk2.entrypoints.cli.chat.opening import Opening
from mlxk2.entrypoints.cli.chat.resuming import resume
from mlxk2.entrypoints.cli.chat.session import Session
from mlxk2.entrypoints.cli.chat.setting import MAY_BE
from mlxk2.entrypoints.cli.files import attached, schema_file, text_file

if TYPE_CHECKING:
    from mlxk2.entrypoints.cli.context import Services
    from mlxk2.entrypoints.cli.output import Output
    from mlxk2.ports.sessions import Conversation


def converse(args: Namespace, services: "Callable[[], Services]", out: "Output") -> int:
    """As `chat.converse`."""
    gc.enable()  # the program starts without; a chat is long
    for path in args.attach:
        text_file(path)  # what is wrong with it is said now, and not with the first question
    store = services().sessions()
    before = resume(store, args.resume) if args.resume is not None else None
    chat_model = services().chat_model()
    options = _options(args)
    words = {"set": lambda: MAY_BE, "load": store.titles, "save": store.titles, "help": lambda: COMMANDS}
    reference = args.model or (before.model if before else "")
    opening = Opening(lambda watch: chat_model.open(reference, options, watch))
    front = Front(
        out.destination,
        args.environ,
        store,
        Skills(COMMANDS, run_command, lambda text: edit(text, args.environ), attached, words),
        Manner(args.plain, not args.hide_reasoning, args.verbose, tuple(args.attach)),
        before=before,
        begin=lambda session: _restore(session, before, options),
    )
    try:
        front.hold(opening)
    except BaseException:
        if opening.give_up():
            opening.close()
        raise
    _leave(opening, out)
    return 0


def _options(args: Namespace) -> ChatOptions:
    structure = schema_file(args.schema) if args.schema is not None else None
    settings = ChatSettings(sampling_of(args), args.max_tokens, tuple(args.stop), args.thinking, structure)
    return ChatOptions(
        args.system,
        settings,
        OpenOptions(
            args.local, args.trust_remote_code, args.force_load, least_tokens=args.max_tokens, prefix_cache=True
        ),
    )


def _restore(session: Session, before: "Conversation | None", options: ChatOptions) -> None:
    """The conversation of before; what the command line says counts more than what was set then."""
    if before is None:
        return
    chat = session.chat
    chat.restore(before)
    if options.system is not None:
        chat.system = options.system
    if options.settings.stops:
        chat.settings = without(chat.settings, "stop")  # else they would add up
    for name, value in written(options.settings):
        chat.settings = changed(chat.settings, name, value)


def _leave(opening: Opening, out: "Output") -> None:
    """The user has left. Nobody waits for a model that is still being loaded: the process ends at once."""
    if opening.give_up():
        opening.close()
        return
    out.flush()
    os._exit(0)
