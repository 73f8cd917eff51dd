"""A chain of models from the command line: whoever reads the answer learns who gave it."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from stratagem.testing.model_server import Fault, ModelServer, Said, serving

CALL = Said("To the sum.", calls=(("calculate", '{"expression": "6*7"}'),))
CHAIN = "vllm:a|llamacpp:b"
DOWN = Fault("status", status=503)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


@pytest.fixture
def servers(cli: Any, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ModelServer, ModelServer]]:
    """Return a server for each of the two models of the chain, at the addresses of the user's settings."""
    with serving() as first, serving() as second:
        folder = tmp_path / "settings" / "stratagem"
        folder.mkdir(parents=True)
        (folder / "config.toml").write_text(
            f'[providers.vllm]\nbase-url = "{first.url}"\n[providers.llamacpp]\nbase-url = "{second.url}"\n'
        )
        monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
        yield first, second


SAID = "vllm:a did not answer (Unavailable 503, 5 attempts); llamacpp:b did, in 1 of 2 calls"


def test_who_stood_in_is_told_once_with_the_answer_and_in_what_is_shown(cli: Any, servers: Any) -> None:
    first, second = servers
    first.add(*[DOWN] * 5, Said("42"))
    second.add(CALL)
    result = cli("run", "6*7?", "--strategy", "react", "--model", CHAIN)
    assert result.stdout == "42\n", result.stderr
    assert result.stderr.splitlines().count(SAID) == 1
    shown = cli("show", "last").stdout
    assert shown.count(SAID) == 1
    assert f"  answered  {SAID}\n" in shown


def test_the_documents_say_it_per_run_and_per_call(cli: Any, servers: Any, valid: Any) -> None:
    first, second = servers
    first.add(*[DOWN] * 5, Said("42"))
    second.add(CALL)
    document = cli.json("run", "6*7?", "--strategy", "react", "--model", CHAIN)
    valid(document, "run")
    expected = [{
        "model": "llamacpp:b", "calls": 1,
        "instead_of": [{"model": "vllm:a", "why": "Unavailable 503, 5 attempts"}],
    }]  # fmt: skip
    assert document["fallbacks"] == expected
    shown = cli.json("show", "last")
    valid(shown, "show")
    assert shown["fallbacks"] == expected
    assert [(one["name"], one["answered_by"]) for one in shown["effects"]] == [
        ("react.act", "llamacpp:b"), ("calculate", None), ("react.act", "vllm:a")
    ]  # fmt: skip


def test_the_events_say_it_of_each_call(cli: Any, servers: Any) -> None:
    first, second = servers
    first.add(*[DOWN] * 5)
    second.add(Said("42"))
    result = cli("run", "6*7?", "--strategy", "direct", "--model", CHAIN, "--jsonl")
    events = [json.loads(line) for line in result.stdout.splitlines()]
    (finished,) = [one for one in events if one["type"] == "effect.finished"]
    assert finished["model"] == "llamacpp:b"
    assert finished["attempts"] == ["vllm:a: Unavailable 503, 5 attempts"]
    assert SAID[:20] not in result.stderr


def test_a_run_that_is_continued_tells_what_is_recorded(cli: Any, servers: Any) -> None:
    first, second = servers
    first.add(*[DOWN] * 5, Fault("status", status=401), Said("42"))
    second.add(CALL)
    failed = cli("run", "6*7?", "--strategy", "react", "--model", CHAIN)
    assert failed.exit_code == 5
    result = cli("resume", "last")
    assert result.stdout == "42\n", result.stderr
    assert result.stderr.splitlines().count(SAID) == 1
    again = cli("resume", "last")  # it has ended: only its answer is handed out
    assert again.stderr.splitlines().count(SAID) == 1


def test_a_fork_tells_what_it_reuses(cli: Any, servers: Any) -> None:
    first, second = servers
    first.add(*[DOWN] * 5, Said("42"), Said("43"))
    second.add(CALL)
    cli("run", "6*7?", "--strategy", "react", "--model", CHAIN)
    result = cli("fork", "last", "--at", "2")
    assert result.stdout == "43\n", result.stderr
    assert SAID in result.stderr.splitlines()


def test_a_model_that_cannot_be_opened_here_is_one_that_did_not_answer(cli: Any, servers: Any) -> None:
    cli.env["GROQ_API_KEY"] = None
    servers[1].add(Said("42"))
    result = cli("run", "6*7?", "--strategy", "direct", "--model", "groq:m|llamacpp:b")
    assert result.stdout == "42\n", result.stderr
    assert "groq:m did not answer (CapabilityError); llamacpp:b did\n" in result.stderr


def test_of_three_models_the_two_that_did_not_answer_are_named(cli: Any, servers: Any) -> None:
    cli.env["GROQ_API_KEY"] = None
    first, second = servers
    first.add(*[DOWN] * 5)
    second.add(Said("42"))
    result = cli("run", "6*7?", "--strategy", "direct", "--model", f"groq:m|{CHAIN}")
    said = "groq:m did not answer (CapabilityError), nor did vllm:a (Unavailable 503, 5 attempts); llamacpp:b did\n"
    assert said in result.stderr


def test_where_the_first_model_answers_nothing_is_said(cli: Any, servers: Any) -> None:
    servers[0].add(DOWN, Said("42"))  # it is tried again
    result = cli("run", "6*7?", "--strategy", "direct", "--model", CHAIN)
    assert result.stdout == "42\n", result.stderr
    assert "did" not in result.stderr
    shown = cli.json("show", "last")
    assert (shown["fallbacks"], shown["effects"][0]["answered_by"]) == ([], "vllm:a")
    assert "did not answer" not in cli("show", "last").stdout


def test_a_replay_of_a_chains_run_asks_no_chain(cli: Any, servers: Any) -> None:
    first, second = servers
    first.add(*[DOWN] * 5)
    second.add(Said("42"))
    cli("run", "6*7?", "--strategy", "direct", "--model", CHAIN)
    document = cli.json("run", "6*7?", "--strategy", "direct", "--model", "replay:last")
    assert (document["answer"]["text"], document["fallbacks"]) == ("42", [])
