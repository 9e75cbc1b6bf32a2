"""What `run` asks: the prompt from arguments, standard input and files, and how the answer is to be made."""

import sys
from argparse import Namespace

from mlxk2.domain.sampling import SamplingChoice
from mlxk2.domain.usecases.run_model import RunOptions
from mlxk2.entrypoints.cli.output import Output
from mlxk2.ports.errors import UsageError, ValidationError
from mlxk2.ports.generation import Structure

_STANDARD_INPUT = "-"


def is_chat(args: Namespace, out: Output) -> bool:
    """Whether there is nothing to ask yet, and a person who can be asked for it.

    Raises UsageError for what a chat needs, or has no use for.
    """
    has_prompt = bool(args.words) or args.prompt_option is not None
    by_hand = sys.stdin.isatty() and out.on_terminal and not out.json and not out.jsonl
    if args.resume is not None and (has_prompt or not by_hand):
        raise UsageError(
            "--continue goes on with a chat: it needs a terminal, and a prompt, --json and --jsonl have no place there"
        )
    if args.model is None and args.resume is None:
        raise UsageError(
            "no model: write its name (mlxk2 run <model>), or go on with the last chat: mlxk2 run --continue"
        )
    if has_prompt or not by_hand:
        return False
    for name in ("no_stream", "no_chat_template"):
        if getattr(args, name):
            flag = name.replace("_", "-")
            raise UsageError(
                f"--{flag} is for an answer to one prompt: write it after the model, or leave the option out"
            )
    return True


def asked(args: Namespace) -> RunOptions:
    """Reads standard input and files. Raises UsageError, ValidationError, AccessProblem."""
    structure = _structure(args)
    return RunOptions(
        prompt=_prompt(args),
        system=args.system,
        max_tokens=args.max_tokens,
        sampling=sampling_of(args),
        stops=tuple(args.stop),
        use_chat_template=not args.no_chat_template,
        thinking=args.thinking,
        trust_remote_code=args.trust_remote_code,
        force_load=args.force_load,
        local=args.local,
        structure=structure,
    )


def sampling_of(args: Namespace) -> SamplingChoice:
    """What the command line says of sampling."""
    return SamplingChoice(
        temperature=args.temperature,
        top_p=args.top_p,
        top_k=args.top_k,
        min_p=args.min_p,
        repetition_penalty=args.repetition_penalty,
        seed=args.seed,
    )


def _prompt(args: Namespace) -> str:
    question, reads_input = _words(args)
    text = _piped(question) if reads_input else question or ""
    if not text.strip():
        raise ValidationError('The prompt is empty; write it after the model: mlxk2 run <model> "your question"')
    if _STANDARD_INPUT in args.attach:
        raise UsageError("--attach takes files; to put standard input before the question, write - in front of it")
    if not args.attach:
        return text
    from mlxk2.entrypoints.cli.files import attached

    return attached(text, args.attach)


def _words(args: Namespace) -> tuple[str | None, bool]:
    """The question, if one is written, and whether standard input is read."""
    option = [] if args.prompt_option is None else [args.prompt_option]
    words = [*args.words, *option]
    questions = [word for word in words if word != _STANDARD_INPUT]
    if len(questions) > 1 and questions[-1:] == option:
        raise UsageError("the prompt was given twice: as an argument and with -p/--prompt; give it once")
    if len(questions) > 1:
        raise UsageError(f"unrecognized arguments: {' '.join(questions[1:])}; put a prompt of several words in quotes")
    if len(words) - len(questions) > 1:
        raise UsageError("standard input was named twice; it can be read once")
    if not words and sys.stdin.isatty():
        raise UsageError('no prompt: write it after the model (mlxk2 run <model> "your question"), or pipe it in')
    return (questions[0] if questions else None), len(questions) == 0 or len(words) > len(questions)


def _piped(question: str | None) -> str:
    from mlxk2.domain.attachments import after_input
    from mlxk2.entrypoints.cli.files import standard_input

    text = standard_input()
    if question is None:
        return text
    if not text.strip():
        raise ValidationError("Standard input is empty: nothing came through the pipe; leave - out to ask without it")
    return after_input(text, question)


def _structure(args: Namespace) -> Structure | None:
    if args.schema == _STANDARD_INPUT:
        raise UsageError("--schema takes a file; standard input is for the prompt")
    if args.schema is None:
        return None
    from mlxk2.entrypoints.cli.files import schema_file

    return schema_file(args.schema)
