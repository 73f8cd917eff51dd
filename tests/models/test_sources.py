import asyncio
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import keyring
import keyring.backend
import keyring.backends.fail
import keyring.backends.null
import pytest

from stratagem.errors import CapabilityError, UsageError
from stratagem.models.keys import placed
from stratagem.models.sources import Sources, keyring_here, read_keys

SECRET = "sk-canary-2207"


class Kept(keyring.backend.KeyringBackend):
    """A keyring in memory."""

    priority: Any = 5
    name = "a keyring of the tests"

    def __init__(self, secrets: dict[str, str], before: Any = None) -> None:
        super().__init__()
        self.secrets, self.before, self.asked, self.threads = secrets, before, list[Any](), set[str]()

    def get_password(self, service: str, username: str) -> str | None:
        self.asked.append((service, username))
        self.threads.add(threading.current_thread().name)
        if self.before is not None:
            self.before()
        return self.secrets.get(username)

    def set_password(self, service: str, username: str, password: str) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def _ones_own_keyring() -> Iterator[None]:
    before = keyring.get_keyring()
    yield
    keyring.set_keyring(before)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "keys.toml"
    path.write_text(f'GROQ_API_KEY = "{SECRET}"\n')
    path.chmod(0o600)
    return path


def kept(secrets: dict[str, str], before: Any = None) -> Kept:
    backend = Kept(secrets, before)
    keyring.set_keyring(backend)
    return backend


async def test_a_key_comes_from_its_variable_else_the_file_else_the_keyring(file: Path) -> None:
    backend = kept({"GROQ_API_KEY": "kept", "XAI_API_KEY": "kept"})
    sources = Sources(file, {"GROQ_API_KEY": " set \n"})
    assert tuple(sources.at_hand("GROQ_API_KEY") or ()) == ("set", "variable GROQ_API_KEY")
    sources = Sources(file, {"GROQ_API_KEY": " "})
    assert tuple(sources.at_hand("GROQ_API_KEY") or ()) == (SECRET, f"file {file}")
    assert backend.asked == []
    assert sources.at_hand("XAI_API_KEY") is None
    assert tuple(await sources.ask("XAI_API_KEY") or ()) == ("kept", "keyring")
    assert tuple(sources.at_hand("XAI_API_KEY") or ()) == ("kept", "keyring")


async def test_the_keyring_is_asked_once_and_never_on_the_event_loop() -> None:
    backend = kept({"XAI_API_KEY": "kept"})
    sources = Sources(environ={})
    found = await asyncio.gather(*(sources.ask("XAI_API_KEY") for _ in range(20)), sources.ask("GROQ_API_KEY"))
    assert [one.value if one else None for one in found] == ["kept"] * 20 + [None]
    assert await sources.ask("GROQ_API_KEY") is None
    assert not sources.may_be_kept("GROQ_API_KEY")
    assert sorted(backend.asked) == [("stratagem", "GROQ_API_KEY"), ("stratagem", "XAI_API_KEY")]
    assert backend.threads == {"keyring"}


async def test_a_key_in_the_keyring_is_sent_like_any_other() -> None:
    kept({"GROQ_API_KEY": SECRET})
    _, key = placed("groq", None, None, sources=Sources(environ={}))
    assert key.headers("https://api.groq.com:443") == {}
    await asyncio.gather(key.ready(), key.ready())
    assert key.headers("https://api.groq.com:443") == {"Authorization": f"Bearer {SECRET}"}
    assert (key.source, repr(key), SECRET in f"{key.lacks}") == ("keyring", "***", False)


@pytest.mark.parametrize("none", [keyring.backends.fail.Keyring(), keyring.backends.null.Keyring()])
async def test_a_keyring_that_is_none_has_no_key_and_is_no_error(none: Any) -> None:
    keyring.set_keyring(none)
    sources = Sources(environ={})
    assert await sources.ask("GROQ_API_KEY") is None
    assert (sources.trouble, keyring_here()) == ("", "")


async def test_a_keyring_that_fails_has_no_key_and_says_only_what_kind_of_failure_it_was() -> None:
    def broken() -> None:
        raise RuntimeError(f"no bus, but here is {SECRET}")

    kept({}, broken)
    _, key = placed("groq", None, None, sources=Sources(environ={}))
    with pytest.raises(CapabilityError) as caught:
        await key.ready()
    assert str(caught.value) == (
        "models `groq:` need a key of Groq, and GROQ_API_KEY is not set (the keyring failed: RuntimeError)"
    )


async def test_a_keyring_that_waits_for_a_person_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models.sources.ALONE_S", 0.01)
    answered = threading.Event()
    backend = kept({"GROQ_API_KEY": SECRET}, answered.wait)
    sources = Sources(environ={}, interactive=False)
    try:
        _, key = placed("groq", None, None, sources=sources)
        with pytest.raises(CapabilityError, match=r"is not set \(the keyring did not answer within 0\.01 s\)$"):
            await key.ready()
        assert (await sources.ask("GROQ_API_KEY"), sources.ask_now("GROQ_API_KEY")) == (None, None)
        assert len(backend.asked) == 1
    finally:
        answered.set()


def test_whoever_sits_in_front_of_a_prompt_is_given_time() -> None:
    assert (Sources(interactive=True)._limit_s, Sources(interactive=False)._limit_s) == (60.0, 3.0)


def test_a_process_ends_though_the_keyring_never_answers(tmp_path: Path) -> None:
    program = (
        "import keyring, time, sys\n"
        "from tests.models.test_sources import Kept\n"
        "from stratagem.models import sources\n"
        "sources.ALONE_S = 0.01\n"
        "keyring.set_keyring(Kept({}, lambda: time.sleep(600)))\n"
        "print(sources.Sources(environ={}, interactive=False).ask_now('X'))\n"
    )
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": f"{root / 'src'}{os.pathsep}{root}"}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, timeout=60, check=False
    )
    assert (done.stdout, done.returncode) == ("None\n", 0), done.stderr


async def test_without_the_extra_no_keyring_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = kept({"GROQ_API_KEY": SECRET})
    monkeypatch.setattr("stratagem.models.sources.installed", lambda: False)
    sources = Sources(environ={})
    assert not sources.may_be_kept("GROQ_API_KEY")
    assert (await sources.ask("GROQ_API_KEY"), sources.ask_now("GROQ_API_KEY"), backend.asked) == (None, None, [])
    assert keyring_here() == ""


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_key_file_that_others_can_open_is_refused(file: Path, mode: int) -> None:
    file.chmod(mode)
    with pytest.raises(UsageError, match=rf"is open to others \(mode {mode:04o}\), so its keys are not used") as caught:
        Sources(file, {}).at_hand("GROQ_API_KEY")
    assert f"chmod 600 {file}" in caught.value.remedy


def test_a_key_file_is_not_even_opened_where_the_variable_is_set(file: Path) -> None:
    file.chmod(0o644)
    assert Sources(file, {"GROQ_API_KEY": "x"}).at_hand("GROQ_API_KEY") is not None


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_key_file_that_is_its_owners_alone_is_read(file: Path, mode: int) -> None:
    file.chmod(mode)
    assert read_keys(file) == {"GROQ_API_KEY": SECRET}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"GROQ_API_KEY = {SECRET}", r"is not TOML, at line 1$"),
        (f'A = "x"\nB = "{SECRET}', r"is not TOML$|is not TOML, at line 2$"),
        (f'[keys]\nA = "{SECRET}"', "'keys' is no text"),
        ("A = 3", "'A' is no text"),
    ],
)
def test_a_key_file_that_is_wrong_is_refused_without_its_words(file: Path, text: str, message: str) -> None:
    file.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        read_keys(file)
    assert SECRET not in f"{caught.value} {caught.value.remedy}"
    shown = "".join(traceback.format_exception(caught.value))  # of what it was raised from, too
    assert SECRET not in shown


def test_what_is_no_file_is_no_key_file(tmp_path: Path) -> None:
    assert read_keys(tmp_path / "none") == {}
    with pytest.raises(UsageError, match="is no file"):
        read_keys(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(UsageError, match="is no file"):
        read_keys(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * 1_000_001)
    (tmp_path / "large").chmod(0o600)
    with pytest.raises(UsageError, match="has more than 1,000,000 bytes"):
        read_keys(tmp_path / "large")


def test_a_found_key_shows_itself_nowhere(file: Path) -> None:
    found = Sources(file, {}).at_hand("GROQ_API_KEY")
    assert SECRET not in f"{found!r} {Sources(file, {'A': SECRET})!r}"


def test_dot_env_is_never_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text(f"GROQ_API_KEY={SECRET}\n")
    assert Sources(environ={}).at_hand("GROQ_API_KEY") is None
