"""Random programs, run once straight and once with kills, takeovers, resumes and other completion orders."""

import asyncio
import json
import random
import re
from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from stratagem.core import Answer, Row, decoded
from stratagem.errors import CIRCUMSTANCES, OwnedElsewhere
from tests.faults.random_programs import PROGRAMS, TOOLS, interpreted, loose, short, timed
from tests.faults.scheduling import RUN, Clock, Disk, Life, Scheduler, opened

MADE = tuple(TOOLS.values())
SHOWN = re.compile(r"Did \w+\((.*)\) happen\?")


def identity(row: Row) -> tuple[Any, ...] | None:
    """Return what the world knows a performed effect by."""
    if row.kind == "model":
        return ("model", row.path, row.digest.hex(), row.occurrence)
    if row.kind == "tool":
        form = decoded(row.request)
        return ("tool", form["tool"], form["arguments"]["where"])
    return None


class Story:
    """All lives of one run of a program."""

    def __init__(self, program: list[Any], dice: random.Random) -> None:
        self.program, self.dice = program, dice
        self.clock = Clock()
        self.disk = Disk(self.clock)
        self.lives: list[Life] = []
        self.answers: list[str] = []

    @property
    def rows(self) -> list[Row]:
        return self.disk.rows(RUN) if RUN in self.disk._runs else []

    @property
    def passing(self) -> set[tuple[Any, ...]]:
        """What may be performed again whenever the run goes on: errors that are circumstances."""
        return {key for row in self.rows if passing(row) and (key := identity(row))}

    def world(self) -> Counter[tuple[Any, ...]]:
        return Counter(key[:3] if key[0] == "tool" else key for one in self.lives for key in one.performed)

    def says(self, question: str) -> Any:
        """Return what a person answers: the truth about what happened, and elsewhere always the same."""
        if found := SHOWN.match(question):
            where = json.loads(found[1])["where"]
            happened = self.world()["tool", "pay", where]
            return {"happened": True, "result": f"pay {where} "} if happened else {"happened": False}
        odd = int(short(question), 16) % 2
        if question.startswith("Allow "):
            return "yes" if odd else "no"
        return bool(odd)

    async def answer(self, one: Life) -> bool:
        """Answer one open question of the run, if there is one."""
        if RUN not in self.disk._runs or one.session is None:
            return False
        waiting = (await one.session.show(RUN)).questions()
        if not waiting:
            return False
        asked = self.dice.choice(waiting)
        said = self.says(asked["question"])
        if asked["schema"].get("type") == "string":
            said = f"said of {short(asked['question'])}"
        await one.session.answer(RUN, said, asked["id"])
        return True

    async def live(self, one: Life) -> Answer:
        async with opened(one, MADE) as one.session:
            answer = await one.session.run(interpreted.using(program=json.dumps(self.program)), "?", run_id=RUN)
            while answer.stop == "suspended" and one is self.lives[-1]:
                assert await self.answer(one), "a run is parked, and waits for nobody"
                answer = await one.session.resume(RUN)
            return answer

    async def lived(self, scheduler: Scheduler, until: int | None = None, stopped: tuple[Life, ...] = ()) -> Life:
        """Begin a life, and let it go on to its end, or for so many steps."""
        one = Life(self.disk, self.clock)
        before = {key for row in history(self.rows) if (key := identity(row))}
        kept = list(self.rows)
        self.lives.append(one)
        one.begin(self.live)
        await scheduler.drive(one, self.answer, until=until, others=stopped)
        again = Counter(key[:3] if key[0] == "tool" else key for key in one.performed)
        assert not before & set(again), f"recorded and performed again: {before & set(again)}"
        for key in self.passing:
            again.pop(key, None)
        if not loose(self.program):  # what was cancelled is performed again after a pause, if its branch is
            assert max(again.values(), default=0) <= 1, f"performed twice in one life: {again.most_common(3)}"
        assert self.rows[: len(kept)] == kept, "rows were changed"
        return one

    async def replayed(self) -> Answer:
        one = Life(self.disk, self.clock)

        async def work(one: Life) -> Answer:
            async with opened(one, MADE) as made:
                return await made.replay(RUN)

        one.begin(work)
        await Scheduler(self.dice, order="last").drive(one, self.answer)
        assert not one.performed, f"performed in a replay: {one.performed}"
        assert one.task is not None
        return one.task.result()


def passing(row: Row) -> bool:
    """Return whether another attempt is allowed: a circumstance, from which the program may not have gone on."""
    return row.failed and decoded(row.result)[0] in CIRCUMSTANCES


def history(rows: list[Row]) -> list[Row]:
    """Return what is never performed again: all but circumstances after which their strand has recorded nothing."""
    last = {(row.path, row.digest, row.occurrence): row for row in rows}
    newest = {row.path: row for row in rows}
    return [row for row in last.values() if not passing(row) or newest[row.path].digest != row.digest]


async def straight(program: list[Any]) -> tuple[Story, Answer, int]:
    """Run a program without any trouble; return also how many things happened."""
    story = Story(program, random.Random(0))
    scheduler = Scheduler(story.dice)
    one = await story.lived(scheduler)
    assert one.task is not None
    return story, one.task.result(), scheduler.steps


async def broken(
    program: list[Any], seed: int, orders: list[str], kills: list[int], stops: list[bool], *, lag: bool, live: bool
) -> tuple[Story, Answer]:
    """Run a program through several lives; each but the last is killed, or stopped and wakes in the next one."""
    story = Story(program, random.Random(seed))
    stopped: tuple[Life, ...] = ()
    for number, until in enumerate([*kills, None]):
        scheduler = Scheduler(story.dice, order=orders[number % len(orders)], lag=lag, live=live)
        one = await story.lived(scheduler, until, stopped)
        assert one.task is not None
        if one.task.done():
            break
        if stops[number % len(stops)] and story.rows:
            stopped = (*stopped, one)
        else:
            await one.killed()
        story.clock.micros += 20_000_000  # what cannot be looked at has lost its runs by now
    for zombie in stopped:
        await fenced(zombie, story)
    assert story.lives[-1].task is not None
    return story, story.lives[-1].task.result()


async def fenced(zombie: Life, story: Story) -> None:
    """Let a stopped life go on: nothing that it writes is stored, and it ends because it was fenced."""
    rows = list(story.rows)
    assert zombie.task is not None
    if not zombie.task.done():
        await Scheduler(story.dice).drive(zombie, story.answer)
    assert isinstance(zombie.task.exception(), OwnedElsewhere), zombie.task
    assert story.rows == rows


async def check(
    program: list[Any], seed: int, orders: list[str], kills: list[int], stops: list[bool], lag: bool, live: bool
) -> None:
    first, whole, steps = await straight(program)
    moments = [share * steps // 100 for share in kills]
    story, answer = await broken(program, seed, orders, moments, stops, lag=lag, live=live)
    assert answer.stop == whole.stop == "answered"
    paid = story.world()
    assert max((number for key, number in paid.items() if key[1] == "pay"), default=0) <= 1, "`once` performed twice"
    often = {key: number for key, number in paid.items() if number > len(story.lives) and key not in story.passing}
    assert loose(program) or not often, f"performed more than once more per crash: {often}"
    keys: dict[str, set[str]] = {}
    for one in story.lives:
        for key in one.performed:
            if key[1] == "post":
                keys.setdefault(key[2], set()).add(key[3])
    assert all(len(found) == 1 for found in keys.values()), "a `keyed` tool was performed again under another key"
    calls = Counter(
        (row.path, row.digest, row.occurrence) for row in story.rows if not passing(row) and row.kind != "intent"
    )
    assert max(calls.values(), default=0) <= 1, "recorded twice"
    if not timed(program):
        assert answer.text == whole.text
        if not loose(program):
            assert set(paid) == set(first.world()), "other effects than without a crash"
            extra = sum(number - 1 for key, number in paid.items() if key in story.passing)
            assert whole.usage.calls <= answer.usage.calls <= whole.usage.calls + extra
    again = await story.replayed()
    assert (again.text, again.stop) == (answer.text, answer.stop)


@settings(max_examples=300)
@given(
    program=PROGRAMS,
    seed=st.integers(0, 2**16),
    orders=st.lists(st.sampled_from(["first", "last", "drawn"]), min_size=1, max_size=3),
    kills=st.lists(st.integers(0, 99), min_size=1, max_size=3),
    stops=st.lists(st.booleans(), min_size=1, max_size=3),
    lag=st.booleans(),
    live=st.booleans(),
)
def test_a_program_that_is_killed_taken_over_and_resumed_ends_as_if_it_had_not_been(
    program: Any, seed: int, orders: Any, kills: Any, stops: Any, lag: bool, live: bool
) -> None:
    asyncio.run(check(program, seed, orders, kills, stops, lag, live))
