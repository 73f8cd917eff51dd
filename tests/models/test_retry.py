from typing import Any

import pytest

from stratagem import errors
from stratagem.errors import ModelError
from stratagem.models.retry import AFTER_BAD, ATTEMPTS, Answered, Failure, pause, refused, wait_of


def meant(status: int, body: str = "", **headers: str) -> Failure:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return refused(Answered(status, named), body, "Server", lambda text: text.replace("secret", "***"), "A_KEY")


@pytest.mark.parametrize(
    ("status", "body", "error", "attempts", "ran", "slow"),
    [
        (429, "", "RateLimited", ATTEMPTS, False, True),
        (529, "", "RateLimited", ATTEMPTS, False, True),
        (429, '{"error": {"message": "m", "code": "insufficient_quota"}}', "RateLimited", 1, False, False),
        (408, "", "Unavailable", ATTEMPTS, True, False),
        (409, "", "Unavailable", ATTEMPTS, False, False),
        (500, "", "Unavailable", ATTEMPTS, True, False),
        (502, "", "Unavailable", ATTEMPTS, True, False),
        (503, "", "Unavailable", ATTEMPTS, False, False),
        (504, "", "Unavailable", ATTEMPTS, True, False),
        (400, "", "Rejected", 1, False, False),
        (404, "", "Rejected", 1, False, False),
        (422, "", "Rejected", 1, False, False),
        (400, '{"error": {"message": "m", "code": "context_length_exceeded"}}', "ContextTooLong", 1, False, False),
        (400, '{"message": "This model\'s maximum context length is 8192 tokens"}', "ContextTooLong", 1, False, False),
        (401, "", "NotAuthorised", 1, False, False),
        (403, "", "NotAuthorised", 1, False, False),
        (307, "", "Rejected", 1, False, False),
    ],
)
def test_what_a_status_means(status: int, body: str, error: str, attempts: int, ran: bool, slow: bool) -> None:
    failure = meant(status, body)
    kind = type(failure.error).__name__
    assert (kind, failure.attempts, failure.ran, failure.slow) == (error, attempts, ran, slow)
    assert isinstance(failure.error, ModelError)
    assert failure.error.status == status


def test_a_server_that_names_a_time_under_503_asks_to_slow_down() -> None:
    failure = meant(503, retry_after="4")
    assert isinstance(failure.error, errors.RateLimited)
    assert (failure.wait, failure.error.retry_after, failure.slow) == (4, 4, True)


def test_what_the_server_says_of_trying_again_is_obeyed() -> None:
    assert meant(500, x_should_retry="false").attempts == 1
    assert meant(400, x_should_retry="true").attempts == ATTEMPTS


def test_what_a_server_says_is_shown_without_the_key_and_not_at_length() -> None:
    failure = meant(400, '{"error": {"message": "you sent secret, ' + "x" * 1000 + '"}}')
    assert str(failure.error).startswith("Server answered 400: you sent ***, xxx")
    assert len(str(failure.error)) < 530
    assert str(meant(502, "<html>\n  bad gateway").error) == "Server answered 502: <html> bad gateway"


def test_who_is_not_authorised_learns_the_name_of_the_variable() -> None:
    assert meant(401).error.remedy == "Check the key in A_KEY."


@pytest.mark.parametrize(
    ("headers", "body", "wait"),
    [
        ({}, "", None),
        ({"retry-after": "2.5"}, "", 2.5),
        ({"retry-after-ms": "150", "retry-after": "9"}, "", 0.15),
        ({"retry-after-ms": "soon", "retry-after": "9"}, "", 9),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", 10),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", 0),
        ({"retry-after": "soon", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, "", None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:10 GMT"}, "", None),
        ({}, '{"error": {"details": [{"retryDelay": "13s"}]}}', 13),
    ],
)
def test_when_the_server_wants_to_be_asked_again(headers: Any, body: str, wait: float | None) -> None:
    assert wait_of(headers, body) == wait


def test_waits_grow_are_drawn_at_random_and_end_at_half_a_minute() -> None:
    assert [pause(number, None, lambda: 1.0) for number in range(1, 8)] == [1, 2, 4, 8, 16, 30, 30]
    assert pause(3, None, lambda: 0.25) == 1
    assert pause(3, 7, lambda: 0.25) == 7.25
    assert AFTER_BAD < ATTEMPTS


OTHER = "`stratagem fork RUN --set model=SPEC`"


@pytest.mark.parametrize(
    ("status", "body", "remedy"),
    [
        (404, '{"error": {"message": "The model `m` does not exist", "code": "model_not_found"}}', f"Name a model that the server has: {OTHER}."),
        (404, '{"error": {"message": "model \\"m\\" not found, try pulling it first"}}', f"Name a model that the server has: {OTHER}."),
        (404, '{"error": {"type": "not_found_error", "message": "model: claude-9"}}', f"Name a model that the server has: {OTHER}."),
        (400, '{"error": {"message": "invalid model ID"}}', f"Name a model that the server has: {OTHER}."),
        (400, '{"error": {"message": "this model does not support tools"}}', "Correct what the message names."),
        (404, "Not Found", f"If the address is wrong, give it as `--base-url http://box/v1`; if it is the model's name: {OTHER}."),
    ],
)  # fmt: skip
def test_what_may_help_where_there_is_no_such_model_or_address(status: int, body: str, remedy: str) -> None:
    failure = refused(Answered(status, {}), body, "Server", str, "A_KEY", "http://box/v1")
    assert failure.error.remedy == remedy
