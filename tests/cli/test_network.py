"""How the user's own settings say that models are reached, and that no project may say it."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from stratagem.cli._settings import NETWORK, network_of, user_file
from stratagem.models.routes import ONE, config_folder
from stratagem.testing.model_server import Said, serving
from tests.models._tls import Authority

PASSWORD = "pw-canary-8127"


@pytest.fixture
def user(cli: Any, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the user's own file of settings, in a folder that is there."""
    folder = cli.folder.parent / "settings" / "stratagem"
    folder.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder.parent))
    return folder / "config.toml"


def checks(cli: Any) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for one in json.loads(cli("doctor", "--json").stdout)["checks"]:
        found.setdefault(one["name"], []).append((one["state"], one["message"]))
    return found


def test_settings_and_keys_lie_in_one_folder(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:  # fmt: skip
    for platform in ("linux", "darwin", "win32"):
        monkeypatch.setattr("sys.platform", platform)
        for name in ("XDG_CONFIG_HOME", "APPDATA", "HOME"):
            monkeypatch.setenv(name, str(tmp_path / platform / name))
        assert user_file() == config_folder() / "config.toml"


def test_a_provider_has_an_address_and_a_key_of_its_own(cli: Any, user: Path) -> None:
    cli.env["BOX_KEY"] = "sk-box"
    with serving([Said("4"), Said("5")]) as server:
        user.write_text(f'[providers.vllm]\nbase-url = "{server.url}"\napi-key-env = "BOX_KEY"\n')
        assert cli("run", "2+2?", "--strategy", "direct", "--model", "vllm:m").stdout == "4\n"
        words = ("--strategy", "direct", "--model", "vllm:m", "--base-url", f"{server.url}/other")
        assert cli("run", "2+2?", *words).exit_code != 0
    assert server.seen[0].headers["Authorization"] == "Bearer sk-box"
    assert {one.headers.get("Authorization") for one in server.seen[1:]} == {None}


@pytest.mark.parametrize("name", ["stratagem.toml", "pyproject.toml"])
@pytest.mark.parametrize("key", NETWORK)
def test_no_project_says_how_models_are_reached(cli: Any, key: str, name: str) -> None:
    head = "[tool.stratagem]\n" if name == "pyproject.toml" else ""
    value = '{ vllm = { base-url = "https://example.org/v1" } }' if key == "providers" else '"x"'
    (cli.folder / name).write_text(f"{head}{key} = {value}")
    for words in (("run", "2+2?"), ("models", "test", "vllm:m")):
        result = cli(*words)
        assert result.exit_code == 2
        assert f"sets {key!r}, which a project file may not" in result.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[providers.vlm]\nbase-url = "https://x"', "there is no provider 'vlm'; did you mean 'vllm'?"),
        ("[providers.vllm]\nverify = false", "[providers.vllm] sets 'verify', which does not exist"),
        ("allow-http = 1", "'allow-http' is true or false, got 1"),
        ('ca-file = "none.pem"', "which cannot be read: No such file or directory"),
    ],
)
def test_what_means_nothing_is_refused_with_its_file(cli: Any, user: Path, text: str, message: str) -> None:
    user.write_text(text)
    result = cli("run", "2+2?", "--model", "vllm:m")
    assert result.exit_code == 2
    assert message in result.stderr
    assert str(user) in result.stderr
    assert any(message in said for said in (text for _, text in checks(cli)["network"]))


def test_paths_lie_beneath_the_folder_of_the_file(user: Path) -> None:
    authority = Authority(user.parent)
    user.write_text(f'ca-file = "{authority.file.name}"')
    routes = network_of()
    assert routes is not None
    assert routes.of("vllm").ca_file == str(authority.file)


def test_doctor_shows_the_proxy_and_never_its_password(
    cli: Any, user: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    assert checks(cli)["proxy"] == [("ok", "none")]
    monkeypatch.setenv("HTTPS_PROXY", f"http://ada:{PASSWORD}@proxy:3128")
    monkeypatch.setenv("NO_PROXY", ".lan")
    assert checks(cli)["proxy"] == [
        ("ok", "http://***@proxy:3128 (the variable HTTPS_PROXY), not for this machine, nor for .lan (NO_PROXY)")
    ]
    user.write_text(f'proxy = "http://ada:{PASSWORD}@mine"\n[providers.groq]\nproxy = "http://ada:{PASSWORD}@groq"\n')
    found = checks(cli)
    assert found["proxy"] == [("ok", "http://***@mine:80 (your settings), not for this machine")]
    assert found["network groq"] == [("ok", "proxy='http://***@groq:80'")]
    user.write_text('proxy = "none"')
    assert checks(cli)["proxy"] == [("ok", "none, as your settings say")]
    monkeypatch.setenv("HTTPS_PROXY", f"socks5://ada:{PASSWORD}@proxy")
    user.write_text("")
    result = cli("doctor")
    assert result.exit_code == 1
    assert "names a SOCKS proxy" in result.stdout
    assert PASSWORD not in result.stdout


def test_doctor_tries_certificates_and_warns_of_what_is_not_encrypted(cli: Any, user: Path) -> None:
    authority = Authority(user.parent)
    user.write_text(f'ca-file = "{authority.file}"\n[providers.vllm]\nallow-http = true\n')
    found = checks(cli)
    assert found["network"] == [("ok", f"ca_file={str(authority.file)!r}")]
    assert found["network vllm"][0][0] == "warn"
    authority.file.write_text("nothing")
    assert checks(cli)["network"] == [("fail", f"'ca-file' {str(authority.file)!r} holds no certificates in PEM form")]


def test_doctor_says_how_many_keys_are_kept_and_none_of_them(cli: Any, user: Path) -> None:
    assert checks(cli)["key file"] == [("ok", f"none: it would be {user.parent / 'keys.toml'}")]
    (user.parent / "keys.toml").write_text(f'A = "{PASSWORD}"\nB = "x"\n')
    (user.parent / "keys.toml").chmod(0o600)
    assert checks(cli)["key file"] == [("ok", f"2 keys in {user.parent / 'keys.toml'}")]
    assert checks(cli)["keyring"] == [("ok", "there is none here")]
    assert PASSWORD not in cli("doctor").stdout


def test_the_settings_in_the_manual_are_settings(user: Path) -> None:
    page = Path(__file__).parents[2] / "docs" / "manual" / "reaching-models.md"
    block = page.read_text("utf-8").partition("```toml\n")[2].partition("```")[0]
    user.write_text(block)
    for name in ("company-ca.pem", "me.pem"):
        (user.parent / name).write_text("")
    routes = network_of()
    assert routes is not None
    assert routes.of("groq").proxy == "http://proxy.example.org:3128"
    assert routes.of("vllm")[:3] == ("https://models.example.org/v1", "MODELS_KEY", "none")
    assert routes.of("ollama").allow_http
    keys = {
        key for row in re.findall(r"^\| (`.*?) \|", page.read_text("utf-8"), re.MULTILINE) for key in row.split(", ")
    }
    assert keys == {f"`{key}`" for key in ONE}
