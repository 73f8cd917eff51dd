"""`--base-url` and `--api-key-env`: a mistake where no model of the call has a server, and for these models only."""

from collections.abc import Iterator
from typing import Any

import pytest

import stratagem
from stratagem.errors import UsageError
from stratagem.models import open_model
from stratagem.testing.model_server import Fault, ModelServer, Said, serving
from tests.cli.conftest import until

NOWHERE = "http://127.0.0.1:9/v1"


@pytest.fixture
def server() -> Iterator[ModelServer]:
    with serving() as server:
        yield server


@pytest.mark.parametrize("spec", ["offline", "script:a.jsonl", "replay:last", "sim:skill=0.7", "local:smollm2"])
@pytest.mark.parametrize("flag", ["--base-url", "--api-key-env"])
def test_an_address_for_a_model_without_a_server_is_a_mistake_of_usage(cli: Any, spec: str, flag: str) -> None:
    result = cli("run", "2+2?", "--model", spec, flag, NOWHERE)
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"`{flag}` means nothing to the model {spec!r}, which is asked at no server" in result.stderr
    assert "`openai:NAME`, `vllm:NAME`, `llamacpp:NAME`" in result.stderr
    assert "`anthropic:NAME`" in result.stderr
    assert cli.json("runs")["runs"] == []


def test_the_model_that_nobody_named_is_told_of_too(cli: Any) -> None:
    result = cli("run", "2+2?", "--base-url", NOWHERE)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "`--base-url` means nothing to the model 'offline'" in result.stderr


def test_an_address_of_the_settings_is_for_other_models(cli: Any, script: Any) -> None:
    cli.env["STRATAGEM_BASE_URL"] = NOWHERE
    cli.env["STRATAGEM_API_KEY_ENV"] = "NOT_SET"
    run = cli.answered("Capital of France?", "--strategy", "direct", "--model", script("Paris"))
    assert cli("resume", run).stdout == "Paris\n"


def test_a_run_of_a_model_without_a_server_is_not_continued_at_one(cli: Any, script: Any) -> None:
    model = script("Paris")
    run = cli.answered("Capital of France?", "--strategy", "direct", "--model", model)
    for words in (("resume", run), ("fork", run, "--at", "0")):
        result = cli(*words, "--base-url", NOWHERE)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"`--base-url` means nothing to the model {model!r}" in result.stderr


def test_a_fork_to_a_model_with_a_server_takes_its_address(cli: Any, script: Any, server: ModelServer) -> None:
    run = cli.answered("Capital of France?", "--strategy", "direct", "--model", script("Paris"))
    server.add(Said("Lyon"))
    result = cli("fork", run, "--set", "model=vllm:m", "--base-url", server.url)
    assert result.stdout == "Lyon\n", result.stderr


def test_a_test_of_a_model_without_a_server_names_that_mistake_first(cli: Any) -> None:
    result = cli("models", "test", "offline", "--base-url", NOWHERE)
    assert result.exit_code == 2
    assert "`--base-url` means nothing to the model 'offline'" in result.stderr


def test_a_comparison_of_models_without_a_server_is_told_of_it(cli: Any) -> None:
    result = cli("compare", "--task", "list_sorting", "--strategies", "direct", "--base-url", NOWHERE)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "`--base-url` means nothing to the model 'sim:'" in result.stderr
    from stratagem.lab import compare

    with pytest.raises(UsageError, match="`base_url` means nothing to the model 'sim:"):
        compare("list_sorting", "direct", model="sim:", items=1, base_url=NOWHERE)


@pytest.mark.parametrize("spec", ["offline", "script:a.jsonl", "sim:skill=0.7", "local:smollm2"])
def test_it_is_a_mistake_in_a_program_too(spec: str) -> None:
    given: dict[str, Any]
    for given in ({"base_url": NOWHERE}, {"api_key_env": "NOT_SET"}):
        with pytest.raises(UsageError, match=f"`{next(iter(given))}` means nothing to the model '{spec}'"):
            open_model(spec, **given)


async def test_a_session_says_it_before_anything_is_opened() -> None:
    with pytest.raises(UsageError, match=r"`base_url` means nothing to the model 'script:a\.jsonl'"):
        async with stratagem.open(model="script:a.jsonl", base_url=NOWHERE, journal="memory", memory="none"):
            pass


async def test_a_model_of_a_part_takes_the_address_beside_one_that_takes_none() -> None:
    async with ModelServer([Said("4")]) as server:
        settings: dict[str, Any] = {"base_url": server.url, "journal": "memory", "memory": "none"}
        async with stratagem.open(model="vllm:m", **settings) as session:
            answer = await session.run("direct", "2+2?")
            assert answer.text == "4"
            computed = session._services.named_model("offline")
            assert computed.spec == "offline"
            named: Any = session._services.named_model("openai:n")
            assert named._backend.origin == server.origin


def test_what_is_no_model_is_told_before_its_address() -> None:
    with pytest.raises(UsageError, match="there is no model 'ofline'"):
        open_model("ofline", base_url=NOWHERE)


def test_a_run_that_was_killed_goes_on_at_the_server_that_its_record_names(cli: Any, server: ModelServer) -> None:
    server.add(Fault("slow"))
    process = cli.start("run", "2+2?", "--strategy", "direct", "--model", "vllm:m", "--base-url", server.url + "/")
    try:
        until(lambda: len(server.seen) == 1 and len(cli.json("runs")["runs"]) == 1)
    finally:
        process.kill()
        process.communicate()
    (run,) = cli.json("runs")["runs"]
    line = f"continue: stratagem resume {run['id']} --base-url {server.url}\n"
    shown = cli("show", run["id"]).stdout
    assert f"\n{line}" in shown
    assert f"\n  server    {server.url}\n" in shown
    assert line in cli("runs").stdout
    result = cli("resume", run["id"])
    assert (result.exit_code, result.stdout) == (2, "")
    assert f"was asked at {server.url}, and no address is given now" in result.stderr
    assert f"Give it: `--base-url {server.url}`" in result.stderr
    server.add(Said("4"))
    result = cli(*line.split()[2:])
    assert (result.exit_code, result.stdout) == (0, "4\n"), result.stderr


def _asked_of(cli: Any, server: ModelServer) -> str:
    server.add(Said("4"))
    return cli.answered("2+2?", "--strategy", "direct", "--model", "vllm:m", "--base-url", server.url)


def test_an_address_of_the_settings_is_enough_to_go_on_with_a_run(cli: Any, server: ModelServer) -> None:
    run = _asked_of(cli, server)
    server.add(Said("5"))
    cli.env["STRATAGEM_BASE_URL"] = server.url
    result = cli("fork", run, "--at", "0")
    assert (result.exit_code, result.stdout) == (0, "5\n"), result.stderr


def test_a_fork_goes_to_no_other_server_because_the_address_was_left_out(cli: Any, server: ModelServer) -> None:
    run = _asked_of(cli, server)
    for words in (("--at", "0"), ("--set", "model=vllm:n")):
        result = cli("fork", run, *words)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"`--base-url {server.url}`" in result.stderr
    assert len(cli.json("runs")["runs"]) == 1


def test_a_fork_to_another_provider_leaves_the_address_behind(cli: Any, server: ModelServer, script: Any) -> None:
    run = _asked_of(cli, server)
    forked = cli.json("fork", run, "--set", f"model={script('Paris')}")["run"]["id"]
    assert server.url not in cli("show", forked).stdout


def test_a_model_that_the_server_does_not_have_is_exchanged_by_the_line_that_the_remedy_names(
    cli: Any, server: ModelServer
) -> None:
    server.add(Fault("status", status=404, message="The model `mm` does not exist", code="model_not_found"))
    failed = cli("run", "2+2?", "--strategy", "direct", "--model", "vllm:mm", "--base-url", server.url)
    (run,) = cli.json("runs")["runs"]
    line = f"stratagem fork {run['id']} --set model=SPEC --base-url {server.url}"
    assert failed.stderr.endswith(f"remedy: Name a model that the server has: `{line}`.\n")
    server.add(Said("4"))
    assert cli(*line.replace("SPEC", "vllm:m").split()[1:]).stdout == "4\n"
