import contextlib
import pickle
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.errors import UsageError
from stratagem.models.routes import Proxy, Route, Routes, proxy_for

PASSWORD = "pw-canary-7711"
URL = "https://api.openai.com/v1"


def test_what_is_said_of_all_providers_is_said_of_each_unless_it_says_otherwise(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    routes = Routes(
        {
            "proxy": "http://proxy:3128",
            "ca-file": "ca.pem",
            "providers": {"vllm": {"base-url": "https://box/v1", "api-key-env": "BOX_KEY", "proxy": "none"}},
        },
        folder=tmp_path,
    )
    assert routes.of("groq") == Route(proxy="http://proxy:3128", ca_file=str(tmp_path / "ca.pem"))
    assert routes.of("vllm") == Route("https://box/v1", "BOX_KEY", "none", str(tmp_path / "ca.pem"))
    assert bool(routes)
    assert not Routes()


def test_what_a_server_honours_can_be_said() -> None:
    said = {"fields": ["tools", "seed"], "schema": "constrained", "native-n": True, "media": ["image/png"]}
    claims = Routes({"providers": {"openai": said}}).of("openai").claims
    assert claims == {
        "fields": frozenset({"tools", "seed"}), "schema": "constrained", "native_n": True,
        "media": frozenset({"image/png"}),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({"prox": "x"}, "network sets 'prox', which does not exist"),
        ({"verify": False}, "network sets 'verify', which does not exist"),
        ({"base-url": "https://x"}, "network sets 'base-url', which does not exist"),
        ({"proxy": 3}, r"'proxy' is a text, got \*\*\*"),
        ({"allow-http": "yes"}, "'allow-http' is true or false, got 'yes'"),
        ({"ca-file": "no-such-file"}, "'ca-file' names 'no-such-file', which cannot be read: No such file"),
        ({"client-key": __file__}, "sets 'client-key' without 'client-cert'"),
        ({"proxy": "socks5://x:1"}, "names a SOCKS proxy"),
        ({"proxy": f"ftp://a:{PASSWORD}@x"}, "'proxy' is no address of a proxy"),
        ({"proxy": "http://x:99999"}, "is no address of a proxy"),
        ({"providers": 3}, "'providers' is a table, got 3"),
        ({"providers": {"vllm": 3}}, r"\[providers.vllm\] is no table"),
        ({"providers": {"vlm": {}}}, "there is no provider 'vlm'; did you mean 'vllm'"),
        ({"providers": {"vllm": {"fields": ["seeds"]}}}, "'fields' is a list of some of"),
        ({"providers": {"vllm": {"fields": ["sed"]}}}, r"did you mean 'seed'\?, got"),
        ({"providers": {"vllm": {"fields": [""]}}}, "'fields' is a list of some of"),
        ({"providers": {"vllm": {"base-ur": "x"}}}, "sets 'base-ur', which does not exist; did you mean 'base-url'"),
        ({"providers": {"vllm": {"schema": "hard"}}}, "'schema' is one of none, advisory, constrained, got 'hard'"),
        ({"providers": {"vllm": {"media": "image/png"}}}, "'media' is a list of media types"),
    ],
)
def test_what_means_nothing_is_refused(form: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        Routes(form)
    assert PASSWORD not in f"{caught.value} {caught.value.remedy}"


@pytest.mark.parametrize(
    ("text", "url", "login"),
    [
        ("http://proxy.example.org:3128", "http://proxy.example.org:3128", None),
        ("proxy:3128", "http://proxy:3128", None),
        ("https://proxy", "https://proxy:443", None),
        ("http://[::1]:8", "http://[::1]:8", None),
        (f"http://ada:{PASSWORD}@proxy", "http://proxy:80", ("ada", PASSWORD)),
        ("http://a%40b:p%3Aw@proxy", "http://proxy:80", ("a@b", "p:w")),
    ],
)
def test_a_proxy_is_an_address_and_may_want_a_password(text: str, url: str, login: Any) -> None:
    proxy = Proxy.of(text, "x")
    assert proxy is not None
    assert (proxy.url, proxy.login) == (url, login)


def test_a_proxys_password_is_shown_nowhere() -> None:
    text = f"http://ada:{PASSWORD}@proxy:3128"
    proxy, routes = Proxy.of(text, "x"), Routes({"proxy": text})
    assert proxy is not None
    assert (repr(proxy), str(proxy)) == ("http://***@proxy:3128",) * 2
    assert PASSWORD not in f"{routes!r} {routes.of('vllm')!r} {routes.of('vllm')}"
    assert proxy.hidden(f"you sent {PASSWORD}") == "you sent ***"
    with pytest.raises(TypeError):
        pickle.dumps(proxy)


def through(url: str, said: str = "", **environ: str) -> str:
    return repr(proxy_for(url, said, environ))


def test_the_environment_names_a_proxy_for_servers_elsewhere() -> None:
    assert through(URL) == "None"
    assert through(URL, HTTPS_PROXY="http://p:1") == "http://p:1"
    assert through(URL, HTTPS_PROXY="http://p:1", https_proxy="http://q:1") == "http://q:1"
    assert through(URL, HTTP_PROXY="http://p:1", ALL_PROXY="http://p:1") == "None"
    assert through("http://box.lan/v1", HTTPS_PROXY="http://p:1") == "None"


def test_a_setting_wins_over_the_environment() -> None:
    assert through(URL, "http://mine:1", HTTPS_PROXY="http://p:1", NO_PROXY="*") == "http://mine:1"
    assert through(URL, "none", HTTPS_PROXY="http://p:1") == "None"
    assert through("http://box.lan/v1", "http://mine:1") == "http://mine:1"


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000/v1", "https://localhost/v1", "https://[::1]:1/v1"])
def test_nothing_stands_between_us_and_this_machine(url: str) -> None:
    assert through(url, "http://mine:1", HTTPS_PROXY="http://p:1") == "None"


def test_a_proxy_that_cannot_be_spoken_to_is_refused_and_not_gone_around() -> None:
    with pytest.raises(UsageError, match="the variable HTTPS_PROXY names a SOCKS proxy") as caught:
        through(URL, HTTPS_PROXY="socks5h://p:1")
    assert "`none`" in caught.value.remedy


@pytest.mark.parametrize(
    ("listed", "direct"),
    [
        ("*", True),
        ("openai.com", True),
        (".openai.com", True),
        ("*.openai.com", True),
        ("API.OpenAI.com", True),
        ("localhost, api.openai.com", True),
        ("localhost api.openai.com", True),
        ("api.openai.com:443", True),
        ("api.openai.com:8443", False),
        ("penai.com", False),
        ("openai.com.evil.org", False),
        (",,", False),
        (".", False),
        (":443", False),
    ],
)
def test_no_proxy_lists_names_and_domains(listed: str, direct: bool) -> None:
    assert (through(URL, HTTPS_PROXY="http://p:1", NO_PROXY=listed) == "None") is direct


@pytest.mark.parametrize(
    ("url", "listed", "direct"),
    [
        ("https://10.1.2.3/v1", "10.0.0.0/8", True),
        ("https://11.1.2.3/v1", "10.0.0.0/8", False),
        ("https://10.1.2.3/v1", "10.1.2.3", True),
        ("https://10.1.2.3:9/v1", "10.1.2.3:9", True),
        ("https://[fd00::1]/v1", "fd00::/8", True),
        ("https://[fd00::1]/v1", "[fd00::1]", True),
        ("https://10.1.2.3/v1", "3", False),
    ],
)
def test_no_proxy_lists_addresses_and_networks(url: str, listed: str, direct: bool) -> None:
    assert (through(url, HTTPS_PROXY="http://p:1", NO_PROXY=listed) == "None") is direct


@given(st.text())
def test_whatever_no_proxy_says_it_breaks_nothing(listed: str) -> None:
    assert through(URL, HTTPS_PROXY="http://p:1", NO_PROXY=listed) in ("None", "http://p:1")


@given(st.text())
def test_whatever_a_proxys_setting_says_it_is_a_proxy_or_refused(text: str) -> None:
    with contextlib.suppress(UsageError):
        made = Proxy.of(text, "x")
        assert made is None or made.url.startswith(("http://", "https://"))
