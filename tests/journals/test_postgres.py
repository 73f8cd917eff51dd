"""The journal in PostgreSQL: the suite, directly and behind a pooler."""

from pathlib import Path

from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.journal_suite import journal_suite
from tests.journals._postgres import database_of, pooled_database_of, shared


def damage(folder: Path, run_id: str, seq: int) -> None:
    """Change a byte of a stored result."""
    statement = (
        "UPDATE stratagem.effect SET result = set_byte(result, 3, get_byte(result, 3) # 1)"
        " WHERE seq = %s AND run = (SELECT n FROM stratagem.run WHERE id = %s)"
    )
    shared().sql(statement, (seq, run_id), url=database_of(folder))


test_conforms = journal_suite(lambda folder: PostgresJournal(database_of(folder)), damage=damage)

test_conforms_behind_a_pooler = journal_suite(lambda folder: PostgresJournal(pooled_database_of(folder)), damage=damage)
