import pickle
from typing import Any

import pytest

from stratagem.errors import UsageError
from stratagem.models.keys import Key, checked_url, loopback, origin_of, placed

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


def test_a_key_that_is_missing_says_which_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GROQ_API_KEY", raising=False)
    _, key = placed("groq", None, None)
    assert str(key.lacks) == "models `groq:` need a key of Groq, and GROQ_API_KEY is not set"
    with pytest.raises(
        UsageError, match=r"'NO_SUCH_KEY', which is to hold the key for http://127\.0\.0\.1:1, is not set"
    ):
        placed("vllm", "http://127.0.0.1:1/v1", "NO_SUCH_KEY")


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
