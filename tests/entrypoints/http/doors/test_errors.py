"""Every failure has its status and its words, in both APIs; defects tell nothing."""

import json

import pytest

from mlxk2.entrypoints.http.errors import Problem, Refusal, body_of, problem_of, render, style_of
from mlxk2.ports import errors
from tests.entrypoints.http.doors.asking import HOME, ask, post
from tests.entrypoints.http.doors.rooms import WHISPER, behind


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.ValidationError("No"), 400, None),
        (errors.ContextExceeded("No", prompt_tokens=9, context_length=8), 400, "context_length_exceeded"),
        (errors.ModelNotFound("No"), 404, "model_not_found"),
        (errors.AmbiguousMatch("No", matches=("a", "b")), 400, "ambiguous_match"),
        (errors.Conflict("No"), 409, "conflict"),
        (errors.LocksPresent("No", model="a/b", lock_files=("x.lock",)), 409, "locks_present"),
        (errors.Overloaded("No"), 503, "overloaded"),
        (errors.EngineFailure("No"), 503, "engine_failure"),
        (errors.NotEnoughMemory("No", needed_bytes=2, limit_bytes=1), 400, "not_enough_memory"),
        (errors.OperationError("No"), 400, None),
    ],
)
def test_a_failure_that_the_program_names_is_told_in_its_words(
    error: errors.Mlxk2Error, status: int, code: str | None
) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.code, problem.message) == (status, code, "No")


@pytest.mark.parametrize(
    "error",
    [
        KeyError(WHISPER),
        errors.InternalError(WHISPER),
        errors.AccessProblem(WHISPER),
        errors.DiskFull(WHISPER),
        OSError(WHISPER),
    ],
)
def test_the_servers_own_failures_tell_nothing(error: Exception) -> None:
    problem = problem_of(error)
    assert problem.status == 500
    assert WHISPER not in problem.message


def test_the_parameter_that_is_wrong_is_named() -> None:
    assert problem_of(errors.ValidationError("No", parameter="top_p")).parameter == "top_p"
    assert problem_of(errors.ModelNotFound("No")).parameter == "model"


def test_whatever_is_worth_another_try_says_when() -> None:
    assert problem_of(errors.Overloaded("No")).retry_after == 5
    assert problem_of(errors.EngineFailure("No")).retry_after == 1
    assert render(problem_of(errors.Overloaded("No")), "openai", "id").headers["retry-after"] == "5"


def test_openais_clients_get_openais_error() -> None:
    problem = Problem(400, "invalid_request_error", "No", parameter="stop", code="bad_stop")
    told = {"message": "No", "type": "invalid_request_error", "param": "stop", "code": "bad_stop"}
    assert json.loads(body_of(problem, "openai", "id")) == {"error": told}


def test_anthropics_clients_get_anthropics_error() -> None:
    problem = Problem(400, "invalid_request_error", "must be a number", parameter="top_k")
    told = {"type": "invalid_request_error", "message": "top_k: must be a number"}
    assert json.loads(body_of(problem, "anthropic", "id")) == {"type": "error", "error": told, "request_id": "id"}


def test_a_parameter_that_the_message_names_is_not_named_twice() -> None:
    body = json.loads(body_of(Problem(400, "x", "top_k must be a number", parameter="top_k"), "anthropic", "id"))
    assert body["error"]["message"] == "top_k must be a number"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, "invalid_request_error"),
        (401, "authentication_error"),
        (403, "permission_error"),
        (404, "not_found_error"),
        (413, "request_too_large"),
        (415, "invalid_request_error"),
        (429, "rate_limit_error"),
        (500, "api_error"),
        (503, "overloaded_error"),
        (504, "timeout_error"),
    ],
)
def test_anthropics_kinds_follow_from_the_status(status: int, kind: str) -> None:
    assert json.loads(body_of(Problem(status, "x", "No"), "anthropic", "id"))["error"]["type"] == kind


@pytest.mark.parametrize(
    ("path", "style"),
    [
        ("/v1/messages", "anthropic"),
        ("/v1/messages/count_tokens", "anthropic"),
        ("/v1/messagesx", "openai"),
        ("/", "openai"),
    ],
)
def test_the_path_says_whose_words_are_understood(path: str, style: str) -> None:
    assert style_of(path) == style


def test_a_failure_in_a_door_is_answered() -> None:
    reply = post(behind(), b"{}", path="/v1/missing")
    assert (reply.status, reply.error["code"]) == (404, "model_not_found")
    assert reply.header(b"content-type") == b"application/json"


def test_a_refusal_may_ask_to_come_back() -> None:
    reply = post(behind(), b"{}", path="/v1/busy")
    assert (reply.status, reply.header(b"retry-after")) == (429, b"7")


def test_a_defect_is_answered_with_the_request_id_and_nothing_of_what_was_asked() -> None:
    for path in ("/v1/broken", "/v1/messages/broken"):
        reply = post(behind(), b"{}", (b"x-request-id", b"mine"), path=path)
        assert reply.status == 500
        assert reply.header(b"x-request-id") == b"mine"
        assert WHISPER.encode() not in reply.body
        assert b"Traceback" not in reply.body


def test_a_path_that_is_not_there_is_answered_in_the_apis_words() -> None:
    reply = ask(behind(), path="/v1/nothing")
    assert (reply.status, reply.error["code"]) == (404, "not_found")
    assert ask(behind(), path="/v1/messages/nothing").error["type"] == "not_found_error"


def test_a_method_that_is_not_possible_is_answered_with_those_that_are() -> None:
    reply = ask(behind(), "DELETE", "/v1/models")
    assert (reply.status, reply.header(b"allow")) == (405, b"GET, HEAD")
    assert "use GET, HEAD" in reply.error["message"]


def test_a_slash_too_many_is_another_path_and_no_redirect() -> None:
    assert ask(behind(), path="/v1/models/").status == 404


def test_a_path_is_repeated_only_in_part_and_in_printable_form() -> None:
    reply = ask(behind(), path="/\x1b[31m\n" + "x" * 5000)
    assert "\x1b" not in reply.error["message"]
    assert len(reply.body) < 1000


def test_options_without_a_page_lists_the_methods() -> None:
    assert ask(behind(), "OPTIONS", "/v1/echo", [HOME]).header(b"allow") == b"POST"


def test_a_refusal_is_its_problem() -> None:
    problem = Problem(418, "x", "No")
    assert problem_of(Refusal(problem)) is problem


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("/v1/v1/messages", "leave /v1 out of the base URL"),
        ("/chat/completions", "let the base URL end in /v1"),
        ("/models", "let the base URL end in /v1"),
        ("/v1/responses", "/v1/chat/completions"),
        ("/v1/embeddings", "/v1/chat/completions"),
        ("/elsewhere", "/openapi.json lists what there is"),
    ],
)
def test_a_path_that_clients_try_first_is_answered_with_the_next_step(path: str, step: str) -> None:
    assert step in ask(behind(), "GET", path).error["message"]
