"""Attempts that failed, as whoever runs a strategy from the command line sees them."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stratagem.testing.model_server import Fault, ModelServer, Said, serving

BUSY = Fault("status", status=503, message="busy")


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as one:
        yield one


def asked(cli: Any, server: ModelServer, *more: str) -> Any:
    return cli("run", "6*7?", "--strategy", "direct", "--model", "vllm:m", "--base-url", server.url, *more)


def test_each_attempt_of_a_call_that_failed_is_said(cli: Any, server: ModelServer) -> None:
    server.add(BUSY, Fault("disconnect"), *[BUSY] * 3)
    result = asked(cli, server, "--verbose")
    lines = [line.strip() for line in result.stderr.splitlines()]
    tries = ["Unavailable 503", "NoReply", *["Unavailable 503"] * 3]
    message = f"vLLM ({server.origin}) answered 503: busy (5 attempts)"
    assert (result.exit_code, f"error: {message}" in lines) == (5, True)
    assert [line.partition("✗ ")[2] for line in lines if "✗ attempt" in line] == [
        f"attempt {number}: {said}" for number, said in enumerate(tries, 1)
    ]
    shown = cli("show", "last", "--effect", "0").stdout
    assert f"\nerror\nUnavailable: {message}\n\ncame by\nattempts: {', '.join(tries)}\n" in shown


def test_attempts_before_a_reply_are_said(cli: Any, server: ModelServer) -> None:
    server.add(BUSY, Said("42"))
    result = asked(cli, server, "--verbose")
    lines = [line.strip() for line in result.stderr.splitlines() if "✗" in line]
    assert (result.stdout, lines) == ("42\n", ["direct    ✗ attempt 1: Unavailable 503"])


def test_events_have_the_attempts_of_a_call_that_failed(cli: Any, server: ModelServer) -> None:
    server.add(*[BUSY] * 5)
    events = [json.loads(line) for line in asked(cli, server, "--jsonl").stdout.splitlines()]
    (finished,) = [one for one in events if one.get("type") == "effect.finished"]
    assert finished["attempts"] == ["Unavailable 503"] * 5
    assert finished["error"][2]["tries"] == finished["attempts"]


def test_one_attempt_is_not_counted(cli: Any, server: ModelServer) -> None:
    server.add(Fault("status", status=400, message="no"))
    result = asked(cli, server, "--verbose")
    assert f"error: vLLM ({server.origin}) answered 400: no\n" in result.stderr
    assert "attempt" not in result.stderr
    assert "came by" not in cli("show", "last", "--effect", "0").stdout
