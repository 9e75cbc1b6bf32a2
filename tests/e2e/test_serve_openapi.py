"""The running server is held to the document that it publishes of itself: whatever is asked, the answer is in it.

Bodies are made from the document, as it has them and against it. Those that it allows ask the demo model, and seldom
for more than a few tokens.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from requests import Session
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi import checks

from mlxk2.entrypoints.http import anthropic, openai, operating
from tests.e2e.serving import PATIENCE, RunningServer, running_server

OPERATIONS = (*openai.OPERATIONS, *anthropic.OPERATIONS, *operating.OPERATIONS)
RIGHT = [(one.method, one.path, GenerationMode.POSITIVE) for one in OPERATIONS]
WRONG = [(one.method, one.path, GenerationMode.NEGATIVE) for one in OPERATIONS if one.body or one.parameters]
EXAMPLES = 25
MOST_TOKENS = 40
CHECKS: Any = [
    not_a_server_error,
    checks.allow_header_conformance,
    checks.content_type_conformance,
    checks.negative_data_rejection,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.status_code_conformance,
]


@pytest.fixture(scope="module")
def server(demo_cache: Path) -> Iterator[RunningServer]:
    with running_server(
        demo_cache, "--model", "demo", "--default-max-tokens", "4", "--max-tokens-limit", str(MOST_TOKENS)
    ) as server:
        assert server.chat().status == 200
        yield server


@pytest.fixture(scope="module")
def document(server: RunningServer) -> Any:
    """As it is published, but that bodies name the model that is there and ask for short answers."""
    published = server.ask("GET", "/openapi.json").json
    schemas = published["components"]["schemas"]
    for operation in (one for item in published["paths"].values() for one in item.values() if "requestBody" in one):
        body = operation["requestBody"]["content"]["application/json"]["schema"]
        properties = schemas[body["$ref"].rpartition("/")[2]]["properties"]
        properties["model"] = {"enum": ["demo"]}
        if "max_tokens" in properties:
            properties["max_tokens"] = {"type": "integer", "minimum": 1, "maximum": MOST_TOKENS}
    return schemathesis.openapi.from_dict(published)


@pytest.fixture(scope="module")
def session() -> Iterator[Session]:
    with Session() as session:
        yield session


@pytest.mark.parametrize(("method", "path", "mode"), [*RIGHT, *WRONG])
def test_whatever_is_asked_the_answer_is_in_the_document(
    server: RunningServer, document: Any, session: Session, method: str, path: str, mode: GenerationMode
) -> None:
    @given(case=document[path][method].as_strategy(mode))
    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: "Case[Any]") -> None:
        response = case.call(base_url=server.url, session=session, timeout=PATIENCE)
        case.validate_response(response, checks=CHECKS)

    ask()


def test_the_server_is_unharmed_afterwards(server: RunningServer) -> None:
    assert server.number("worker_restarts_total") == 0
    assert server.chat().status == 200
