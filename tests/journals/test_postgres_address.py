"""What a URL may say, what is shown of it, and what an error tells: never the password."""

import re
import sys
import threading
import traceback

import pytest

from stratagem.errors import CapabilityError, JournalError, UsageError
from stratagem.journals._postgres_address import Address
from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.journal_suite import durable, row, run_of

SECRET = "right%20horse"
PLAIN = "right horse"


@pytest.mark.parametrize(
    ("url", "spec"),
    [
        ("postgresql://ada@host/db", "postgresql://ada@host/db"),
        (f"postgresql://ada:{SECRET}@host:5433/db", "postgresql://ada@host:5433/db"),
        (f"postgres://ada:{SECRET}@one,two:5/db?sslmode=require", "postgres://ada@one,two:5/db?sslmode=require"),
        (f"postgresql:///db?user=ada&password={SECRET}&host=/run/pg", "postgresql:///db?user=ada&host=/run/pg"),
        (f"postgresql://ada@host/db?sslpassword={SECRET}&schema=runs", "postgresql://ada@host/db?schema=runs"),
        ("postgresql://host", "postgresql://host"),
        (f"postgresql://:{SECRET}@host/db", "postgresql://@host/db"),
        (f"postgresql://ada:{SECRET}@[::1]:5432/db", "postgresql://ada@[::1]:5432/db"),
    ],
)
def test_the_spec_is_the_url_without_its_password(url, spec):
    address = Address(url)
    assert address.spec == PostgresJournal(url).spec == spec
    assert repr(address) == f"Address({spec!r})"


def test_the_driver_gets_all_but_the_schema():
    address = Address(
        f"postgresql://ada:{SECRET}@host:5433/my%20db?schema=runs&sslmode=require&application_name=my%20app"
    )
    assert address.schema == "runs"
    assert address.options() == {
        "user": "ada",
        "password": PLAIN,
        "host": "host",
        "port": "5433",
        "dbname": "my db",
        "sslmode": "require",
        "application_name": "my app",
    }
    assert Address("postgresql://host/db").schema == "stratagem"


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (f"mysql://ada:{SECRET}@host/db", "'mysql://ada@host/db' is not the URL of a PostgreSQL database"),
        (f"postgresql://ada:{SECRET}@host/db#part", "is not the URL of a PostgreSQL database"),
        ("host=localhost dbname=db", "is not the URL of a PostgreSQL database"),
        (f"postgresql://ada:{SECRET}%zz@host/db", "'postgresql://ada@host/db': the driver cannot read this URL"),
        (f"postgresql://ada:{SECRET}@host/db?colour=red", "the driver cannot read this URL"),
        (f"postgresql://ada:{SECRET}@[::1/db", "the URL of the journal cannot be read"),
        ("postgresql://host/db?schema=Runs", "the schema of a journal is named with lower-case letters"),
        ('postgresql://host/db?schema=a"b', "the schema of a journal is named with lower-case letters"),
        ("postgresql://host/db?schema=", "the schema of a journal is named with lower-case letters"),
    ],
)
def test_another_url_is_refused_without_its_password(url, said):
    with pytest.raises(UsageError, match=re.escape(said)) as refused:
        PostgresJournal(url)
    shown = "".join(traceback.format_exception(refused.value)) + refused.value.remedy
    assert "right" not in shown.replace("the right", "")
    assert "horse" not in shown


def test_without_the_driver_the_error_names_the_line_to_install_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(CapabilityError, match="needs the driver psycopg") as missing:
        PostgresJournal("postgresql://host/db")
    assert missing.value.remedy == 'Install it: pip install "stratagem[postgres]"'


async def refused(url: str) -> JournalError:
    """Open a journal that cannot be opened; return the error, the same for a write and a read."""
    journal = PostgresJournal(url)
    with pytest.raises(JournalError) as write:
        await durable(journal.create(run_of("abcdef")))
    with pytest.raises(JournalError) as read:
        await journal.runs()
    await journal.aclose()
    assert not any(thread.name == f"journal {journal.spec}" for thread in threading.enumerate())
    assert type(write.value) is type(read.value) is JournalError
    assert str(write.value) == str(read.value)
    shown = "".join(traceback.format_exception(write.value)) + repr(write.value) + write.value.remedy
    assert "horse" not in shown
    return write.value


async def test_a_wrong_password_is_told_in_plain_words(own_server, database):
    own_server.sql("DROP ROLE IF EXISTS guarded")
    own_server.sql("CREATE ROLE guarded LOGIN PASSWORD 'right'")
    url = database.replace("postgres@", "guarded:wrong%20horse@")
    error = await refused(url)
    assert "guarded@127.0.0.1" in str(error)
    assert "the server does not accept this user or its password" in str(error)
    assert "PGPASSWORD" in error.remedy
    assert "does not accept this user" in str(await refused(database.replace("postgres@", "guarded@")))


async def test_a_server_that_was_never_there_is_not_waited_for(own_server, database):
    error = await refused(re.sub(r":\d+/", ":1/", database.replace("postgres@", f"postgres:{SECRET}@")))
    assert re.search(r"postgres@127\.0\.0\.1:1/.*: the server cannot be reached: .*[Rr]efused", str(error))
    assert error.remedy.startswith("Start the server, or check host and port")


async def test_an_unknown_database_is_named(database):
    error = await refused(f"{database}_not")
    assert str(error) == f"{database}_not: there is no such database"


async def test_an_unknown_database_behind_a_pooler_is_named(pooled):
    assert "there is no such database" in str(await refused(f"{pooled}_not"))


async def test_a_user_without_rights_is_told_which(server, database):
    server.sql("DROP ROLE IF EXISTS stratagem_weak")
    server.sql("CREATE ROLE stratagem_weak LOGIN")
    weak = database.replace("postgres@", "stratagem_weak@")
    error = await refused(weak)
    assert "this user has no right to do that: permission denied for database" in str(error)
    await journal_of(database)
    assert "permission denied for schema stratagem" in str(await refused(weak))
    server.sql("GRANT USAGE ON SCHEMA stratagem TO stratagem_weak", url=database)
    server.sql("GRANT ALL ON ALL TABLES IN SCHEMA stratagem TO stratagem_weak", url=database)
    await journal_of(weak, "ghijkl")


async def journal_of(url: str, run_id: str = "abcdef") -> None:
    """Write a run, and read it."""
    journal = PostgresJournal(url)
    await durable(journal.create(run_of(run_id)))
    await durable(journal.append(run_id, row(0)))
    assert await journal.load(run_id) == (run_of(run_id), [row(0)])
    await journal.aclose()


async def test_a_database_that_can_only_be_read_is_read(server, database):
    await journal_of(database)
    server.sql(f"ALTER DATABASE {database.rpartition('/')[2]} SET default_transaction_read_only = on")
    journal = PostgresJournal(database)
    assert await journal.load("abcdef") == (run_of("abcdef"), [row(0)])
    assert (await journal.check()).damage == ()
    with pytest.raises(JournalError, match="can only be read") as refusal:
        await journal.claim("abcdef", 1, b'{"id":"x"}')
    assert "primary" in refusal.value.remedy
    await journal.aclose()


async def test_what_is_reported_is_durable_even_where_the_server_would_not_wait(server, database, sql):
    server.sql(f"ALTER DATABASE {database.rpartition('/')[2]} SET synchronous_commit = off")
    journal = PostgresJournal(database)
    await durable(journal.create(run_of("abcdef")))
    sql("CREATE TABLE seen (setting text)")
    sql(
        "CREATE FUNCTION look() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " INSERT INTO seen VALUES (current_setting('synchronous_commit')); RETURN NULL; END $$"
    )
    for table in ("effect", "question"):
        # At the very end of the transaction.
        sql(
            f"CREATE CONSTRAINT TRIGGER look AFTER INSERT ON stratagem.{table} DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION look()"
        )
    await durable(journal.append("abcdef", row(0)))
    await durable(journal.ask("abcdef", "q1", b"{}"))
    await journal.aclose()
    assert sql("SELECT setting FROM seen") == [("on",), ("on",)]
