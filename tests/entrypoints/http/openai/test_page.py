"""The page about OpenAI's API names every field that can be sent."""

import re
from pathlib import Path

import pytest

from mlxk2.entrypoints.http.openai.chat.wire import CreateChatCompletion
from mlxk2.entrypoints.http.openai.completions.wire import CreateCompletion
from mlxk2.entrypoints.http.openai.tokens import Detokenize, Tokenize

PAGE = (Path(__file__).parents[4] / "docs" / "server-openai.md").read_text(encoding="utf-8")
FIELDS = {
    field for body in (CreateChatCompletion, CreateCompletion, Tokenize, Detokenize) for field in body.__struct_fields__
}


@pytest.mark.parametrize("field", sorted(FIELDS))
def test_every_field_is_in_the_page(field: str) -> None:
    assert f"`{field}`" in PAGE


def test_every_parameter_of_the_tables_can_be_sent() -> None:
    tables = PAGE.partition("## Parameters")[2].partition("## Messages")[0]
    names = {
        name for row in re.findall(r"^\| (`[^|]*) \|", tables, re.MULTILINE) for name in re.findall(r"`(\w+)`", row)
    }
    assert names <= FIELDS | {"regex", "grammar", "prompt_cache_breakpoint"}
