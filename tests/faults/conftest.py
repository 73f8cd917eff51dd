"""What the tests of faults share: the server of PostgreSQL, if there is one."""

from tests.journals._postgres import _dropped, _stopped

__all__ = ["_dropped", "_stopped"]
