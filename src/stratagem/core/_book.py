"""A run's book: what is recorded, by key, and what is added to the journal.

Rule 1: the key of an effect is (scope path, digest of the request, occurrence among equal requests there). A recorded
        row is handed out once, for exactly that key, so no call ever gets another call's value.
Rule 2: an error is history once a later row, or a question to a person, stands in its strand or an enclosing one (other
        draws of its sample do not count). One from which the program did not go on is forgotten by `resume` if it is
        circumstance.
Rule 3: a fresh run has nothing recorded and pays nothing for looking.
"""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

from stratagem.core._budget import Budget, Need, need_of
from stratagem.core._canonical import Json, decoded, encoded, plain, quoted, text_of
from stratagem.core._journal import Journal, Kind, Row
from stratagem.core._transcript import Transcript
from stratagem.core._turns import turns_of
from stratagem.core._value import made
from stratagem.core._values import Attachment, EffectCounts, Usage
from stratagem.errors import CIRCUMSTANCES

Key = tuple[str, bytes, int]

_NOWHERE = ("", -1)
_UNSTORED = (None, 0, -1)


class Book:
    """What is recorded of one run.

    Args:
        journal: where new rows go.
        run_id: the run.
        own: the run's own rows.
        base: rows that a fork reuses from its parent.
        keep_errors: whether circumstances stay, as they do for a replay.
        raised: whether the budget was raised, so that its refusals do not stay.
        dropped: rows of a parent that a fork performs again: what they did in the world is done.
        asked: scope of each question that was put to a person, and how many rows the run had then.
        first: number of a fork's first row: those of its ancestors are smaller.
        paid: what earlier drives have paid for calls of which no row tells, because they were cancelled.
    """

    __slots__ = (
        "_append", "_begin", "_blobs", "_forgotten", "_heads", "_order", "_run_id", "_stored", "_texts", "all_rows", "answers", "base", "dropped", "intended", "intents", "latest",
        "own_rows", "paid", "parent", "performed", "reached", "recorded", "reused", "seq",
    )  # fmt: skip

    def __init__(
        self,
        journal: Journal,
        run_id: str,
        own: Sequence[Row] = (),
        base: Iterable[Row] = (),
        *,
        keep_errors: bool = False,
        raised: bool = False,
        dropped: Iterable[Row] = (),
        asked: Iterable[tuple[str, int]] = (),
        first: int = 0,
        paid: Usage = Usage(),
    ) -> None:
        self._append, self._run_id = journal.append, run_id
        self.recorded: dict[Key, Row] = {}
        self.base: set[Key] = set()
        self.parent = tuple(base)
        self.seq = self._begin = own[-1].seq + 1 if own else max([first, *[row.seq + 1 for row in self.parent]])
        self._order: list[Any] = []  # what was asked for in this drive, as `turns_of` takes it
        self.intents: dict[Key, list[bool]] = {}  # for each time that it was begun, whether the parent did
        self.intended: dict[Key, bytes] = {}  # the requests of those
        self.reached: set[Key] = set()  # tool calls that the program has come to, where there are intents
        for row in self.parent:
            key = (row.path, row.digest, row.occurrence)
            if row.kind == "intent":
                self.intended[key] = row.request
                self.intents[key] = [True]  # a fork asks before it performs again what may happen once only
            else:
                self.recorded[key] = row
                self.base.add(key)
        self.answers: dict[str, Json] = {}
        forgotten = set[int]() if keep_errors else passing(own, refusals=raised, asked=asked)
        self.dropped, self.paid, self._forgotten = tuple(dropped), paid, forgotten
        for row in own:
            key = (row.path, row.digest, row.occurrence)
            if row.kind == "intent":
                self.intended[key] = row.request
                self.intents.setdefault(key, []).append(False)
            elif row.seq not in forgotten:
                self.recorded[key] = row  # of two with one key the later holds: it was performed again
                self.base.discard(key)
        self.all_rows = own
        mine = [row for key, row in self.recorded.items() if key not in self.base]
        self.own_rows = sorted(mine)  # by their numbers: no two have the same
        if self.recorded:
            append = self._append

            def noted(run_id: str, row: Row, *, alone: bool = False) -> Awaitable[None] | None:
                self._order.append(row[:3])
                return append(run_id, row, alone=alone)

            self._append = noted
        self.reused = self.performed = 0
        self.latest: dict[object, tuple[bytes, bytes]] = {}  # by head: digest, and the form if it was made twice
        self._heads: dict[bytes, int] = {}
        self._texts: dict[str, int] = {}
        self._blobs: dict[str, tuple[int, int]] = {}
        self._stored: dict[int, tuple[object, int, int]] = {}

    def take(self, key: Key) -> Row | None:
        """Return the recorded row of a key, once."""
        row = self.recorded.pop(key, None)
        if row is not None:
            self.reused += 1
            self._order.append(row)
        return row

    def add(
        self, kind: Kind, key: Key, request: bytes, result: bytes, times: tuple[int, int, int], usage: Usage | None = None,
        failed: bool = False, sample: int = -1, alone: bool = False,  # noqa: FBT002  (the hot path: positional costs less)
    ) -> Awaitable[None] | None:  # fmt: skip
        """Append a row; the awaitable returns when it is durable, None if it is already."""
        seq = self.seq
        self.seq = seq + 1
        path, digest, occurrence = key
        wall, active, took = times
        row = made(
            Row,
            (seq, kind, path, digest, occurrence, wall, active, took, usage, request, result, failed, sample),
        )
        return self._append(self._run_id, row, alone=alone)

    def head(self, digest: bytes, form: Json) -> str:
        """Return a head as JSON text: whole at its first use, then the number of the effect that has it."""
        known = self._heads.get(digest)
        if known is not None:
            return str(known)
        self._heads[digest] = self.seq
        return encoded(form).decode()

    def text(self, text: str) -> str:
        """Return a message as JSON text: whole at its first use, then the number of the effect that has it."""
        if len(text) < 48:
            return quoted(text)
        known = self._texts.get(text)
        if known is not None:
            return str(known)
        self._texts[text] = self.seq
        return quoted(text)

    def attached(self, attachments: Sequence[Attachment]) -> str:
        """Return attachments as JSON text: [name, type, bytes in base 64], or for these [effect that has them, place]."""
        import base64  # noqa: PLC0415  (only where something is attached)

        forms: list[Json] = []
        for place, one in enumerate(attachments):
            known = self._blobs.setdefault(one.digest, (self.seq, place))
            first = known == (self.seq, place)
            said: Json = base64.b64encode(one.data).decode() if first else list(known)
            forms.append([one.name, one.media_type, said])
        return encoded(forms).decode()

    def steps(self, steps: Transcript) -> str:
        """Return a conversation as JSON text: [effect that has its beginning, turns there, new turns ...]."""
        buffer, total = steps.buffer, len(steps)
        _, length, seq = self._stored.get(id(buffer), _UNSTORED)
        if length > total:
            length, seq = 0, -1
        self._stored[id(buffer)] = (buffer, total, self.seq)
        text = f"[{seq},{length}"
        for turn in steps.since(length):
            text += f",[{self._referred(turn.step)},[{','.join(map(self._referred, turn.observations))}]]"
        return text + "]"

    def _referred(self, value: object) -> str:
        marked: tuple[str, int] = getattr(value, "_at", _NOWHERE)
        return str(marked[1]) if marked[0] == self._run_id else text_of(plain(value))

    def mark(self, value: object, seq: int) -> None:
        """Remember which effect of this run a step or an observation came from."""
        object.__setattr__(value, "_at", (self._run_id, seq))

    def held(self) -> "Held":
        """Return what the run's own recorded effects cost, by scope."""
        return Held(self.all_rows, self._forgotten)

    def gone(self) -> list[tuple[Usage | None, int]]:
        """Return what was paid, with the calls, to which the program cannot come again: passing failures, and `paid`."""
        rows = [row for row in self.all_rows if row.seq in self._forgotten and row.kind == "model"]
        return [
            *((row.usage, calls_of(row)) for row in rows),
            *([(self.paid, self.paid.calls)] if self.paid.calls else []),
        ]

    def done(self, tool: str) -> list[Row]:
        """Return the recorded calls of a tool that the program has not asked for: what they did is done."""
        rows = [row for row in (*self.recorded.values(), *self.dropped) if row.kind == "tool"]
        return [row for row in rows if decoded(row.request).get("tool") == tool]

    def begun(self, tool: str) -> list[Json]:
        """Return the requests of calls of a tool that may have happened, to which the program has not come.

        Each has no result. One that has no `tool` may have been of any: its record is damaged.
        """
        over = {*self.reached, *self.recorded, *((row.path, row.digest, row.occurrence) for row in self.dropped)}
        left = [decoded(request) for key, request in self.intended.items() if key not in over]
        return [form for form in left if form.get("tool", tool) == tool]

    def unused(self) -> list[Row]:
        """Return the rows that the program has not asked for, in order."""
        return sorted(self.recorded.values(), key=lambda row: row.seq)

    def unasked(self) -> list[int]:
        """Return which of the parent's rows the program has not asked for, by their places in `parent`."""
        left = self.base & self.recorded.keys()
        return [
            n
            for n, row in enumerate(self.parent)
            if row.kind != "intent" and (row.path, row.digest, row.occurrence) in left
        ]

    @property
    def asked(self) -> bool:
        """Whether the program has asked for anything that was recorded before this drive."""
        return bool(self._order)

    def turns(self, before: Mapping[int, int], *, edited: bool) -> dict[int, int]:
        """Return the turns of the rows of this run and its ancestors, in the order in which the program has asked now.

        What it has not asked for, or not yet, comes last.

        Args:
            before: the turns until now.
            edited: whether the program is known to have changed.
        """
        if self.parent and max([row.seq for row in self.parent]) >= self._begin:
            return {}  # a fork of an earlier version: its numbers are its ancestors' as well
        left = sorted(self.recorded.values(), key=lambda row: (before.get(row.seq, 0), row.seq))
        return turns_of([*self._order, *left], self._begin, edited=edited)

    def counts(self) -> EffectCounts:
        """Return how many rows were reused and performed, and how many the program has not asked for."""
        return EffectCounts(self.reused, self.performed, len(self.recorded))


def attached(form: Json, request_of: Callable[[int], Json]) -> list[tuple[str, str, bytes]]:
    """Return what was attached to a recorded request: name, type and bytes of each.

    Args:
        form: the request.
        request_of: returns the request of another effect of the same run.
    """
    import base64  # noqa: PLC0415

    found: list[tuple[str, str, bytes]] = []
    for name, media_type, said in form.get("attached", ()):
        data = said if isinstance(said, str) else request_of(said[0])["attached"][said[1]][2]
        found.append((name, media_type, base64.b64decode(data)))
    return found


class Held:
    """What recorded effects have cost, in and below each scope, and when the first of them began.

    What is below the root is worked out only where a scope there has a limit of its own. There `gone` rows count too; of
    the whole run they are spent from the start (`Book.gone`).
    """

    __slots__ = ("_below", "_first", "_rows", "_total")

    def __init__(self, rows: Iterable[Row], gone: Collection[int] = ()) -> None:
        self._rows = list(rows)
        self._total = _spent(row for row in self._rows if row.seq not in gone)
        self._first = min((row.active for row in self._rows), default=None)
        self._below: dict[str, tuple[Need, int]] | None = None

    def since(self, scope: str) -> int | None:
        """Return the run's own time, in microseconds, at which the first effect in or below a scope began."""
        if not scope:
            return self._first
        found = self._scopes().get(scope)
        return None if found is None else found[1]

    def of(self, scope: str) -> Need:
        """Return what was spent in and below a scope."""
        if not scope:
            return self._total
        found = self._scopes().get(scope)
        return Need() if found is None else found[0]

    def _scopes(self) -> dict[str, tuple[Need, int]]:
        if self._below is None:
            by_path: dict[str, list[Row]] = defaultdict(list)
            for row in self._rows:
                by_path[row.path].append(row)
            self._below = {}
            for path, rows in by_path.items():
                spent, first = _spent(rows), min(row.active for row in rows)
                for scope in scopes(path):
                    before, since = self._below.get(scope, (_NOTHING, first))
                    total = Need(*(one + other for one, other in zip(before, spent, strict=True)))
                    self._below[scope] = total, min(since, first)
        return self._below


_NOTHING = Need()


def _spent(rows: Iterable[Row]) -> Need:
    """Return what recorded effects have cost together."""
    calls = prompt = completion = nano = 0
    for row in rows:
        if row.kind == "model":
            used = need_of(row.usage, calls_of(row))
            calls += used[0]
            prompt += used[1]
            completion += used[2]
            nano += used[3]
    return Need(calls, prompt, completion, nano)


def calls_of(row: Row) -> int:
    """Return how many draws a row stands for: a refusal by the budget is none."""
    return 0 if row.usage is None and row.failed else 1


def scopes(path: str) -> list[str]:
    """Return a scope and all that enclose it, the root first.

    >>> scopes("a/map[0]")
    ['', 'a', 'a/map[0]']
    """
    parts = path.split("/") if path else []
    return ["", *("/".join(parts[: n + 1]) for n in range(len(parts)))]


def within(path: str, scope: str) -> bool:
    """Return whether a scope is another or lies below it."""
    return not scope or path == scope or path.startswith(scope + "/")


def circumstance(row: Row) -> bool:
    """Return whether a row is an error that another attempt may end differently."""
    return row.failed and decoded(row.result)[0] in CIRCUMSTANCES


def passing(rows: Sequence[Row], *, refusals: bool = False, asked: Iterable[tuple[str, int]] = ()) -> set[int]:
    """Return the circumstances from which the program did not go on.

    Args:
        rows: of one run, in order.
        refusals: whether those of the run's own budget pass in any case, because it was raised.
        asked: scope of each question that was put to a person, and how many rows there were: the program went on to it.
    """
    errors = [row for row in rows if row.failed and circumstance(row)]
    if not errors:
        return set()
    latest = {(row.path, row.digest, row.occurrence): row.seq for row in rows}
    newest, asked = Newest(rows), tuple(asked)

    def passes(error: Row) -> bool:
        if latest[error.path, error.digest, error.occurrence] > error.seq:
            return True  # it was performed again since: the later row holds
        if refusals and _by_the_run(error):
            return True
        if any(seq > error.seq and shows(path, error.path) for path, seq in asked):
            return False
        later = (row for row in newest.around(error) if row.seq > error.seq)
        return not any(shows(row.path, error.path) and not siblings(row, error) for row in later)

    return {error.seq for error in errors if passes(error)}


class Newest:
    """The newest rows of a run by place: the few among which one shows that the program went on, if any does.

    What `shows` says of a row depends, where its path leaves the error's, only on the name there without the number
    of the branch. So of each scope the last rows of its own are enough, and of what it opened the newest row of two
    names: one of the two is not the error's own.
    """

    __slots__ = ("_below", "_own")

    def __init__(self, rows: Sequence[Row]) -> None:
        self._own: dict[str, list[Row]] = defaultdict(list)
        self._below: dict[str, list[tuple[str, Row]]] = {}
        for row in rows:
            self._own[row.path].append(row)
            scope, below = "", row.path
            while below:
                part, _, below = below.partition("/")
                name, branch, _ = part.partition("[")
                if not (branch and name.startswith("pool")):  # what a pool does shows nothing
                    two = self._below.setdefault(scope, [])
                    two[:] = [(name + branch, row), *(other for other in two if other[0] != name + branch)][:2]
                scope = f"{scope}/{part}" if scope else part

    def around(self, error: Row) -> Iterable[Row]:
        """Return the rows that may show that the program went on from an error."""
        for scope in scopes(error.path):
            for row in reversed(self._own[scope]):
                yield row
                if not siblings(row, error):
                    break
            yield from (row for _, row in self._below.get(scope, ()))


def _by_the_run(row: Row) -> bool:
    form = decoded(row.result)
    return form[0] == "BudgetExhausted" and form[3] == ""


def standing(rows: Sequence[Row], budget: Budget) -> list[Row]:
    """Return rows without refusals under other limits than a run's last ones: its last drive has met none of them.

    Args:
        rows: of one run.
        budget: the limits by which its last drive may have been refused a call.
    """
    refusals = (row for row in rows if row.failed and _by_the_run(row))
    gone = {row.seq for row in refusals if getattr(budget, (form := decoded(row.result))[1]) != form[2]}
    return [row for row in rows if row.seq not in gone]


def shows(later: str, error: str) -> bool:
    """Return whether a row at one place shows that the program went on from an earlier error at another.

    It does in the error's strand, in an enclosing one, and in whatever an enclosing one opened since. It does not in a
    sibling branch, nor where a pool may still have been running beside it.

    >>> shows("", "map[0]"), shows("map[1]", "map[0]"), shows("map#2[1]", "map[0]"), shows("pool[0]", "")
    (True, False, True, False)
    """
    theirs, ours = later.split("/") if later else [], error.split("/") if error else []
    while theirs and ours and theirs[0] == ours[0]:
        theirs, ours = theirs[1:], ours[1:]
    if not theirs:
        return True
    wave = theirs[0].partition("[")[0]
    if wave.startswith("pool") and "[" in theirs[0]:
        return False
    if not ours:
        return True
    if ours[0].startswith("pool") and "[" in ours[0]:
        return False
    return not ("[" in theirs[0] and wave == ours[0].partition("[")[0])


def siblings(one: Row, other: Row) -> bool:
    """Return whether both are draws of one sample."""
    return one.sample >= 0 and (one.path, one.digest, one.sample) == (other.path, other.digest, other.sample)
