"""No cassette holds a secret, and none changes a digest in silence."""

import base64
import json
from pathlib import Path

import pytest

from stratagem.core import Sample
from stratagem.errors import Rejected, ScriptMiss
from stratagem.testing._cassette_secrets import Secrets
from stratagem.testing.cassette import Cassette
from tests.testing._recorded import Counting, answered, twice

CANARY = "sk-canary/93b1+7"
OTHER = "sk-other-55aa01"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trip.jsonl"


def raw(path: Path) -> str:
    return path.read_text("utf-8")


@pytest.fixture(autouse=True)
def _key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)


async def test_a_key_in_a_request_a_reply_and_an_error_is_in_no_line(path: Path) -> None:
    def says(request: object, number: int) -> str | Sample:
        if number == 2:
            raise Rejected(f"the key {CANARY} may not do that", status=400)
        return Sample(f"it is {CANARY}", (("send", {"token": f"Bearer {CANARY}", CANARY: [1]}),))

    with pytest.raises(Rejected):
        await answered(Cassette(Counting(says), path, "record"), twice, question=f"What is {CANARY}?")
    text = raw(path)
    for form in (CANARY, "canary", base64.b64encode(f":{CANARY}".encode()).decode().rstrip("="), "sk-canary%2F93b1"):
        assert form not in text
    first, second = map(json.loads, text.splitlines())
    assert first["reply"] == {"calls": [["send", {"***": [1], "token": "Bearer ***"}]], "text": "it is ***"}
    assert second["error"] == ["Rejected", "the key *** may not do that", {"status": 400}]
    assert first["request"]["message"] == "Name a town.\n\nQuestion: What is ***?"


async def test_the_program_sees_while_recording_what_it_will_see_in_replay(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second request has the first reply in it: were that the whole one, no replay would find the second line."""
    inner = Counting(lambda _, number: f"reply {number} with {CANARY}")
    recorded = await answered(Cassette(inner, path, "record"), twice)
    monkeypatch.delenv("OPENAI_API_KEY")
    replayed = await answered(Cassette(Counting(), path), twice)
    assert recorded.text == replayed.text == "reply 1 with *** reply 2 with ***"
    assert ["scrubbed" in json.loads(line) for line in raw(path).splitlines()] == [False, False]


async def test_a_request_with_a_secret_says_so_and_is_found_with_another_secret(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = Counting()
    await answered(Cassette(inner, path, "record"), question=f"Is {CANARY} mine?")
    line = json.loads(raw(path))
    assert line["scrubbed"] is True
    assert line["digest"] != inner.requests[0].digest.hex()
    monkeypatch.setenv("OPENAI_API_KEY", OTHER)
    assert (await answered(Cassette(Counting(), path), question=f"Is {OTHER} mine?")).text == "reply 1"
    with pytest.raises(ScriptMiss, match=r"which differs in message; a secret was taken out of that request\n"):
        await answered(Cassette(Counting(), path), question="Is sk-none mine?")


async def test_a_request_that_has_the_stars_itself_is_another_one(path: Path) -> None:
    await answered(Cassette(Counting(), path, "record"), question=f"Is {CANARY} mine?")
    with pytest.raises(ScriptMiss, match="which differs in a place where one of the two has a secret"):
        await answered(Cassette(Counting(), path), question="Is *** mine?")


async def test_a_request_without_a_secret_has_the_journals_digest(path: Path) -> None:
    inner = Counting()
    await answered(Cassette(inner, path, "record"))
    assert json.loads(raw(path))["digest"] == inner.requests[0].digest.hex()


async def test_a_secret_of_ones_own_is_hidden_too(path: Path) -> None:
    cassette = Cassette(Counting(lambda *_: "call 555-0199-22"), path, "record", secrets=["555-0199-22"])
    assert (await answered(cassette)).text == "call ***"


def test_what_authorises_is_hidden_whosever_it_is_and_words_are_not() -> None:
    secrets = Secrets({})
    assert secrets.hidden("Authorization: Bearer abcdef0123456789abc") == "Authorization: Bearer ***"
    assert secrets.hidden("Basic dXNlcjpwYXNzd29yZDE=, then") == "Basic ***, then"
    for text in ("Basic internationalization", "the bearer of 1234567890123456789", "Bearer abc"):
        assert secrets.hidden(text) == text


def test_secrets_are_values_of_variables_that_are_called_so_and_long_enough() -> None:
    named = {
        "MY_API_KEY": "value-one-1", "DB_PASSWORD": "value-two-2", "GH_TOKEN": "value-three-3", "KEYBOARD": "value-four-4",
        "MONKEY": "value-five-5", "A_KEY": "short", "GROQ_API_KEY": " value-six-6 ",
    }  # fmt: skip
    shown = " ".join(value.strip() for value in named.values())
    assert Secrets(named).hidden(shown) == "*** *** *** value-four-4 value-five-5 short ***"


def test_of_two_secrets_the_longer_is_taken_out_whole() -> None:
    assert Secrets({"A_KEY": "abcdefgh", "B_KEY": "abcdefghij"}).hidden("abcdefghij abcdefgh") == "*** ***"


def test_what_has_no_secret_stays_the_same_object() -> None:
    form = {"a": ["x", {"b": 1.0}], "c": None}
    assert Secrets({"A_KEY": "abcdefgh"}).clean(form) is form
