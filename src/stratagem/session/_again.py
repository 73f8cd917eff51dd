"""Strategy and task of a recorded run, made again."""

from stratagem.core import Strategy, Task, asked
from stratagem.errors import UsageError
from stratagem.session import _loading
from stratagem.session._records import RunRecord


def strategy_again(record: RunRecord, given: Strategy | str | None) -> Strategy:
    """Return the strategy that was given, else the recorded one; `UsageError` if that cannot be named."""
    if given is not None:
        return _loading.strategy_of(given)
    if not record.strategy:
        lacks = ", ".join(record.record.get("lacks", ()))
        why = f"cannot be named, because its setting {lacks} has no name" if lacks else "has no name"
        raise UsageError(f"the strategy of run {record.id!r} {why}: give it again, `resume(strategy=...)`")
    return _loading.strategy_of(record.strategy)


def task_again(record: RunRecord, given: Task | str | None) -> Task:
    """Return the task that was given, else the recorded one; `UsageError` if that could not be stored."""
    if given is not None:
        return asked(given)
    if unnamed := record.record.get("unnamed"):
        raise UsageError(
            f"the task of run {record.id!r} has parts that cannot be stored ({', '.join(unnamed)}): give it again, "
            "`resume(task=...)`"
        )
    if "task" not in record.record:
        raise UsageError(f"the task of run {record.id!r} is lost: give it again, `resume(task=...)`")
    return Task.of(record.record["task"])
