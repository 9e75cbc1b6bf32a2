"""Conversations to token ids: the short way gives what transformers' own gives, and is left where it would not."""

import copy
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mlx_lm.tokenizer_utils import TokenizerWrapper, load
from transformers import PreTrainedTokenizerFast

from mlxk2.adapters.mlx.rendering import plain_encoder, render
from mlxk2.ports.conversation import Message, RenderOptions

DEMO = Path(str(files("mlxk2") / "assets" / "demo"))
TOKENIZER = load(DEMO)
TEXTS = st.lists(
    st.one_of(st.text(max_size=20), st.sampled_from(["<|im_start|>", "<|im_end|>", "<think>", " ", "\n", "é", "👩‍🚀"])),
    max_size=6,
).map("".join)


@given(system=TEXTS, question=TEXTS, thinking=st.sampled_from([None, True, False]))
def test_the_tokens_are_those_of_transformers(system: str, question: str, thinking: bool | None) -> None:
    turns = [{"role": "system", "content": system}, {"role": "user", "content": question}]
    chosen = {} if thinking is None else {"enable_thinking": thinking}
    expected = TOKENIZER._tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False, **chosen)
    assert plain_encoder(TOKENIZER._tokenizer) is not None
    assert rendered(TOKENIZER, system, question, thinking) == expected


def rendered(tokenizer: Any, system: str, question: str, thinking: bool | None = None) -> list[int]:
    messages = [Message("system", system), Message("user", question)]
    return list(render(tokenizer, messages, [], RenderOptions(thinking=thinking), with_borders=False).tokens)


class Reversing(PreTrainedTokenizerFast):
    def _encode_plus(self, text: Any, *args: Any, **options: Any) -> Any:
        return super()._encode_plus(text[::-1], *args, **options)


class Shouting(PreTrainedTokenizerFast):
    def apply_chat_template(self, *args: Any, **options: Any) -> Any:
        if not options.get("tokenize", True):
            return super().apply_chat_template(*args, **options)
        return self.encode(str(super().apply_chat_template(*args, **{**options, "tokenize": False})).upper())


@pytest.mark.parametrize("kind", [Reversing, Shouting])
def test_a_tokenizer_with_ways_of_its_own_keeps_them(kind: type[PreTrainedTokenizerFast]) -> None:
    tokenizer = kind.from_pretrained(DEMO)
    assert plain_encoder(tokenizer) is None
    usual = rendered(TOKENIZER, "Be brief.", "list")
    assert rendered(TokenizerWrapper(tokenizer), "Be brief.", "list") != usual


@pytest.mark.parametrize("setting", ["truncation", "padding", "special tokens"])
def test_settings_for_other_texts_do_not_reach_prompts(setting: str) -> None:
    tokenizer = copy.deepcopy(TOKENIZER._tokenizer)
    backend = tokenizer.backend_tokenizer
    if setting == "truncation":
        backend.enable_truncation(max_length=3)
    elif setting == "padding":
        backend.enable_padding(length=500)
    else:
        backend.encode_special_tokens = True
    assert plain_encoder(tokenizer) is None
    assert rendered(TokenizerWrapper(tokenizer), "Be brief.", "list") == rendered(TOKENIZER, "Be brief.", "list")
