"""The journal in PostgreSQL: the suite, directly and behind a pooler."""

from pathlib import Path

from stratagem.journals.postgres import PostgresJournal
from stratagem.testing.journal_suite import journal_suite
from tests.journals._postgres import behind_pooler, in_schema, schema_of


def damage(folder: Path, run_id: str, seq: int) -> None:
    """Change a byte of a stored result."""
    statement = (
        "UPDATE {s}.effect SET result = set_byte(result, 3, get_byte(result, 3) # 1)"
        " WHERE seq = %s AND run = (SELECT n FROM {s}.run WHERE id = %s)"
    )
    in_schema(folder, statement, seq, run_id)


test_conforms = journal_suite(lambda folder: PostgresJournal(schema_of(folder)), damage=damage)

test_conforms_behind_a_pooler = journal_suite(
    lambda folder: PostgresJournal(behind_pooler(schema_of(folder))), damage=damage
)
