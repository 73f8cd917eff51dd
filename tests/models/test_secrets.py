"""Canaries: a key from each source and a proxy's password are sent where they belong, and stand in nothing that is written."""

import asyncio
import base64
import faulthandler
import json
import logging
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import keyring
import pytest

import stratagem
from stratagem.errors import Rejected, StratagemError, Unavailable
from stratagem.models import open_model
from stratagem.testing.cassette import Cassette
from stratagem.testing.model_server import Fault, ModelServer, Said
from tests.models._tls import Authority, Connecting, proxying, tls
from tests.models.test_sources import Kept

KEY = "sk-canary-48c1"
PASSWORD = "pw-canary-48c2"
LOGIN = base64.b64encode(f"ada:{PASSWORD}".encode()).decode()
SECRETS = (KEY, PASSWORD, LOGIN)
HOST = "models.test"
CALL = Said("To the sum.", calls=(("calculate", '{"expression": "6*7"}'),))
ECHO = "you sent {authorization}"


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


@pytest.fixture(params=["variable", "file", "keyring"])
def source(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    """Put the key where it is to be found, and nowhere else."""
    settings = tmp_path / "settings" / "stratagem"
    settings.mkdir(parents=True)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(settings.parent))
    before = keyring.get_keyring()
    if request.param == "variable":
        monkeypatch.setenv("MY_KEY", KEY)
    elif request.param == "file":
        (settings / "keys.toml").write_text(f'MY_KEY = "{KEY}"\n')
        (settings / "keys.toml").chmod(0o600)
    else:
        keyring.set_keyring(Kept({"MY_KEY": KEY}))
    yield request.param
    keyring.set_keyring(before)


@pytest.fixture
async def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[ModelServer, Connecting, Any]]:
    """Return a server behind TLS and a proxy with a password, and how both are reached."""
    folder = tmp_path / "certificates"
    folder.mkdir()
    authority = Authority(folder)
    async with (
        ModelServer() as server,
        tls(authority.signed(HOST), int(server.origin.rpartition(":")[2])) as port,
        proxying(Connecting({f"{HOST}:443": port}, f"ada:{PASSWORD}")) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://ada:{PASSWORD}@127.0.0.1:{proxy.port}")
        own = {"base-url": f"https://{HOST}/v1", "api-key-env": "MY_KEY"}
        yield server, proxy, {"ca-file": str(authority.file), "providers": {"vllm": own}}


def everything(made: Any, seen: set[int], depth: int = 6) -> list[str]:
    """Return how an object, and what it holds, and what that holds, show themselves."""
    if id(made) in seen or depth == 0:
        return []
    seen.add(id(made))
    found = [repr(made)]
    inner = list(vars(made).values()) if hasattr(made, "__dict__") else []
    inner += [getattr(made, name, None) for name in getattr(type(made), "__slots__", ()) if not _secret(made, name)]
    for one in inner:
        if type(one).__module__.startswith("stratagem"):
            found += everything(one, seen, depth - 1)
        else:
            found.append(repr(one))
    return found


def _secret(made: Any, name: str) -> bool:
    """Whether an attribute is where the secret is held."""
    return (type(made).__name__, name) in (("Key", "_value"), ("Proxy", "_login"))


async def test_a_secret_is_sent_and_stands_nowhere_else(
    source: str, place: Any, tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    server, proxy, network = place
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    server.add(
        Fault("status", status=500, message=ECHO), CALL, Fault("error body", message=ECHO), Said("42"),
        *[Fault("error event", code=503, message=ECHO)] * 5, Fault("status", status=400, message=ECHO),
    )  # fmt: skip
    home = tmp_path / "home"
    events: list[Any] = []
    written: list[str] = []
    settings: dict[str, Any] = {"model": "vllm:m", "network": network, "home": home, "tools": ["calculate"]}
    async with stratagem.open(**settings, on_event=events.append) as session:
        answer = await session.run("react", "What is 6 times 7?")
        written += [repr(answer), repr(await session.show(answer.run_id))]
        written += everything(session._services.model, set())
        written += [repr(session), repr(vars(session)), repr(session._services)]
        for kind in (Unavailable, Rejected):
            with pytest.raises(kind, match=r"you sent Bearer \*\*\*") as caught:
                await session.run("direct", "What is 2+2?")
            written += [repr(caught.value), caught.value.remedy, json.dumps(caught.value.form())]
            written += traceback.format_exception(caught.value)
        with (tmp_path / "crash.txt").open("w+") as crash:
            faulthandler.dump_traceback(crash)
    assert [one.headers["Authorization"] for one in server.seen] == [f"Bearer {KEY}"] * 10
    assert f"Proxy-Authorization: Basic {LOGIN}" in proxy.heads[0]
    assert not any(KEY in head for head in proxy.heads)
    assert len(written) > 40
    assert caplog.records
    written += [*map(repr, events), *capfd.readouterr(), caplog.text, *(repr(vars(one)) for one in caplog.records)]
    assert leaks(written) == []
    kept = {str(path): path.read_bytes() for folder in (home, tmp_path) for path in folder.rglob("*") if path.is_file()}
    assert any(name.endswith("journal.sqlite") for name in kept)
    holds = {"keys.toml"} if source == "file" else set[str]()
    assert {Path(name).name for name, data in kept.items() if leaks([data.decode(errors="replace")])} == holds


def leaks(written: list[str]) -> list[str]:
    return [text[:500] for text in written if any(secret in text for secret in SECRETS)]


async def test_a_failing_proxy_names_no_password(place: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _, proxy, network = place
    monkeypatch.setenv("MY_KEY", KEY)
    written: list[str] = []
    for address in (
        f"http://ada:x{PASSWORD}@127.0.0.1:{proxy.port}",
        f"http://ada:{PASSWORD}@127.0.0.1:1",
        f"http://ada:{PASSWORD}@no.test",
    ):
        events: list[Any] = []
        settings: dict[str, Any] = {"network": {**network, "proxy": address}, "home": tmp_path / "home"}
        async with stratagem.open(model="vllm:m", **settings, on_event=events.append) as session:
            with pytest.raises(StratagemError, match="the proxy http://") as caught:
                await session.run("direct", "What is 2+2?")
        written += [*map(repr, events), *traceback.format_exception(caught.value), json.dumps(caught.value.form())]
    assert leaks(written) == []
    kept = [path.read_bytes().decode(errors="replace") for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert kept
    assert leaks(kept) == []


def holding(folder: Path) -> set[str]:
    """Return the names of the files that hold the key."""
    return {file.name for file in folder.rglob("*") if file.is_file() and KEY.encode() in file.read_bytes()}


async def test_a_cassette_holds_no_key_wherever_it_was_found(source: str, place: Any, tmp_path: Path) -> None:
    server, _, network = place
    path = tmp_path / "trip.jsonl"
    server.add(
        Said(f"you sent Bearer {KEY}"), Fault("status", status=400, message=ECHO),
        Said("", calls=(("calculate", json.dumps({"expression": KEY})),)), Said(f"{KEY}."),
    )  # fmt: skip
    written: list[str] = []
    for mode in ("record", "replay"):
        model = open_model("vllm:m", network=network)
        cassette = Cassette(model, path, mode)
        async with stratagem.open(model=cassette, home=tmp_path / mode, tools=["calculate"], memory="none") as session:
            first = await session.run("direct", "What did I send?")
            with pytest.raises(Rejected, match=r"you sent Bearer \*\*\*") as caught:
                await session.run("direct", "What else?")
            second = await session.run("react", "6*7?")
            written += [first.text, second.text, repr(first), repr(caught.value), repr(cassette)]
        assert (first.text, second.text) == ("you sent Bearer [key of MY_KEY]", "[key of MY_KEY].")
    assert {one.headers["Authorization"] for one in server.seen} == {f"Bearer {KEY}"}
    assert len(server.seen) == 4
    assert leaks(written) == []
    assert holding(tmp_path) == ({"keys.toml"} if source == "file" else set())
