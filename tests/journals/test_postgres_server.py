"""The server of the tests ends with whoever started it, and says what it lacks."""

import os
import socket
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from stratagem.errors import CapabilityError
from stratagem.testing import postgres
from stratagem.testing.postgres import VARIABLE, Server
from tests.journals import _postgres

STARTS = """
import os, signal
from stratagem.testing.postgres import Server
server = Server()
print(server.url("postgres"), server.sql("SHOW data_directory")[0][0], flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def listens(url: str) -> bool:
    with socket.socket() as one:
        return one.connect_ex(("127.0.0.1", urlsplit(url).port or 0)) == 0


@pytest.mark.skipif(sys.platform == "win32", reason="kill -9")
def test_a_server_whose_owner_is_killed_ends(own_server):
    environment = {**os.environ, "PYTHONPATH": str(Path(postgres.__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", STARTS], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == -9
    # The program's error output, which the keeper has inherited, ended here: so has the keeper.
    url, folder = done.stdout.split()
    assert not listens(url)
    assert not Path(folder).parent.exists()


def test_a_server_is_stopped_and_its_directory_removed(own_server):
    with Server() as one:
        url = one.database()
        folder = Path(str(one.sql("SHOW data_directory", url=url)[0][0]))
        assert folder.exists()
    assert not listens(url)
    assert not folder.parent.exists()


def test_a_server_that_runs_already_can_be_named(server):
    with Server.found({VARIABLE: server.url("postgres")}) as named:
        assert not named.own
        url = named.database()
        assert named.sql("SELECT 1", url=url) == [(1,)]
        assert named.sql("SELECT 2", url=named.pooled(url)) == [(2,)]
    name = urlsplit(url).path[1:]
    assert server.sql("SELECT count(*) FROM pg_database WHERE datname = %s", (name,)) == [(0,)]


def test_without_programs_the_error_says_how_to_get_them(monkeypatch):
    monkeypatch.setattr(postgres, "programs", lambda: None)
    with pytest.raises(CapabilityError, match="no PostgreSQL server on this machine") as missing:
        Server()
    assert "apt-get install postgresql" in missing.value.remedy


def test_without_a_pooler_the_error_says_how_to_get_it(server, monkeypatch):
    monkeypatch.setattr(postgres, "pooler", lambda: None)
    with (
        Server.found({VARIABLE: server.url("postgres")}) as named,
        pytest.raises(CapabilityError, match="no pgbouncer") as missing,
    ):
        named.pooled(named.url("postgres"))
    assert missing.value.remedy == "Debian: `apt-get install pgbouncer`"


def test_a_missing_server_skips_a_test_and_fails_it_where_all_must_be_tested(monkeypatch):
    missing = CapabilityError("there is none", remedy="Install one.")
    monkeypatch.setattr(_postgres, "STRICT", False)
    with pytest.raises(pytest.skip.Exception, match=r"there is none\. Install one\."):
        _postgres.absent(missing)
    monkeypatch.setattr(_postgres, "STRICT", True)
    with pytest.raises(pytest.fail.Exception, match=r"there is none\. Install one\."):
        _postgres.absent(missing)
