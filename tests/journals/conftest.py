"""Every test of a journal may have a PostgreSQL server."""

from tests.journals._postgres import _dropped, _stopped, database, own_server, pooled, server, sql

__all__ = ["_dropped", "_stopped", "database", "own_server", "pooled", "server", "sql"]
