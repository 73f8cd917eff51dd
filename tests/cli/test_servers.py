"""Models behind a server, from the command line."""

import json
import re
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from stratagem.testing.model_server import Fault, ModelServer, Said, serving
from tests.cli.conftest import until

CALL = Said("To the sum.", calls=(("calculate", '{"expression": "6*7"}'),))


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


def test_a_server_of_ones_own_answers(cli: Any, server: ModelServer) -> None:
    server.add(CALL, Said("42"))
    result = cli("run", "6*7?", "--strategy", "react", "--model", "openai:m", "--base-url", server.url)
    assert result.stdout == "42\n", result.stderr
    assert "2 calls" in result.stderr
    assert all(one.body["stream"] and "Authorization" not in one.headers for one in server.seen)


def test_how_long_a_reply_may_be_is_asked_of_the_server_and_of_it_again_by_a_resumed_run(
    cli: Any, server: ModelServer
) -> None:
    begun = ("--strategy", "self_consistency(n=2)", "--model", "vllm:m", "--max-tokens", "17")
    there = ("--base-url", server.url)
    server.add(Said("So the answer is 4."), Said("So the answer is 4."))
    assert cli("run", "2+2?", *begun, *there, "--budget", "calls=1").exit_code == 4
    cli("resume", "last", *there, "--budget", "calls=2")
    assert [one.body["max_tokens"] for one in server.seen] == [17, 17]


def test_a_reply_that_was_cut_says_so_where_it_runs_and_where_it_is_shown(cli: Any, server: ModelServer) -> None:
    said = "1 reply was cut at 3 tokens by `--max-tokens`"
    server.add(Said("The sum is", finish="length"))
    words = ("--strategy", "direct", "--model", "vllm:m", "--base-url", server.url, "--max-tokens", "3")
    done = cli("run", "2+2?", *words)
    assert (done.exit_code, done.stdout) == (0, "The sum is\n")
    assert done.stderr.splitlines()[0] == said
    assert f"  cut       {said}\n" in cli("show", "last").stdout
    assert cli("resume", "last", "--base-url", server.url).stderr.splitlines()[0] == said


def test_replies_that_end_where_the_server_ends_them_are_cut_at_their_longest(cli: Any, server: ModelServer) -> None:
    server.add(Said("The answer is 4", finish="length"), Said("The answer is 4", finish="length"))
    words = ("--strategy", "self_consistency(n=2, sampler=direct)", "--model", "vllm:m", "--base-url", server.url)
    done = cli("run", "2+2?", *words, "--verbose")
    assert "2 replies were cut at their longest\n" in done.stderr
    assert len([line for line in done.stderr.splitlines() if " tokens (cut)  " in line]) == 2
    server.add(Said("4"))
    assert "cut" not in cli("run", "2+2?", "--strategy", "direct", *words[2:]).stderr


def test_a_reply_of_no_length_is_refused(cli: Any) -> None:
    assert "0 is not in the range x>=1" in cli("run", "2+2?", "--max-tokens", "0").stderr


def test_a_key_is_sent_only_where_its_variable_is_named(cli: Any, server: ModelServer) -> None:
    cli.env |= {"OPENAI_API_KEY": "sk-theirs", "MY_KEY": "sk-mine", "STRATAGEM_BASE_URL": server.url}
    server.add(Said("4"), Said("4"))
    model = ("--strategy", "direct", "--model", "openai:m")
    assert cli("run", "2+2?", *model).stdout == "4\n"
    assert cli("run", "2+2?", *model, "--api-key-env", "MY_KEY").stdout == "4\n"
    assert [one.headers.get("Authorization") for one in server.seen] == [None, "Bearer sk-mine"]


@pytest.mark.parametrize("key", ["base-url", "api-key-env"])
def test_a_project_may_not_say_where_requests_go(cli: Any, server: ModelServer, key: str) -> None:
    (cli.folder / "stratagem.toml").write_text(f'{key} = "{server.url}"')
    result = cli("run", "2+2?", "--model", "openai:m")
    assert (result.exit_code, server.seen) == (2, [])
    assert f"sets '{key}', which a project file may not" in result.stderr


def test_the_user_may_say_it_in_a_file_of_their_own(cli: Any, server: ModelServer, tmp_path: Any) -> None:
    folder = tmp_path / "settings" / "stratagem"
    folder.mkdir(parents=True)
    (folder / "config.toml").write_text(f'base-url = "{server.url}"\nmodel = "vllm:m"\n')
    server.add(Said("4"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
        assert cli("run", "2+2?", "--strategy", "direct").stdout == "4\n"


def test_a_missing_key_is_said_before_a_run_is_recorded(cli: Any) -> None:
    cli.env["GROQ_API_KEY"] = None
    result = cli("run", "2+2?", "--model", "groq:m")
    assert result.exit_code == 2
    assert "models `groq:` need a key of Groq, and GROQ_API_KEY is not set" in result.stderr
    assert cli.json("runs")["runs"] == []


def test_a_failed_run_says_how_it_goes_on_at_the_same_server(cli: Any, server: ModelServer) -> None:
    server.add(Fault("status", status=401), Said("4"))
    result = cli("run", "2+2?", "--strategy", "direct", "--model", "vllm:m", "--base-url", server.url)
    assert result.exit_code == 5
    found = re.search(r"stratagem (resume [^`\n]*)", result.stderr)
    assert found is not None
    assert found[1].endswith(f"--base-url {server.url}")
    assert cli(*found[1].split()).stdout == "4\n"


def test_a_run_that_is_killed_in_mid_stream_goes_on_and_pays_for_what_was_cut_only(
    cli: Any, server: ModelServer
) -> None:
    server.add(CALL, Fault("stall"))
    model = ("--model", "vllm:m", "--base-url", server.url)
    process = cli.start("run", "6*7?", "--strategy", "react", *model)
    until(lambda: len(server.seen) == 2)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    until(lambda: server.gone == 1)
    server.add(Said("42"))
    document = cli.json("resume", "last", "--base-url", server.url)
    assert (document["answer"]["text"], document["usage"]["requests"]) == ("42", 2)
    assert len(server.seen) == 3
    assert server.seen[2].body["messages"] == server.seen[1].body["messages"]


def test_models_lists_every_provider_with_what_is_missing(cli: Any) -> None:
    cli.env |= {"OPENAI_API_KEY": "sk-x", "GROQ_API_KEY": None}
    rows = {row["name"]: row for row in cli.json("models")["models"]}
    assert (rows["openai:NAME"]["available"], rows["openai:NAME"]["needs"]) == (True, "OPENAI_API_KEY")
    assert (rows["groq:NAME"]["available"], rows["groq:NAME"]["needs"]) == (False, "GROQ_API_KEY (not set)")
    assert (rows["vllm:NAME"]["available"], rows["vllm:NAME"]["needs"]) == (True, "a server")
    assert "sk-x" not in json.dumps(rows)


def test_without_the_extra_its_line_is_said(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models._installed", lambda: False)
    result = cli("run", "2+2?", "--model", "vllm:m")
    assert result.exit_code == 2
    assert 'pip install "stratagem[openai]"' in result.stderr
    assert 'pip install "stratagem[openai]"' in cli("models").stdout


def test_a_comparison_pays_by_the_prices_of_the_settings(cli: Any, server: ModelServer) -> None:
    server.add(Said("7"))
    (cli.folder / "stratagem.toml").write_text('[prices."vllm:m"]\ninput_per_mtok = 1000\noutput_per_mtok = 1000\n')
    asks = ("--task", "word_problems", "--strategies", "direct", "--items", "1", "--no-baselines", "--max-tokens", "9")
    result = cli("compare", *asks, "--model", "vllm:m", "--base-url", server.url, "--json")
    (row,) = json.loads(result.stdout)["rows"]
    assert row["usd"] == pytest.approx(row["tokens_per_item"] / 1000)
