"""Train the demo model and write it to src/mlxk2/assets/demo: python tools/train_demo_model/train.py."""

from __future__ import annotations

import argparse
import random
import sys
import time
from pathlib import Path

from blas import keep_memory, use_fast_blas

use_fast_blas()
keep_memory()

import mlx.core as mx  # noqa: E402
from card import FROM_NOTHING, ONWARD, write_card  # noqa: E402
from chats import Chat, Chats  # noqa: E402
from data import all_wordings  # noqa: E402
from evaluate import DEMO, evaluate  # noqa: E402
from heldout import PASS, Guard, load_items  # noqa: E402
from model import CONFIG, ONWARD_RATE, PEAK_RATE, build, count, fit, load_weights, save  # noqa: E402
from render import TEMPLATE, Renderer  # noqa: E402
from tokenizer import END, END_OF_TEXT, save_tokenizer, train_tokenizer  # noqa: E402
from tokenizers import Tokenizer  # noqa: E402

HELD_OUT_CITIES = ["Lisbon", "Nairobi", "Quito"]


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--epochs", type=int, default=4, help="each epoch draws new chats")
    parser.add_argument("--chats", type=int, default=18000, help="chats per epoch")
    parser.add_argument("--names", type=int, default=15000, help="lists of names to copy before the first chat")
    parser.add_argument("--output", type=Path, default=DEMO)
    parser.add_argument("--onward", type=Path, metavar="MODEL", help="go on from a trained model, with its vocabulary")
    return parser.parse_args()


def check_all_wordings(guard: Guard) -> int:
    """Check every wording the data can expand to; return their number."""
    number = 0
    for text in all_wordings(HELD_OUT_CITIES):
        guard.check(text)
        number += 1
    return number


def draw_chats(seed: int, number: int, guard: Guard) -> list[Chat]:
    """Draw training chats and check each question in them."""
    chats = Chats(random.Random(seed))
    drawn = [chats.draw() for _ in range(number)]
    for chat in drawn:
        for question in chat.questions:
            guard.check(question)
    return drawn


def make_tokenizer(chats: list[Chat]) -> Tokenizer:
    """Train the tokenizer on rendered chats (rendering needs no vocabulary)."""
    renderer = Renderer(Tokenizer.from_str(train_tokenizer(["a"]).to_str()))
    return train_tokenizer([renderer.whole(chat) for chat in chats])


def main() -> int:
    """Train, store, evaluate."""
    args = options()
    started = time.monotonic()
    guard = Guard(load_items())
    print(f"{check_all_wordings(guard)} wordings, none of them held out", flush=True)
    epochs = [draw_chats(args.seed * 1000 + epoch, args.chats, guard) for epoch in range(args.epochs)]
    tokenizer = Tokenizer.from_file(str(args.onward / "tokenizer.json")) if args.onward else make_tokenizer(epochs[0])
    renderer = Renderer(tokenizer)
    names = Chats(random.Random(args.seed))
    samples = [[renderer.continuation(*names.names()) for _ in range(0 if args.onward else args.names)]]
    samples += [[renderer.sample(chat) for chat in chats] for chats in epochs]
    end, pad = tokenizer.token_to_id(END), tokenizer.token_to_id(END_OF_TEXT)
    config = {**CONFIG, "vocab_size": tokenizer.get_vocab_size(), "eos_token_id": [end, pad], "pad_token_id": pad}
    mx.random.seed(args.seed)
    model = build(config)
    if args.onward:
        load_weights(model, args.onward)
    tokens = sum(len(sample.ids) for epoch in samples for sample in epoch)
    print(f"{count(model)} parameters, {tokens} tokens, {time.monotonic() - started:.0f} s to prepare", flush=True)
    fit(model, samples, random.Random(args.seed), ONWARD_RATE if args.onward else PEAK_RATE)
    args.output.mkdir(parents=True, exist_ok=True)
    save(model, config, args.output)
    save_tokenizer(tokenizer, TEMPLATE.read_text(encoding="utf-8"), args.output)
    right = evaluate(args.output)
    trained = (ONWARD if args.onward else FROM_NOTHING).format(chats=args.epochs * args.chats)
    write_card(args.output, count(model), trained, right)
    print(f"{time.monotonic() - started:.0f} s in all")
    return 0 if right >= PASS else 1


if __name__ == "__main__":
    sys.exit(main())
