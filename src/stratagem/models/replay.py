"""`replay:RUN`: a model that says again what it said in a recorded run, to another program. Nothing is sent anywhere.

Rule 1: a request is looked for as the recorded run asked it: with that run's model in its digest, not with `replay:RUN`.
Rule 2: the same request at the same place (scope path, occurrence) gets that place's reply. Elsewhere it gets the first one
        in recorded order that nobody has got, and a place that asks again, in another run of the session, gets the
        same again.
Rule 3: what was not recorded is a `ScriptMiss` with the nearest request and the fields that differ. No reply is guessed.
Rule 4: recorded errors are raised again. What a budget refused then is no reply, since nothing was asked.
"""

import heapq
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import NamedTuple, cast

from stratagem.core import Capabilities, Delta, Json, Reply, Request, Row, Sample, decoded
from stratagem.core._book import attached
from stratagem.core._canonical import hashed, is_object, text_of
from stratagem.core._request_digest import head_digest, request_digest
from stratagem.errors import ModelError, ScriptMiss, StratagemError, revive
from stratagem.models.compared import difference, fields, form_of, nearest
from stratagem.models.table import IMAGES

Rows = Mapping[int, Row]
Key = tuple[str, bytes, int]

_HONOURED = frozenset({"temperature", "top_p", "stop", "seed", "effort", "logprobs", "schema", "max_tokens"})
_TOOLS = frozenset({"tools"})
_NO_REPLY = ("BudgetExhausted", "ScriptMiss")
_COMPARED = 20  # recorded requests that are looked at closely after a miss
_REMEDY = "Use another model for what is new; `stratagem show` prints what the run has recorded."


class Recording(NamedTuple):
    """What a run has recorded of its model, and of the runs that it was forked from.

    Attributes:
        run_id: the run.
        model: spec of its model.
        rows: its model calls, oldest first, each with all rows of the run that it stands in, by number.
    """

    run_id: str
    model: str
    rows: list[tuple[Row, Rows]]


class ReplayModel:
    """Answers from a recorded run.

    Args:
        run: id of the run, or a unique beginning of it.
        load: reads the run.

    Attributes:
        lacks: what is wrong with the run; whoever asks, or begins a run, is told.
    """

    def __init__(self, run: str, load: Callable[[str], Awaitable[Recording]]) -> None:
        self.spec = f"replay:{run}"
        self.lacks: StratagemError | None = None
        self.capabilities = _capabilities(native=True, priced=True, longest=0)
        self._run, self._load = run, load
        self._recording: Recording | None = None
        self._models: tuple[str, ...] = ()
        self._heads: dict[tuple[bytes, str], bytes] = {}
        self._rows: dict[Key, tuple[Row, Rows]] = {}
        self._by_digest: dict[bytes, list[Key]] = defaultdict(list)
        self._there: set[Key] = set()  # places that got their own reply
        self._given: dict[Key, Key] = {}  # places that got another's, and whose
        self._taken: set[Key] = set()

    def __repr__(self) -> str:
        return f"ReplayModel({self._run!r})"

    async def prepare(self) -> None:
        """Read the run, if that was not done: what it had decides what the model honours. Failures are kept in `lacks`."""
        if self._recording is not None:
            return
        try:
            recording = await self._load(self._run)
        except StratagemError as failure:
            self.lacks = failure
            return
        if self._recording is None:
            self.lacks = None
            self._keep(recording)

    def refuses(self, request: Request) -> frozenset[str]:  # noqa: ARG002
        """Refuse nothing: what the recorded model did not honour was left off then."""
        return frozenset()

    def tokens(self, text: str) -> int:
        """Return the number of bytes: no reply is longer, and no tokenizer is known."""
        return len(text.encode(errors="replace"))

    def complete(
        self, request: Request, *, on_delta: Callable[[Delta], None] | None = None
    ) -> Reply | Awaitable[Reply]:
        """Answer a request as it was answered then.

        Raises:
            ScriptMiss: it was not recorded, or more often asked than it was recorded.
            ModelError: what was recorded instead of a reply.
        """
        return self._later(request, on_delta) if self._recording is None else self._reply(request, on_delta)

    async def aclose(self) -> None:
        """Let go of nothing: the journal is the session's."""

    async def _later(self, request: Request, on_delta: Callable[[Delta], None] | None) -> Reply:
        await self.prepare()
        if self.lacks is not None:
            raise self.lacks
        return self._reply(request, on_delta)

    def _keep(self, recording: Recording) -> None:
        natively = set[bool]()
        models: dict[str, None] = {recording.model: None}
        priced, longest = True, 0
        for row, rows in recording.rows:
            if row.failed and decoded(row.result)[0] in _NO_REPLY:
                continue
            key = (row.path, row.digest, row.occurrence)
            if key not in self._rows:
                self._by_digest[row.digest].append(key)
            self._rows[key] = row, rows  # of two with one key the later holds: it was performed again
            head = _head(row, rows)
            models[str(head.get("model", ""))] = None
            if head.get("format") in ("step", "act"):
                natively.add(bool(head.get("native")))
            if row.usage is not None:
                priced = priced and row.usage.usd is not None
                longest = max(longest, row.usage.completion_tokens)
        self._models = tuple(models)
        self.capabilities = _capabilities(native=natively != {False}, priced=priced, longest=longest)
        self._recording = recording

    def _reply(self, request: Request, on_delta: Callable[[Delta], None] | None) -> Reply:
        row = self._row(request)
        form = decoded(row.result)
        if row.failed:
            error = revive(form)
            if isinstance(error, ModelError):
                error.usage = row.usage
            raise error
        sample = Sample.of(form)
        if on_delta is not None:
            on_delta(Delta(0, sample.text))
        return Reply((sample,), row.usage)

    def _row(self, request: Request) -> Row:
        place, occurrence = request.path, request.occurrence
        keys = [(place, self._digest(request, model), occurrence) for model in self._models]
        for key in keys:
            if key in self._rows:
                self._there.add(key)
                return self._rows[key][0]
        for key in keys:
            if key in self._given:
                return self._rows[self._given[key]][0]
        for key in keys:
            for other in self._by_digest.get(key[1], ()):
                if other not in self._there and other not in self._taken:
                    self._taken.add(other)
                    self._given[key] = other
                    return self._rows[other][0]
        raise self._missed(request, {key[1] for key in keys})

    def _digest(self, request: Request, model: str) -> bytes:
        """Return the digest that a request would have if another model were asked."""
        known = (request.head.digest, model)
        head = self._heads.get(known)
        if head is None:
            head = self._heads[known] = head_digest({**request.head.form, "model": model})
        return request_digest(head, request.message.encode(), request.steps, request.repair, request.attached)

    def _missed(self, request: Request, digests: set[bytes]) -> ScriptMiss:
        """Return the error that says what was asked, and what is nearest to it in the run."""
        assert self._recording is not None
        asked = form_of(request)
        place = f"{request.path or 'the root'!r}" + (f", draw {request.occurrence + 1}" if request.occurrence else "")
        what = f"run {self._recording.run_id} has no reply to `{request.signature.name}` in {place}"
        if not self._rows:
            return _miss(f"{what}: it has asked no model")
        times = sum(len(self._by_digest.get(digest, ())) for digest in digests)
        if times:
            return _miss(f"{what}: the same was recorded {times} times, and all of these replies were given")
        closest = heapq.nsmallest(_COMPARED, self._rows.values(), key=lambda pair: _distance(request, asked, *pair))
        asked["model"] = ""  # of which Rule 1 takes care
        known = (({**_expanded(request, row, rows), "model": ""}, row) for row, rows in closest)
        found = nearest(asked, known)
        assert found is not None
        near, row = found
        where = f"effect {row.seq}, `{near.get('signature', '?')}` in {row.path or 'the root'!r}"
        names = ", ".join(fields(near, asked)) or "nothing that is kept: a record was lost"
        return _miss(f"{what}; the nearest is {where}, which differs in {names}\n{difference(near, asked)}".rstrip())


def _capabilities(*, native: bool, priced: bool, longest: int) -> Capabilities:
    fields, media = _HONOURED | _TOOLS if native else _HONOURED, IMAGES | {"image/*"}
    return Capabilities(fields, schema="constrained", media=media, max_output=longest or 4096, priced=priced)


def _miss(message: str) -> ScriptMiss:
    return ScriptMiss(message, provider="replay", remedy=_REMEDY)


# What a row refers to in earlier ones


def _head(row: Row, rows: Rows) -> dict[str, Json]:
    head: Json = decoded(row.request)["head"]
    if isinstance(head, int):
        head = decoded(rows[head].request)["head"] if head in rows else None
    return head or {}


def _distance(request: Request, asked: Json, row: Row, rows: Rows) -> tuple[bool, int, bool, int]:
    """Return what tells cheaply how far a recorded request is from the one that was asked."""
    head = _head(row, rows)
    unlike = sum(head.get(name) != asked.get(name) for name in ("instruction", "format", "options", "native", "tools"))
    _, length, *turns = decoded(row.request).get("steps") or (-1, 0)
    steps = 0 if request.steps is None else len(request.steps)
    return (
        head.get("signature") != asked["signature"],
        unlike,
        row.path != request.path,
        abs(length + len(turns) - steps),
    )


def _expanded(request: Request, row: Row, rows: Rows) -> dict[str, Json]:
    """Return a recorded request with what it refers to, as `form_of` has it."""
    form = decoded(row.request)
    message = form["message"]
    if isinstance(message, int):
        message = decoded(rows[message].request)["message"] if message in rows else "(lost)"
    whole: dict[str, Json] = {**_head(row, rows), "message": message}
    if steps := list(_turns(request, row, rows)):
        whole["steps"] = steps
    if form.get("repair"):
        whole["repair"] = form["repair"]
    if form.get("attached"):
        shown = attached(form, lambda seq: decoded(rows[seq].request))
        whole["attached"] = [[name, kind, len(data), hashed(b"b" + data).hex()] for name, kind, data in shown]
    return whole


def _turns(request: Request, row: Row, rows: Rows) -> Iterator[Json]:
    """Yield the turns of a recorded conversation; each request has its own last ones and names the request before."""
    parts: list[list[Json]] = []
    number, most = row.seq, 1 << 62
    while number in rows or number == row.seq:
        begun, length, *turns = decoded((row if number == row.seq else rows[number]).request).get("steps") or (-1, 0)
        parts.append(turns[: max(0, most - length)])
        number, most = begun, min(most, length)
    for turns in reversed(parts):
        for step, seen in cast("list[tuple[Json, list[Json]]]", turns):
            yield [_step(request, step, rows), [_observation(one, rows) for one in seen]]


def _step(request: Request, step: Json, rows: Rows) -> Json:
    if not isinstance(step, int):
        return step
    if step not in rows:
        return ["(lost)", [], None]
    sample = Sample.of(decoded(rows[step].result))
    try:
        read = request.signature.parse(sample, native=bool(_head(rows[step], rows).get("native")))
        return read.plain()
    except (ModelError, AttributeError):
        return [sample.text, [list(call) for call in sample.calls], None]


def _observation(seen: Json, rows: Rows) -> Json:
    if not isinstance(seen, int):
        return seen
    form = decoded(rows[seen].result) if seen in rows else "(lost)"
    if is_object(form):
        return [form.get("text", ""), bool(form.get("failed", False))]
    return [form if isinstance(form, str) else text_of(form), False]
