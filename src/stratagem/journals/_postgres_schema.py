"""The tables of a journal in PostgreSQL, their versions, and how they are made.

Rule 1: `VERSION` names the tables. A newer version is refused. An older one is brought forward by `MIGRATIONS`, all in
        one transaction, and then has the tables as `TABLES` writes them.
Rule 2: no statement leans on the state of a connection: nothing is prepared, set or locked beyond its transaction, and
        every table is named with its schema. So a pooler may give each transaction another connection.
Rule 3: what may hold any text is `bytea`: neither NUL nor a lone surrogate is text to PostgreSQL, and the encoding of
        the database does not matter.
Rule 4: nothing newer than PostgreSQL 13 is used.
"""

from typing import Any

import psycopg

from stratagem.errors import JournalError

Connection = psycopg.Connection[tuple[Any, ...]]

VERSION = 1

# Of the transaction that makes or changes tables, so that two processes do not do it at once.
LOCK = 0x73747267

OWN_TABLES = ("meta", "run", "effect", "blob", "question", "lease", "writer")

# `{s}` is the schema.
TABLES = (
    # One row. `answers` counts what persons said, so that whoever polls sees at a glance that there is nothing new.
    "CREATE TABLE {s}.meta (one boolean PRIMARY KEY CHECK (one), version integer NOT NULL, answers bigint NOT NULL)",
    # `known` and `stands` are checksums: of what never changes, and of the rest. `strategy` and `question` are copies
    # for lists; the record holds the originals.
    """CREATE TABLE {s}.run (
        n bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, id text COLLATE "C" NOT NULL UNIQUE, epoch bigint NOT NULL,
        state text NOT NULL, created bigint NOT NULL, updated bigint NOT NULL, format bigint NOT NULL,
        rows bigint NOT NULL, parent text COLLATE "C" NOT NULL, seal bytea NOT NULL, known bytea NOT NULL,
        stands bytea NOT NULL, strategy bytea NOT NULL, question bytea NOT NULL, owner bytea NOT NULL,
        record bytea NOT NULL, ending bytea NOT NULL)""",
    "CREATE INDEX run_created ON {s}.run (created, n)",
    "CREATE INDEX run_parent ON {s}.run (parent) WHERE parent <> ''",
    # `flags`: 1 failed, 2 `request` is the digest of a blob, 4 `result` is. Empty usage is none.
    """CREATE TABLE {s}.effect (
        run bigint NOT NULL, seq bigint NOT NULL, kind text NOT NULL, path bytea NOT NULL, occurrence bigint NOT NULL,
        wall bigint NOT NULL, active bigint NOT NULL, took bigint NOT NULL, flags bigint NOT NULL,
        sample bigint NOT NULL, usage text NOT NULL, digest bytea NOT NULL, seal bytea NOT NULL,
        request bytea NOT NULL, result bytea NOT NULL, PRIMARY KEY (run, seq))""",
    "CREATE INDEX effect_request ON {s}.effect (request) WHERE flags & 2 <> 0",
    "CREATE INDEX effect_result ON {s}.effect (result) WHERE flags & 4 <> 0",
    # `size` is that of the payload; `body` is packed with zlib if it is shorter than that.
    "CREATE TABLE {s}.blob (digest bytea PRIMARY KEY, size bigint NOT NULL, body bytea NOT NULL)",
    "ALTER TABLE {s}.blob ALTER COLUMN body SET STORAGE EXTERNAL",  # it is packed: the server need not try
    # `asked` and `said` are checksums of question and form, and of the answer. Either half may be absent.
    """CREATE TABLE {s}.question (
        run bigint NOT NULL, question bytea NOT NULL, form bytea, asked bytea, value bytea, said bytea,
        PRIMARY KEY (run, question))""",
    "CREATE TABLE {s}.lease (owner bytea PRIMARY KEY, beat timestamptz NOT NULL) WITH (fillfactor = 50)",
    # One row for each open journal: the number of its last transaction. See `_postgres_link`.
    """CREATE TABLE {s}.writer (id bytea PRIMARY KEY, batch bigint NOT NULL, used timestamptz NOT NULL)
        WITH (fillfactor = 50)""",
)

# From this version to the next: statements.
MIGRATIONS: dict[int, tuple[str, ...]] = {}


class Tables:
    """Writes statements for one schema."""

    def __init__(self, schema: str) -> None:
        self.schema = schema
        self._made: dict[str, bytes] = {}

    def __call__(self, text: str) -> bytes:
        """Return a statement in which `{s}` is the schema."""
        made = self._made.get(text)
        if made is None:
            made = self._made[text] = self.once(text)
        return made

    def once(self, text: str) -> bytes:
        """Return the same of a statement that differs each time: it is not remembered."""
        return text.replace("{s}", f'"{self.schema}"').encode()


def prepare(connection: Connection, tables: Tables, spec: str) -> None:
    """Make the tables, or bring them forward, if need be; refuse newer ones."""
    if _version(connection, tables, spec) == VERSION:
        return
    connection.execute("BEGIN ISOLATION LEVEL READ COMMITTED")
    try:
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
        version = _version(connection, tables, spec)  # again: another process may have been faster
        if version == 0:
            _make(connection, tables)
        for older in range(version or VERSION, VERSION):
            for statement in MIGRATIONS[older]:
                connection.execute(tables(statement))
        connection.execute(tables("UPDATE {s}.meta SET version = %s"), (VERSION,))
        connection.execute("COMMIT")
    except BaseException:
        if not connection.closed:
            connection.execute("ROLLBACK")
        raise


def _make(connection: Connection, tables: Tables) -> None:
    # `IF NOT EXISTS` would ask for the right to make it where it exists.
    found = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (tables.schema,)).fetchone()
    if found is None:
        connection.execute(tables("CREATE SCHEMA {s}"))
    for statement in TABLES:
        connection.execute(tables(statement))
    connection.execute(tables("INSERT INTO {s}.meta VALUES (true, %s, 0)"), (VERSION,))


def _version(connection: Connection, tables: Tables, spec: str) -> int:
    """Return the version of the tables, 0 if there are none."""
    # Not `to_regclass`: that needs the right to look into the schema, and the refusal shall name the table.
    there = connection.execute(
        "SELECT 1 FROM pg_class c JOIN pg_namespace s ON s.oid = c.relnamespace WHERE nspname = %s AND relname = 'meta'",
        (tables.schema,),
    ).fetchone()
    if there is None:
        return 0
    found = connection.execute(tables("SELECT version FROM {s}.meta")).fetchone()
    version = found[0] if found else 0
    if version > VERSION:
        raise JournalError(
            f"{spec} was written by a newer stratagem: its version is {version}, this one reads up to {VERSION}",
            remedy="Upgrade stratagem, or name another schema: `?schema=NAME`.",
        )
    if version < 1:
        raise JournalError(
            f"{spec}: the schema {tables.schema!r} is not a journal of stratagem, or its table `meta` is damaged",
            remedy="Name another schema: `?schema=NAME`, or restore this one from a copy.",
        )
    return version
