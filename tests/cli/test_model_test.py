"""`stratagem models test`: what a server really honours."""

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest

from stratagem.testing.model_server import Fault, ModelServer, Said, serving
from tests.models.test_probe import answers


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving(answers) as server:
        yield server


def test_a_server_that_does_what_it_claims_ends_well(cli: Any, server: ModelServer, valid: Any) -> None:
    document = cli.json("models", "test", "vllm:m", "--base-url", server.url)
    valid(document, "models_test")
    assert (document["model"], document["agrees"], document["usage"]["calls"]) == ("vllm:m", True, 10)
    assert document["usage"]["usd"] is None
    result = cli("models", "test", "vllm:m", "--base-url", server.url)
    assert result.exit_code == 0
    assert result.stderr.startswith("vllm:m: at most 10 calls and ")
    assert "of unknown price" in result.stderr.splitlines()[0]
    assert re.search(r"^✓ +seed +yes +honoured +the same text for the same seed", result.stdout, re.MULTILINE)


def test_what_it_prints_can_be_pasted_and_is_obeyed(cli: Any, server: ModelServer) -> None:
    result = cli("models", "test", "openai:m", "--base-url", server.url)
    pasted = result.stdout.partition("# what its row should say")[2].partition("\n")[2]
    assert tomllib.loads(pasted)["providers"]["openai"] == {
        "base-url": server.url, "schema": "constrained", "native-n": True,
        "fields": ["logprobs", "max_tokens", "schema", "seed", "stop", "temperature", "tools", "top_p"],
    }  # fmt: skip
    file = cli.folder.parent / "settings" / "stratagem" / "config.toml"
    file.parent.mkdir(parents=True)
    file.write_text(pasted)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(cli.folder.parent / "settings"))
        document = cli.json("models", "test", "openai:m")
    found = {one["name"]: one["declared"] for one in document["findings"]}
    assert (found["seed"], found["n"], found["schema"]) == ("yes", "yes", "constrained")
    assert document["row"]["base-url"] == server.url


def test_a_server_that_does_less_than_it_claims_is_told(cli: Any) -> None:
    with serving(lambda body: answers(body, schema=Said("no"), logprobs=Said("yes", logprobs=False))) as server:
        result = cli("models", "test", "vllm:m", "--base-url", server.url)
        document = cli.json("models", "test", "vllm:m", "--base-url", server.url)
    assert result.exit_code == 1
    assert re.search(r"^✗ +schema +constrained +ignored \(less than declared\) +0 of 4", result.stdout, re.MULTILINE)
    assert [one["name"] for one in document["findings"] if not one["agrees"]] == ["schema", "logprobs"]
    assert (document["agrees"], document["row"]["schema"]) == (False, "advisory")


def test_a_budget_holds_and_says_so(cli: Any, server: ModelServer) -> None:
    result = cli("models", "test", "vllm:m", "--base-url", server.url, "--budget", "calls=3")
    assert (result.exit_code, len(server.seen)) == (4, 3)
    assert "the limit calls=3 would not hold" in result.stdout
    result = cli("models", "test", "vllm:m", "--base-url", server.url, "--budget", "usd=1")
    assert (result.exit_code, len(server.seen)) == (2, 3)
    assert "needs the price of the model 'vllm:m', which is unknown" in result.stderr


def test_nothing_of_a_probe_is_recorded(cli: Any, server: ModelServer) -> None:
    cli("models", "test", "vllm:m", "--base-url", server.url)
    assert not cli.home.exists()


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("offline", "the model 'offline' has no server: what it honours is known"),
        ("script:a.jsonl", "the model 'script' has no server"),
        ("sim:skill=0.7", "the model 'sim' has no server"),
        ("replay:last", "the model 'replay' has no server"),
        ("vllm:a|vllm:b", "names several models"),
        ("vlm:m", "there is no model 'vlm:m'"),
        ("groq:m", "models `groq:` need a key of Groq, and GROQ_API_KEY is not set"),
    ],
)
def test_what_cannot_be_tested_is_told(cli: Any, spec: str, message: str) -> None:
    cli.env["GROQ_API_KEY"] = None
    result = cli("models", "test", spec)
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_server_that_is_not_there_or_refuses_the_key_is_an_error_of_the_model(cli: Any) -> None:
    with serving([Fault("status", status=401)]) as server:
        assert cli("models", "test", "vllm:m", "--base-url", server.url).exit_code == 5
    result = cli("models", "test", "vllm:m", "--base-url", server.url, "--json")
    assert (result.exit_code, json.loads(result.stdout)["error"]["kind"]) == (5, "Unreachable")


def test_where_nothing_came_there_is_nothing_to_paste(cli: Any, server: ModelServer) -> None:
    result = cli("models", "test", "vllm:m", "--base-url", server.url, "--budget", "tokens=1")
    assert (result.exit_code, server.seen) == (4, [])
    assert "[providers.vllm]" not in result.stdout
    assert "# nothing came, so nothing was found out, and there is nothing to paste" in result.stdout
