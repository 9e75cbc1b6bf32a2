"""What the engine finds wrong, in the words of Anthropic's API."""

import pytest

from mlxk2.entrypoints.http.anthropic.names import translated
from mlxk2.entrypoints.http.errors import Refusal, body_of
from mlxk2.ports.errors import ContextExceeded, OperationError, ValidationError


def told(error: ValidationError) -> str:
    with pytest.raises(Refusal) as caught, translated():
        raise error
    return body_of(caught.value.problem, "anthropic", "req_1").decode()


@pytest.mark.parametrize(
    ("parameter", "name"),
    [
        ("stop", "stop_sequences: "),
        ("structure", "output_config.format: "),
        ("thinking_budget", "thinking.budget_tokens: "),
        ("effort", "output_config.effort: "),
        ("prompt", "messages: "),
        ("top_p", "top_p: "),
        (None, ""),
    ],
)
def test_a_parameter_has_its_name_in_the_api(parameter: str | None, name: str) -> None:
    assert f'"message":"{name}no"' in told(ValidationError("no", parameter=parameter))


def test_a_prompt_that_is_too_long_is_called_that() -> None:
    error = ContextExceeded("The prompt has 9 tokens; shorten it", prompt_tokens=9, context_length=8)
    assert '"message":"prompt is too long: The prompt has 9 tokens; shorten it"' in told(error)


def test_other_failures_pass() -> None:
    with pytest.raises(OperationError), translated():
        raise OperationError("no")
