import pickle
from typing import Any

import pytest

from stratagem.errors import CapabilityError, UsageError
from stratagem.models.keys import Key, checked_url, loopback, origin_of, placed, proposed
from stratagem.models.routes import Route
from stratagem.models.sources import Sources

SECRET = "sk-canary-5521"


def test_a_providers_key_goes_to_its_own_origin_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    row, key = placed("openai", None, None)
    assert row.url == "https://api.openai.com/v1"
    assert key.headers("https://api.openai.com:443") == {"Authorization": f"Bearer {SECRET}"}
    for elsewhere in (
        "https://api.openai.com:8443",
        "http://api.openai.com:443",
        "https://api.openai.com.evil.org:443",
    ):
        assert key.headers(elsewhere) == {}


def test_another_address_gets_no_key_unless_one_is_named_for_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("MY_KEY", "mine")
    row, key = placed("openai", "https://example.org/v1", None)
    assert (row.title, key.headers("https://example.org:443"), key.lacks) == ("an OpenAI-compatible server", {}, None)
    _, key = placed("openai", "https://example.org/v1", "MY_KEY")
    assert key.headers("https://example.org:443") == {"Authorization": "Bearer mine"}
    assert key.headers("https://api.openai.com:443") == {}


def test_another_path_at_the_providers_origin_keeps_its_key_and_its_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    row, key = placed("openai", "https://api.openai.com/v2/", None)
    assert (row.url, row.title, bool(key.headers(origin_of(row.url)))) == ("https://api.openai.com/v2", "OpenAI", True)


async def test_a_key_that_is_missing_says_which_variable() -> None:
    sources = Sources(environ={})
    await sources.ask("GROQ_API_KEY")
    _, key = placed("groq", None, None, sources=sources)
    assert str(key.lacks) == "models `groq:` need a key of Groq, and GROQ_API_KEY is not set"
    await sources.ask("NO_SUCH_KEY")
    with pytest.raises(
        UsageError, match=r"'NO_SUCH_KEY', which is to hold the key for http://127\.0\.0\.1:1, is not set"
    ):
        placed("vllm", "http://127.0.0.1:1/v1", "NO_SUCH_KEY", sources=sources)


async def test_a_key_is_known_to_be_missing_only_when_the_keyring_has_been_asked() -> None:
    _, key = placed("groq", None, None, sources=Sources(environ={}))
    assert key.lacks is None
    with pytest.raises(CapabilityError, match="GROQ_API_KEY is not set") as caught:
        await key.ready()
    assert key.lacks is caught.value


def test_a_routes_variable_is_for_the_routes_address_and_no_other() -> None:
    sources = Sources(environ={"MY_KEY": "mine", "OPENAI_API_KEY": SECRET})
    route = Route(base_url="https://example.org/v1", api_key_env="MY_KEY")
    row, key = placed("openai", None, None, route, sources)
    assert (row.url, key.headers("https://example.org:443")) == (
        "https://example.org/v1", {"Authorization": "Bearer mine"}
    )  # fmt: skip
    row, key = placed("openai", "https://other.org/v1", None, route, sources)
    assert (row.url, key.headers("https://other.org:443"), key.variable) == ("https://other.org/v1", {}, "")
    row, key = placed("openai", "https://api.openai.com/v1", None, route, sources)
    assert key.headers("https://api.openai.com:443") == {"Authorization": f"Bearer {SECRET}"}


def test_plain_http_to_another_machine_is_for_users_who_say_so() -> None:
    with pytest.raises(UsageError, match="is not encrypted") as caught:
        placed("vllm", "http://box.lan:8000/v1", None)
    assert "allow-http = true" in caught.value.remedy
    row, _ = placed("vllm", "http://box.lan:8000/v1", None, Route(allow_http=True))
    assert row.url == "http://box.lan:8000/v1"


def test_what_the_user_knows_of_a_server_replaces_what_the_row_says() -> None:
    claims = {"fields": frozenset({"tools", "seed"}), "native_n": True}
    route = Route(base_url="http://127.0.0.1:1/v1", claims=claims)
    for url in (None, "http://127.0.0.1:1/v2"):
        made = placed("openai", url, None, route)[0].capabilities("m")
        assert (made.fields, made.native_n, made.schema) == ({"tools", "seed"}, True, "advisory")
    made = placed("openai", "http://127.0.0.1:2/v1", None, route)[0].capabilities("m")  # another server
    assert (made.native_n, "top_p" in made.fields) == (False, True)


def test_what_is_no_key_is_refused_without_showing_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{SECRET}\r\nX-Evil: 1")
    with pytest.raises(UsageError) as caught:
        placed("openai", None, None)
    assert SECRET not in str(caught.value)


def test_a_key_shows_itself_nowhere() -> None:
    key = Key(SECRET, "X", "https://a:443")
    assert (repr(key), str(key), f"{key}") == ("***", "***", "***")
    assert key.hidden(f"Bearer {SECRET}!") == "Bearer ***!"
    with pytest.raises(TypeError):
        pickle.dumps(key)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://example.org/v1", "is not encrypted"),
        ("http://127.0.0.1.example.org/v1", "is not encrypted"),
        ("ftp://example.org", "is no address of a server"),
        ("example.org/v1", "is no address of a server"),
        ("https://", "is no address of a server"),
        ("https://a:b@example.org/v1", "holds a name or a password"),
        ("https://example.org/v1?key=1", "is no address of a server"),
        ("https://example.org:99999/v1", "is no address of a server"),
        ("https://[::1/v1", "is no address of a server"),
    ],
)
def test_where_requests_may_not_go_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        checked_url(url)


@pytest.mark.parametrize(
    ("url", "origin", "here"),
    [
        ("http://localhost:8000/v1/", "http://localhost:8000", True),
        ("http://[::1]:9/v1", "http://[::1]:9", True),
        ("https://EXAMPLE.org/v1", "https://example.org:443", False),
    ],
)
def test_an_origin_is_scheme_host_and_port(url: str, origin: Any, here: bool) -> None:
    assert (origin_of(checked_url(url)), loopback(url)) == (origin, here)


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000/v1"),
        ("http://127.0.0.1:8000/v1/chat/completions", "http://127.0.0.1:8000/v1"),
        ("https://box/chat/completions", "https://box/v1"),
        ("https://box/v1", ""),
        ("https://box/v1beta/openai", ""),
        ("https://v1.box", "https://v1.box/v1"),
    ],
)
def test_the_base_url_that_was_probably_meant(url: str, meant: str) -> None:
    assert proposed(url) == meant
