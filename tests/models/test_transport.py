"""Certificates and proxies, on real sockets."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import stratagem
from stratagem.errors import Rejected, Unreachable, UsageError
from stratagem.models import open_model
from stratagem.models.routes import Route
from stratagem.models.transport import verifying
from stratagem.testing.model_server import ModelServer, Said
from tests.models._tls import Authority, Connecting, proxying, tls
from tests.models._wire import asked

PASSWORD = "pw-canary-3390"
KEY = "sk-canary-3391"
HOST = "models.test"  # a name that nobody but the proxy knows
URL = f"https://{HOST}/v1"


@pytest.fixture
async def server() -> AsyncIterator[ModelServer]:
    async with ModelServer(lambda _: Said("4")) as server:
        yield server


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.gateway.pause", lambda number, told, dice: told or 0.0)


def port_of(server: ModelServer) -> int:
    return int(server.origin.rpartition(":")[2])


async def reply(url: str, **network: Any) -> str:
    """Ask a server, and return what it says."""
    model: Any = open_model("vllm:m", base_url=url, network=network)
    try:
        return (await model.complete(asked(model, "2+2?"))).samples[0].text
    finally:
        await model.aclose()


async def refusal(url: str, **network: Any) -> Unreachable:
    with pytest.raises(Unreachable) as caught:
        await reply(url, **network)
    return caught.value


async def test_a_certificate_of_ones_own_authority_is_believed(server: ModelServer, authority: Authority) -> None:
    async with tls(authority.signed("localhost"), port_of(server)) as port:
        assert await reply(f"https://localhost:{port}/v1", **{"ca-file": str(authority.file)}) == "4"
    assert len(server.seen) == 1


@pytest.mark.parametrize(
    ("name", "over", "known", "why"),
    [
        ("localhost", False, False, "unable to get local issuer certificate"),
        ("elsewhere.test", False, True, "Hostname mismatch, certificate is not valid for 'localhost'"),
        ("localhost", True, True, "certificate has expired"),
    ],
)
async def test_a_certificate_that_shows_nothing_is_refused_once_and_nothing_is_sent(
    server: ModelServer, authority: Authority, name: str, over: bool, known: bool, why: str
) -> None:
    trusted = {"ca-file": str(authority.file)} if known else {}
    async with tls(authority.signed(name, over=over), port_of(server)) as port:
        error = await refusal(f"https://localhost:{port}/v1", **trusted)
    assert f"cannot show who it is: {why}" in str(error)
    assert (error.attempts, server.seen) == (1, [])


def test_no_setting_switches_verification_off() -> None:
    context = verifying()
    assert (context.check_hostname, context.verify_mode.name) == (True, "CERT_REQUIRED")
    for key in ("verify", "insecure", "verify-ssl", "tls-verify"):
        with pytest.raises(UsageError, match="does not exist"):
            open_model("vllm:m", network={key: False})


def test_the_keys_of_connections_are_not_logged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys.log"))
    assert verifying().keylog_filename is None
    assert list(tmp_path.iterdir()) == []


async def test_a_server_may_want_a_certificate_of_ours(server: ModelServer, authority: Authority) -> None:
    mine = {"client-cert": str(authority.signed("ada")), "ca-file": str(authority.file)}
    async with tls(authority.signed("localhost"), port_of(server), clients=authority.file) as port:
        assert await reply(f"https://localhost:{port}/v1", **mine) == "4"
        with pytest.raises(stratagem.StratagemError):
            await reply(f"https://localhost:{port}/v1", **{"ca-file": str(authority.file)})
    assert len(server.seen) == 1


def test_certificates_that_cannot_be_used_are_refused_when_a_model_is_opened(authority: Authority) -> None:
    none = authority.file.with_name("none.pem")
    none.write_text("nothing")
    locked = authority.signed("ada", password=b"x")
    for network, message in (
        ({"ca-file": str(none)}, "'ca-file' .* holds no certificates in PEM form"),
        ({"client-cert": str(none)}, "no certificate with its key in PEM form"),
        ({"client-cert": str(locked)}, "no certificate with its key in PEM form"),
        ({"client-cert": str(authority.signed("bob")), "client-key": str(locked)}, "no certificate with its key"),
    ):
        with pytest.raises(UsageError, match=message):
            open_model("vllm:m", base_url="https://localhost:1/v1", network=network)


async def test_a_proxy_connects_and_sees_neither_key_nor_question(
    server: ModelServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    async with (
        tls(authority.signed(HOST), port_of(server)) as port,
        proxying(Connecting({f"{HOST}:443": port})) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        model: Any = open_model(
            "vllm:m", base_url=URL, api_key_env="MY_KEY", network={"ca-file": str(authority.file)}
        )  # fmt: skip
        assert (await model.complete(asked(model, "2+2?"))).samples[0].text == "4"
        await model.aclose()
    assert proxy.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]
    assert KEY not in proxy.heads[0]
    assert "Proxy-Authorization" not in proxy.heads[0]
    assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"


async def test_a_proxy_of_the_settings_gets_name_and_password(server: ModelServer, authority: Authority) -> None:
    async with (
        tls(authority.signed(HOST), port_of(server)) as port,
        proxying(Connecting({f"{HOST}:443": port}, login=f"ada:{PASSWORD}")) as proxy,
    ):
        trusted = {"ca-file": str(authority.file)}
        address = f"127.0.0.1:{proxy.port}"
        assert await reply(URL, proxy=f"http://ada:{PASSWORD}@{address}", **trusted) == "4"
        error = await refusal(URL, proxy=f"http://ada:not-{PASSWORD}@{address}", **trusted)
        assert str(error) == (
            f"the proxy http://***@{address} answered 407 and did not connect to vLLM (https://{HOST}:443)"
        )
        assert PASSWORD not in error.remedy
    assert (error.attempts, len(proxy.asked), len(server.seen)) == (1, 2, 1)


async def test_an_unencrypted_request_goes_through_a_proxy_that_is_set_for_it() -> None:
    async with proxying(Connecting({}, f"ada:{PASSWORD}", "400 Bad Request")) as proxy:
        address = f"http://ada:{PASSWORD}@127.0.0.1:{proxy.port}"
        with pytest.raises(Rejected):
            await reply("http://box.test:8000/v1", proxy=address, **{"allow-http": True})
    assert proxy.asked == ["POST http://box.test:8000/v1/chat/completions HTTP/1.1"]
    assert "\r\nAuthorization:" not in proxy.heads[0]


async def test_a_proxy_may_itself_speak_tls(server: ModelServer, authority: Authority) -> None:
    async with (
        tls(authority.signed(HOST), port_of(server)) as port,
        proxying(Connecting({f"{HOST}:443": port}), authority.signed("localhost")) as proxy,
    ):
        network = {"ca-file": str(authority.file), "proxy": f"https://localhost:{proxy.port}"}
        assert await reply(URL, **network) == "4"
    assert proxy.asked == [f"CONNECT {HOST}:443 HTTP/1.1"]


async def test_a_proxy_cannot_stand_in_for_the_server(server: ModelServer, authority: Authority) -> None:
    stranger = Authority(authority.file.parent, "stranger")
    async with (
        tls(stranger.signed(HOST), port_of(server)) as port,
        proxying(Connecting({f"{HOST}:443": port})) as proxy,
    ):
        error = await refusal(URL, **{"ca-file": str(authority.file), "proxy": f"http://127.0.0.1:{proxy.port}"})
    assert "cannot show who it is" in str(error)
    assert server.seen == []


@pytest.mark.parametrize(("status", "attempts"), [("403 Forbidden", 1), ("502 Bad Gateway", 5)])
async def test_a_proxy_that_does_not_connect_says_so(status: str, attempts: int) -> None:
    async with proxying(Connecting({}, status=status)) as proxy:
        error = await refusal(URL, proxy=f"http://127.0.0.1:{proxy.port}")
    assert f"answered {status[:3]} and did not connect to vLLM" in str(error)
    assert (error.attempts, len(proxy.asked)) == (attempts, attempts)


async def test_a_proxy_that_is_not_there_is_named_and_not_gone_around() -> None:
    async with proxying(Connecting({})) as proxy:
        port = proxy.port
    error = await refusal(URL, proxy=f"http://ada:{PASSWORD}@127.0.0.1:{port}")
    assert str(error).startswith(
        f"nobody answers at the proxy http://***@127.0.0.1:{port} (the setting 'proxy'), through which vLLM"
    )
    assert 'proxy = "none"' in error.remedy
    assert PASSWORD not in f"{error} {error.remedy}"


async def test_nothing_stands_between_us_and_a_server_on_this_machine(
    server: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with proxying(Connecting({})) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert await reply(server.url) == "4"
        assert await reply(server.url, proxy=f"http://127.0.0.1:{proxy.port}") == "4"
    assert proxy.asked == []


async def test_the_environment_is_read_once_when_a_model_is_opened(
    server: ModelServer, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with (
        tls(authority.signed(HOST), port_of(server)) as port,
        proxying(Connecting({f"{HOST}:443": port})) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.port}")
        model: Any = open_model("vllm:m", base_url=URL, network={"ca-file": str(authority.file)})
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        assert (await model.complete(asked(model, "2+2?"))).samples[0].text == "4"
        await model.aclose()


def test_a_route_without_files_costs_no_certificates(monkeypatch: pytest.MonkeyPatch) -> None:
    from stratagem.models.transport import Access

    monkeypatch.setattr("stratagem.models.transport.verifying", lambda route: pytest.fail("read the store"))
    assert Access.of("https://api.openai.com/v1", Route()) == (None, None)
    assert Access.of("http://127.0.0.1:8000/v1", Route(ca_file="x")) == (None, None)
