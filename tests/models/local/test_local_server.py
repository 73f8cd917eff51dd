"""The child process: who may speak to it, how long it lives, and what its failures say."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

import stratagem
from stratagem.errors import Unavailable
from stratagem.models import open_model
from stratagem.models.local_server import LIVES, Down, Server, given_back, taken
from tests.models.local._gguf import written
from tests.models.local.conftest import SMOLLM2

pytestmark = pytest.mark.local
LIMIT_S = 60.0


@pytest.fixture
def own() -> Iterator[Server]:
    """A server that no other test uses: its context is its own."""
    server = taken(SMOLLM2.resolve(), 512, 1)
    yield server
    given_back(server)


def alive(pid: int) -> bool:
    """Return whether a process runs; one that has ended and was not asked for its status does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False


def until_gone(pid: int) -> None:
    end = time.monotonic() + LIMIT_S
    while alive(pid):
        assert time.monotonic() < end
        time.sleep(0.02)


async def test_only_who_has_the_key_is_answered(own: Server) -> None:
    place = await asyncio.to_thread(own.place)
    assert place.url.startswith("http://127.0.0.1:")
    body = {"messages": [{"role": "user", "content": "Hi."}], "max_tokens": 1}
    async with aiohttp.ClientSession() as http:
        for key, status in ((place.key, 200), ("another", 401), ("", 401)):
            headers = {"Authorization": f"Bearer {key}"} if key else {}
            async with http.post(f"{place.url}/v1/chat/completions", json=body, headers=headers) as response:
                assert response.status == status


def test_the_key_is_in_no_argument_and_the_keys_of_others_are_not_handed_over(
    own: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary-0f3a")
    place = own.place()
    for name in ("cmdline", "environ"):
        said = Path(f"/proc/{own.pid}/{name}").read_bytes()
        assert place.key.encode() not in said
        assert b"canary" not in said


def test_models_of_one_file_share_a_server_and_the_last_one_stops_it(own: Server) -> None:
    again = taken(SMOLLM2.resolve(), 512, 1)
    assert again is own
    assert again.place() is own.place()
    pid = own.pid
    assert pid is not None
    given_back(again)
    assert alive(pid)
    own.users += 1  # the fixture gives it back once more
    given_back(own)
    assert alive(pid)


def test_a_server_that_is_given_back_has_ended() -> None:
    server = taken(SMOLLM2.resolve(), 256, 1)
    server.place()
    pid = server.pid
    assert pid is not None
    assert alive(pid)
    given_back(server)
    assert not alive(pid)


def test_one_that_does_not_obey_is_killed(own: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    own.place()
    pid = own.pid
    assert pid is not None
    monkeypatch.setattr("stratagem.models.local_server.STOP_S", 0.1)
    monkeypatch.setattr(own._process, "terminate", lambda: None)
    own.stop()
    assert not alive(pid)


async def test_one_that_has_died_is_started_again_but_not_for_ever(tmp_path: Path) -> None:
    lean: Any = open_model("local:smollm2")
    backend = lean._backend
    backend._context, backend._slots = 768, 1  # a server of its own
    try:
        async with stratagem.open(model=lean, journal="memory", memory="none", options={"max_tokens": 2}) as session:
            pids: list[int] = []
            for _ in range(LIVES):
                await session.run("direct", "Hi.")
                pids.append(backend._server.pid)
                os.kill(pids[-1], signal.SIGKILL)
                await asyncio.to_thread(until_gone, pids[-1])
            assert len(set(pids)) == LIVES
            with pytest.raises(Unavailable, match=f"was started {LIVES} times and ended by SIGKILL") as caught:
                await session.run("direct", "Hi.")
    finally:
        await lean.aclose()
    assert caught.value.remedy.startswith("Check the file, and how much memory is free")


PROGRAM = """
import asyncio, os, sys
from pathlib import Path
from stratagem.models.local_server import taken
server = taken(Path(sys.argv[1]), 512, 1)
if sys.argv[2] == "loading":
    import threading
    threading.Thread(target=server.place, daemon=True).start()
    while server.pid is None:
        pass
else:
    server.place()
if sys.argv[2] == "forked" and os.fork() == 0:
    import time
    time.sleep(600)  # a copy, which holds the pipe
print(server.pid, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("when", ["serving", "loading", "forked"])
def test_it_dies_with_a_parent_that_is_killed(when: str) -> None:
    source = str(Path(stratagem.__file__).parents[1])
    parent = subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(SMOLLM2.resolve()), when],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": source}, start_new_session=True,
    )  # fmt: skip
    with parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert alive(child)
        parent.kill()
        parent.wait()
        until_gone(child)
        if when == "forked":
            os.killpg(parent.pid, signal.SIGKILL)


def test_a_file_that_llama_cpp_does_not_take_is_an_error_with_its_words(tmp_path: Path) -> None:
    server = Server(written(tmp_path / "m.gguf"), 256, 1)
    with pytest.raises(Down, match=r"llama\.cpp cannot run 'm\.gguf': .*\w"):
        server.place()
    assert server.pid is None


async def test_a_run_on_such_a_file_ends_with_that_error(tmp_path: Path) -> None:
    async with stratagem.open(
        model=f"local:{written(tmp_path / 'm.gguf')}", journal="memory", memory="none"
    ) as session:
        with pytest.raises(Unavailable, match=r"llama\.cpp cannot run 'm\.gguf'"):
            await session.run("direct", "Hi.")


LIMITED = """
import json, resource, sys
from pathlib import Path
from stratagem.models.local_server import Down, Server
server = Server(Path(sys.argv[1]), 65536, 1)
resource.setrlimit(resource.RLIMIT_AS, (700_000_000, resource.RLIM_INFINITY))
try:
    server.place()
except Down as down:
    print(json.dumps(str(down)))
"""


def test_too_little_memory_is_an_error_that_says_so() -> None:
    source = str(Path(stratagem.__file__).parents[1])
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(SMOLLM2.resolve())],
        capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": source},
    )  # fmt: skip
    assert "insufficient memory" in json.loads(done.stdout)


def test_a_program_that_cannot_start_is_an_error_that_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    server = Server(SMOLLM2.resolve(), 256, 1)
    monkeypatch.setattr("stratagem.models.local_server._CHILD", Path(__file__).with_name("no_such_program.py"))
    with pytest.raises(Down, match="it ended with exit status 2 while it read the weights"):
        server.place()
