"""`stratagem models`: what `--model` can name."""

import asyncio
import re
from pathlib import Path
from typing import Any

import keyring
import pytest

from stratagem.testing.model_server import serving
from tests.models.test_sources import Kept


def test_the_two_models_of_this_version_are_listed(cli: Any, valid: Any) -> None:
    document = cli.json("models")
    valid(document, "models")
    assert [row["name"] for row in document["models"][:2]] == ["offline", "script:FILE"]
    rows = [re.split(" {2,}", line) for line in cli("models").stdout.splitlines()]
    assert [row[:2] for row in rows[:2]] == [["✓", "offline"], ["✓", "script:FILE"]]


def test_what_cannot_be_opened_is_marked(cli: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"name": "far:NAME", "available": False, "needs": "the package far", "about": "cannot be loaded"}
    monkeypatch.setattr("stratagem.models.catalogue", lambda sources, routes: [row])
    assert cli("models").stdout == "✗  far:NAME  needs the package far  cannot be loaded\n"


KEY = "sk-canary-6118"


@pytest.fixture
def settings(cli: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder of the user's own settings, which is there and empty."""
    folder = cli.folder.parent / "settings" / "stratagem"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    return folder


def listed(cli: Any, *flags: str) -> dict[str, Any]:
    return {row["name"]: row for row in cli.json("models", *flags)["models"]}


def test_where_each_key_comes_from_is_said_and_no_key_is(cli: Any, settings: Path, valid: Any) -> None:
    before = keyring.get_keyring()
    keyring.set_keyring(Kept({"DEEPSEEK_API_KEY": f"{KEY}3"}))
    try:
        file = settings / "keys.toml"
        file.write_text(f'GROQ_API_KEY = "{KEY}2"\n')
        file.chmod(0o600)
        cli.env |= {"XAI_API_KEY": f"{KEY}1", "GROQ_API_KEY": None, "DEEPSEEK_API_KEY": None, "OPENAI_API_KEY": None}
        valid(cli.json("models"), "models")
        rows = listed(cli)
        keys = {name: (rows[f"{name}:NAME"]["key"], rows[f"{name}:NAME"]["configured"]) for name in ("xai", "groq")}
        assert keys == {"xai": ("variable XAI_API_KEY", True), "groq": (f"file {file}", True)}
        assert rows["deepseek:NAME"]["key"] == "keyring"
        assert (rows["openai:NAME"]["key"], rows["openai:NAME"]["configured"]) == ("", False)
        assert (rows["vllm:NAME"]["key"], rows["vllm:NAME"]["configured"]) == ("", True)
        assert rows["groq:NAME"]["needs"] == f"GROQ_API_KEY (from file {file})"
        written = f"{rows}{cli('models').stdout}{cli('doctor').stdout}{cli('doctor', '--json').stdout}"
        assert "GROQ_API_KEY" in written
        assert KEY not in written
    finally:
        keyring.set_keyring(before)


def test_a_key_file_that_others_can_read_is_told_and_no_key_of_it_is_used(cli: Any, settings: Path) -> None:
    (settings / "keys.toml").write_text(f'GROQ_API_KEY = "{KEY}"\n')
    (settings / "keys.toml").chmod(0o644)
    cli.env["GROQ_API_KEY"] = None
    row = listed(cli)["groq:NAME"]
    assert (row["available"], row["configured"], "is open to others (mode 0644)" in row["needs"]) == (
        False,
        False,
        True,
    )
    result = cli("run", "?", "--model", "groq:m")
    assert result.exit_code == 2
    assert "is open to others (mode 0644), so its keys are not used" in result.stderr
    assert "chmod 600" in result.stderr
    result = cli("doctor")
    assert (result.exit_code, "is open to others (mode 0644)" in result.stdout) == (1, True)


def test_nothing_is_sent_unless_it_is_asked_for(cli: Any, settings: Path) -> None:
    with serving() as server:
        (settings / "config.toml").write_text(f'[providers.vllm]\nbase-url = "{server.url}"\n')
        row = listed(cli)["vllm:NAME"]
        assert (row["reachable"], row["said"], row["about"]) == (None, "", f"vLLM, at {server.url}")
        assert server.seen == []


def test_servers_that_could_be_used_are_asked_for_their_models(cli: Any, settings: Path, valid: Any) -> None:
    cli.env |= {"GROQ_API_KEY": KEY, "XAI_API_KEY": None, "MY_KEY": f"{KEY}-mine"}
    with serving() as server, serving() as other:
        (settings / "config.toml").write_text(
            f'[providers.vllm]\nbase-url = "{server.url}"\n[providers.groq]\nbase-url = "{other.url}"\n'
            f'[providers.xai]\nbase-url = "{other.url}/x"\napi-key-env = "MY_KEY"\n'
            '[providers.sglang]\nbase-url = "http://127.0.0.1:1/v1"\n'
        )
        rows = listed(cli, "--check")
        seen = [(one.path, one.headers.get("Authorization")) for one in (*server.seen, *sorted(other.seen, key=_path))]
    assert seen == [("/v1/models", None), ("/v1/models", None), ("/v1/x/models", f"Bearer {KEY}-mine")]
    assert [rows[f"{name}:NAME"]["reachable"] for name in ("vllm", "groq", "xai", "sglang", "deepseek")] == [
        True, True, True, False, None
    ]  # fmt: skip
    assert rows["vllm:NAME"]["said"] == "answers 404 to a request for its models"
    assert rows["xai:NAME"]["said"] == "answers 404 to a request for its models"
    assert rows["sglang:NAME"]["said"].startswith("nobody answers at SGLang")
    assert rows["offline"]["reachable"] is None


def _path(seen: Any) -> str:
    return seen.path


def test_what_an_answer_means() -> None:
    from stratagem.models.reach import _meaning

    assert [_meaning(status, keyed=keyed) for status, keyed in ((200, True), (200, False), (401, True), (403, False))] == [
        (True, "answers, and takes the key", True), (True, "answers", True),
        (True, "answers 401: it does not take the key", False), (True, "answers 403: it wants a key", False),
    ]  # fmt: skip
    assert _meaning(307, keyed=True).said.endswith("where they are not sent")


async def test_a_server_that_says_nothing_is_waited_for_once_and_all_at_the_same_time() -> None:
    from stratagem.models.keys import Key
    from stratagem.models.reach import Place, reach
    from stratagem.models.transport import Access

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
        place = Place("it", url, Key("", "", url), Access())
        found = await reach([place] * 20, limit_s=0.05)
    assert {one.reachable for one in found} == {False}
    assert re.search(r"has not begun to answer within 0\.0\d+ s$", found[0].said)


def test_an_address_under_which_nothing_is_found_is_no_sound_one(cli: Any, settings: Path) -> None:
    with serving() as server:
        (settings / "config.toml").write_text(f'[providers.vllm]\nbase-url = "{server.origin}/chat/completions"\n')
        lines = cli("models", "--check").stdout.splitlines()
    (line,) = [one for one in lines if " vllm:NAME" in one]
    assert line.startswith("! ")
    assert f"is its address {server.url}?" in line
