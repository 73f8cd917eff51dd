"""`Session`: runs strategies, and continues, forks and replays them."""

import contextlib
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any

from stratagem.core import (
    Answer,
    Book,
    Budget,
    Feed,
    Listener,
    Run,
    Services,
    State,
    StoredRun,
    Strategy,
    Task,
    World,
    asked,
    budget_of,
    decoded,
    encoded,
)
from stratagem.core._book import standing
from stratagem.core._canonical import quoted, text_of
from stratagem.core._late import asyncio
from stratagem.errors import (
    JournalCorrupt,
    OwnedElsewhere,
    UsageError,
)
from stratagem.session import _loading, _records
from stratagem.session._address import Address
from stratagem.session._again import question_facts, strategy_again, task_again
from stratagem.session._ends import (
    GOES_ON,
    Plan,
    as_recorded,
    asked_of,
    check_model,
    checked_id,
    end_of,
    ended,
    facts_of,
    label_of,
    outcome,
    prompts_of,
    question_of,
    recorded_spec,
    saved,
    written,
)
from stratagem.session._fitting import fitted
from stratagem.session._forks import (
    ancestry,
    check_changes,
    check_prompts,
    check_reply,
    continued,
    fork_record,
    lineage,
    ordered,
    reused,
    settings_of,
    whole,
)
from stratagem.session._lives import Lives
from stratagem.session._owner import elsewhere
from stratagem.session._recorded import find_run, prepared
from stratagem.session._stream import Stream

if TYPE_CHECKING:
    from pathlib import Path


class Session:
    """Runs strategies, and continues, forks and replays them. Made by `open`."""

    def __init__(
        self,
        services: Services,
        budget: Budget,
        *,
        roots: tuple["Path", ...] = (),
        options: Mapping[str, Any] | None = None,
        home: "Path | None" = None,
        on_event: Listener | None = None,
        own_policy: bool = True,
        address: Address = Address(),
    ) -> None:
        self._address = address
        self._own_policy = own_policy  # it was given, so it holds for what is resumed as well
        self._services, self._budget, self._roots, self._home = services, budget, roots, home
        self._options = {"temperature": 0.0, **(options or {})}
        self._listener = on_event
        self._lives = Lives(services.journal, services.clock)
        self._claims: set[str] = set()
        self._stopping: set[str] = set()
        self._ended: dict[str, Answer] = {}
        self._closed = False
        self._checked = services.options(self._options)
        self._facts = {**facts_of(services, roots, self._options), **address.facts(services.model.spec)}
        # What all records have in common, as JSON by name, and what those of one strategy have; by its identity, since
        # two files may hold strategies of one name.
        self._common = {name: text_of(fact) for name, fact in self._facts.items()}
        self._named: dict[int, tuple[Strategy, dict[str, str]]] = {}

    async def run(
        self,
        strategy: Strategy | str,
        task: Task | str,
        *,
        budget: Budget | str | None = None,
        run_id: str | None = None,
        on_event: Listener | None = None,
    ) -> Answer:
        """Run a strategy on a task.

        Args:
            strategy: a strategy, or its spec string.
            task: a `Task`, or a question in words.
            budget: limits of this run; the session's hold as well.
            run_id: continue the run of this id if it exists, with equal strategy and task; else begin it.
            on_event: called with every `Event` of this run, beside the session's listener.

        Returns:
            The answer. `answer.stop` says how it ended: expected failures are answers too.

        Raises:
            UsageError: a wrong parameter, an empty question, or another run of that id.
            CapabilityError, ConcurrentUse, JournalError: as their names say.
            ModelError: any but `UnparsedReply` and `Refused`; the run can be resumed.
        """
        made, question = _loading.strategy_of(strategy), asked(task)
        if run_id is not None:
            checked_id(run_id)
        limits, known_id = budget_of(budget), run_id is not None
        with self._claimed(run_id or (run_id := _records.new_id())):
            stored = await self._services.journal.find(run_id) if known_id else None
            if stored is not None:
                if recorded_spec(stored) != (_loading.spec_of(made) or _loading.shown(made), encoded(question.plain())):
                    raise UsageError(
                        f"run {run_id!r} is another strategy or task", remedy="Leave `run_id` out, or resume that run."
                    )
                return await self._resumed(stored, budget, made, question, on_event)
            plan = await self._new(made, question, self._budget.tightened(limits), run_id)
            return await self._driven(plan, on_event)

    def stream(self, strategy: Strategy | str, task: Task | str, *, budget: Budget | str | None = None) -> Stream:
        """Begin a run and return its events as an async iterator: `async for event in session.stream(...)`.

        The last one, `run.finished`, carries the answer; an error of the run is raised after it. Leaving the loop
        does not cancel the run; `aclose()` of the iterator does.
        """
        return Stream(lambda listener: self.run(strategy, task, budget=budget, on_event=listener))

    async def resume(
        self,
        run_id: str,
        *,
        budget: Budget | str | None = None,
        strategy: Strategy | str | None = None,
        task: Task | str | None = None,
        on_event: Listener | None = None,
    ) -> Answer:
        """Continue a run; of an ended run return the recorded answer.

        Args:
            run_id: id of the run.
            budget: replaces the run's limits; the session's hold as well.
            strategy: replaces the recorded one; needed if that cannot be named.
            task: likewise.
            on_event: called with every `Event` from now on.

        Raises:
            UsageError: there is no such run, or something that could not be stored must be given again.
            OwnedElsewhere: somebody drives it already.
        """
        with self._claimed(run_id):
            stored = await self._found(run_id)
            return await self._resumed(stored, budget, strategy, task, on_event)

    async def _resumed(
        self,
        stored: StoredRun,
        budget: Budget | str | None,
        strategy: Strategy | str | None,
        task: Task | str | None,
        on_event: Listener | None,
    ) -> Answer:
        record = _records.RunRecord(stored)
        if record.stop is not None and record.stop not in GOES_ON and record.state == "finished":
            if record.id in self._ended:
                return self._ended[record.id]
            record = _records.RunRecord(*await self._services.journal.load(record.id))  # a damaged one is named
            ancestors = (await ancestry(self._services.journal, record)).runs if record.record.get("unnamed") else []
            return _records.answer_of(record.end, task_again(record, task, [record, *ancestors]))
        self._address.check(record.id, record.record, record.model)
        limits = budget_of(record.record.get("budget", "") if budget is None else budget)
        plan = await self._again(record, strategy, task)  # what cannot be loaded is said before the run is claimed
        plan.budget, plan.raised = self._budget.tightened(limits), budget is not None
        await check_model(plan.services, plan.options, plan.budget)
        plan.edited = _loading.changed_since(record.record, plan.strategy)
        facts = {} if strategy is None else _loading.facts_of(plan.strategy)  # from now on it is this one's run
        where = self._address.facts(record.model)
        while True:  # once, unless an answer comes in while the run parks
            await self._lives.claimed(stored)
            stored, plan.own = await self._services.journal.load(stored.run_id)
            other = plan.edited or any(record.record.get(name) != fact for name, fact in facts.items())
            order = continued(record.record, plan.own) if other else {}
            plan.paid = _records.RunRecord(stored, plan.own).unrecorded()
            paid = {"paid": plan.paid.plain()} if plan.paid.calls else {}
            changed = encoded({**record.record, **facts, **order, **paid, **where, "budget": str(plan.budget)})
            plan.stored = stored._replace(record=changed, state="running", rows=-1, seal=b"", end=b"")
            self._services.journal.update(plan.stored)  # rides before the first new effect, which waits for both
            answer = await self._drive(plan, on_event)
            if answer is not None:
                return answer
            stored = await self._found(stored.run_id)

    async def answer(self, run_id: str, value: Any, question: str | None = None) -> str:
        """Answer a question of a run. If nobody drives the run, `resume` it then.

        Args:
            run_id: id of the run.
            value: the answer, JSON data that fits the question's schema.
            question: id of the question; may be left out if there is only one.

        Returns:
            Who goes on with the run, in words; the empty string if nobody does.

        Raises:
            UsageError: there is no such run or open question, the value does not fit, or somebody answered before.
        """
        journal = self._services.journal
        number, schema = question_of(_records.RunRecord(await self._found(run_id)), question)
        said = fitted(schema, value)
        stored = await journal.answer(run_id, number, encoded(said))
        if stored is None:
            raise UsageError(f"question {number} of run {run_id!r} was answered meanwhile", remedy="See `show`.")
        if run_id in self._lives:
            self._lives.answered(run_id, number, said)
            return "this session"
        return await elsewhere(journal, stored, self._lives.owner)

    async def fork(self, run_id: str, at: int | None = None, set: Mapping[str, Any] | None = None) -> Answer:  # noqa: A002
        """Run again over a parent's journal, with something dropped or changed; the parent stays as it is.

        Args:
            run_id: the parent.
            at: number of an effect: it and all that could have depended on it are performed again.
            set: what is changed: `reply` (the value of effect `at`), `prompt.FILE.FUNCTION`, `param.NAME`, `model`,
                `strategy`, `budget`.
        """
        plan = await self._forked(run_id, at, dict(set or {}))
        return await self._driven(plan, None)

    async def replay(self, run_id: str) -> Answer:
        """Run a recorded run again with performing forbidden; `Diverged` at the first effect that is not recorded."""
        stored, rows = await self._services.journal.load(run_id)
        record = _records.RunRecord(stored, rows)
        plan = await self._again(record, None, None)
        over = record.state == "finished" and record.stop != "budget"  # so no limit of its own has refused anything
        plan.own = standing(rows, Budget() if over else budget_of(record.record.get("budget", "")))
        answer = await self._drive(plan, None, replaying=True)
        assert answer is not None
        return answer

    async def runs(
        self, *, state: str | None = None, strategy: str | None = None, since: int = 0, text: str = "", limit: int = 20
    ) -> list[_records.RunRecord]:
        """Return the records of runs, newest first.

        Args:
            state: only those that are `running waiting finished cancelled failed`.
            strategy: only those of this strategy (name, or spec string).
            since: microseconds since 1970.
            text: looked for in ids and questions.
            limit: at most so many.
        """
        journal = self._services.journal
        found = await journal.runs(state=state, strategy=strategy, since=since, text=text, limit=limit)
        return [_records.RunRecord(stored) for stored in found]

    async def show(self, run_id: str) -> _records.RunRecord:
        """Return a run's record and its effects; `run_id` may be a unique prefix, or `last`."""
        stored, rows = await self._services.journal.load(await self.find(run_id))
        record = _records.RunRecord(stored, rows)
        if record.parent:
            with contextlib.suppress(UsageError):  # an ancestor is gone
                record.inherited = reused(record, (await ancestry(self._services.journal, record)).found)
        return record

    async def find(self, run: str) -> str:
        """Return the id that an id, a unique prefix, or `last` means; `UsageError` with the nearest if there is none."""
        return await find_run(self._services.journal, run)

    async def drop_damaged(self, run_id: str) -> int:
        """Remove a run's damaged records; return how many went. `OwnedElsewhere` if somebody drives the run."""
        with contextlib.suppress(JournalCorrupt):  # of a record that is damaged nobody knows the owner
            if (stored := await self._services.journal.find(run_id)) is not None:
                await self._lives.check(stored)
        return await self._services.journal.drop_damaged(run_id)

    def cancel(self, run_id: str) -> bool:
        """Stop a run of this session: what is recorded stays, and it can be resumed. Return whether it was running."""
        driving = self._lives.task(run_id)
        if driving is None:
            return False
        self._stopping.add(run_id)
        driving.cancel()
        return True

    @property
    def live(self) -> tuple[str, ...]:
        """Ids of the runs that this session drives now."""
        return tuple(self._lives)

    async def aclose(self) -> None:
        """Stop what runs, write what is queued, close files."""
        if not self._closed:
            self._closed = True
            driven = [self._lives.task(run_id) for run_id in self._lives]
            for run_id in tuple(self._lives):
                self.cancel(run_id)
            others = (task for task in driven if task is not None and task is not asyncio.current_task())
            await asyncio.gather(*others, return_exceptions=True)
            await self._services.aclose()

    # How a run is made, continued and driven

    async def _new(self, strategy: Strategy, task: Task, budget: Budget, run_id: str) -> Plan:
        await check_model(self._services, self._options, budget)
        record = self._record(strategy, task, budget)
        now = int(self._services.clock.wall() * 1e6)
        stored = StoredRun(run_id, "running", now, now, record=record, owner=self._lives.owner)
        self._lives.beat()
        self._services.journal.create(stored)  # rides before the first effect, which waits for both
        return Plan(stored, strategy, task, budget, self._services, self._checked)

    def _record(self, strategy: Strategy, task: Task, budget: Budget) -> bytes:
        """Return a new run's record as canonical JSON; of it, only what differs from run to run is written anew."""
        known = self._named.get(id(strategy))
        if known is None:
            own = {name: text_of(fact) for name, fact in _loading.facts_of(strategy).items()}
            texts = {**self._common, **own}
            known = self._named[id(strategy)] = (strategy, texts)
        record = {
            **known[1],
            "task": text_of(task.plain()),
            "unnamed": text_of(list(task.unnamed())),
            "budget": quoted(str(budget)),
            **{name: text_of(fact) for name, fact in question_facts(task).items()},
        }
        return f"{{{','.join([f'{quoted(name)}:{record[name]}' for name in sorted(record)])}}}".encode()

    @contextlib.contextmanager
    def _claimed(self, run_id: str) -> Generator[None, None, None]:
        """Keep a run to one driver of this session, from the first look at it on."""
        if self._closed:
            raise UsageError("the session is closed")
        if run_id in self._claims:
            raise OwnedElsewhere(f"run {run_id!r} is driven by this session already")
        self._claims.add(run_id)
        try:
            yield
        finally:
            self._claims.discard(run_id)

    async def _again(
        self, record: _records.RunRecord, strategy: Any, task: Any, parent: _records.RunRecord | None = None
    ) -> Plan:
        made = strategy_again(record, strategy)
        options = record.record.get("options", {})
        family = await ancestry(self._services.journal, record, parent)
        asked_again = task_again(record, task, [await whole(self._services.journal, record), *family.runs])
        services = as_recorded(record, self._services, own_policy=self._own_policy)
        plan = Plan(record.stored, made, asked_again, Budget(), services, options)
        plan.own = record.rows
        await prepared(services, options)
        plan.base, plan.origin, plan.dropped = [row for _, row in family.found], family.origin, family.dropped
        plan.prompts, plan.first = prompts_of(family.changes), record.record.get("fork", {}).get("first", 0)
        return plan

    async def _found(self, run_id: str) -> StoredRun:
        stored = await self._services.journal.find(run_id)
        if stored is None:
            stored, _ = await self._services.journal.load(run_id)  # which says what is near
        return stored

    async def _forked(self, run_id: str, at: int | None, changes: dict[str, Any]) -> Plan:
        check_changes(changes, at)
        stored, rows = await self._services.journal.load(run_id)
        parent = _records.RunRecord(stored, rows)
        have = lineage((await ancestry(self._services.journal, parent)).found, parent)
        check_reply([row for _, row in have], at, changes)
        check_prompts(parent, changes)
        strategy = strategy_again(parent, changes.get("strategy"))
        strategy = strategy.using(**settings) if (settings := settings_of(changes)) else strategy
        budget = budget_of(changes.get("budget", parent.record.get("budget", "")))
        record = fork_record(parent, have, at, changes, strategy, budget)
        self._address.check(run_id, parent.record, record["model"])
        record |= self._address.forked(parent.record, record["model"])
        now = int(self._services.clock.wall() * 1e6)
        made = StoredRun(
            _records.new_id(), "running", now, now, parent=run_id, record=encoded(record), owner=self._lives.owner
        )
        plan = await self._again(_records.RunRecord(made), strategy, None, parent)
        plan.budget = self._budget.tightened(budget)
        await check_model(plan.services, plan.options, plan.budget)
        self._lives.beat()
        self._services.journal.create(made)  # only now: what was refused leaves no run
        return plan

    async def _driven(self, plan: Plan, listener: Listener | None) -> Answer:
        """Drive a run that is new; if an answer came in while it was parked, go on with it."""
        answer = await self._drive(plan, listener)
        if answer is None:
            stored = await self._found(plan.stored.run_id)
            return await self._resumed(stored, None, plan.strategy, plan.task, listener)
        return answer

    async def _drive(self, plan: Plan, listener: Listener | None, *, replaying: bool = False) -> Answer | None:
        """Drive a run until it ends or parks; None if it may go on at once, because a person has answered meanwhile."""
        run_id = plan.stored.run_id
        feeds = tuple(Feed(one) for one in (self._listener, listener) if one is not None)
        book = Book(
            plan.services.journal, run_id, plan.own, plan.base, keep_errors=replaying, raised=plan.raised,
            dropped=plan.dropped, asked=asked_of(plan.stored), first=plan.first, paid=plan.paid,
        )  # fmt: skip
        if plan.stored.answers != b"{}":
            book.answers = decoded(plan.stored.answers)
        world = World(
            plan.services,
            book,
            run_id=run_id,
            origin=plan.origin,
            prompts=plan.prompts,
            replaying=replaying,
            feeds=feeds,
        )
        run = Run.start(world, (plan.budget,), options=plan.options, label=label_of(plan.task.question))
        driving = asyncio.current_task()
        assert driving is not None
        world.company = self._claims
        self._lives.add(run_id, world)
        if feeds:
            facts = {"model": plan.services.model.spec, "budget": str(plan.budget), "question": str(plan.task.question)}
            edited = {"changed": plan.edited} if plan.edited else {}
            world.emit("run.started", "", strategy=repr(plan.strategy), **facts, **edited)
        answer: Answer | None = None
        state: State = "failed"
        parked = True
        try:
            answer, state = await outcome(plan, run, world)
        except asyncio.CancelledError:
            state = "cancelled"
            answer = saved(run, world, "cancelled", "")
            if run_id not in self._stopping:
                raise
            driving.uncancel()
        except Exception as failure:
            plan.failure = failure
            raise
        finally:
            self._lives.drop(run_id)
            self._stopping.discard(run_id)
            try:
                if not replaying:
                    parked = await self._store_end(plan, world, state, answer)
            finally:
                await ended(world, answer, state)
        return answer if parked else None

    async def _store_end(self, plan: Plan, world: World, state: State, answer: Answer | None) -> bool:
        """Store how a run ended, and let go of it; False if it does not park after all, because it was answered."""
        stored = plan.stored._replace(
            state=state,
            updated=int(plan.services.clock.wall() * 1e6),
            rows=0,
            owner=b"",
            record=ordered(plan.stored.record, world.book),
            end=end_of(world, answer, state, plan.failure),
        )
        if answer is not None and state == "finished" and answer.stop not in GOES_ON:
            self._ended[plan.stored.run_id] = answer
            if len(self._ended) > 1000:
                self._ended.pop(next(iter(self._ended)))
        if state == "waiting":
            return not await plan.services.journal.park(stored, tuple(world.questions))
        await written(plan.services.journal.update(stored))
        return True
