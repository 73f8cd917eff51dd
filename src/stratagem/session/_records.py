"""What a session shows of its runs, and where state lies on the disk."""

import os
from typing import TYPE_CHECKING, Any

from stratagem.core import Answer, EffectCounts, Json, Label, Row, StoredRun, Task, Usage, decoded, json_of, printable
from stratagem.core._book import attached, scopes
from stratagem.core._canonical import is_object
from stratagem.core._schema import converted
from stratagem.errors import revive
from stratagem.session._fallbacks import Fallback, answered_by, fallbacks_of, via_of

if TYPE_CHECKING:
    from pathlib import Path

# The words by which requests other than those of models and tools say what they ask for.
_WORDS = ("budget", "clock", "execute", "observe", "order", "recall", "reset", "wait")
_ALPHABET = b"23456789abcdefghjkmnpqrstuvwxyz"
_LETTERS = bytes(_ALPHABET[byte % len(_ALPHABET)] for byte in range(256))


def new_id() -> str:
    """Return a run id: eight lower-case letters and digits, drawn by the operating system."""
    return os.urandom(8).translate(_LETTERS).decode()


def home_of(home: "str | Path | None") -> "Path":
    """Return the folder that holds journal and memory: `home`, else STRATAGEM_HOME, else the platform's data folder."""
    from pathlib import Path  # noqa: PLC0415  (imports `urllib.parse`, and that `ipaddress`)

    if home is not None:
        return Path(home).expanduser()
    if said := os.environ.get("STRATAGEM_HOME"):
        return Path(said).expanduser()
    from stratagem.models.local_weights import data_folder  # noqa: PLC0415  (weights lie there too)

    return data_folder()


def when(micros: int) -> str:
    """Return microseconds since 1970 as RFC 3339 in UTC with milliseconds."""
    import datetime  # noqa: PLC0415  (only where times are shown)

    moment = datetime.datetime.fromtimestamp(micros / 1e6, datetime.UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class RunRecord:
    """One run as it is stored: its record, and its effects if they were loaded.

    Attributes:
        id: the run's id.
        state: `running waiting finished cancelled failed`.
        strategy: spec string; empty if it could not be named.
        model: spec string.
        question: what was asked.
        stop: why it ended, if it has.
        parent: the run it was forked from.
        record: everything that was stored when it began.
        error: `kind` and `message` of the exception that ended it, if one did.
        counts: how many effects were reused, performed and left unused when it was driven last; None while it runs.
        rows: its effects.
        inherited: of a fork, the effects that it reuses of its ancestors, each with the record of the run that has it.
    """

    def __init__(self, stored: StoredRun, rows: list[Row] | None = None) -> None:
        self.stored, self.rows = stored, rows or []
        self.inherited: list[tuple[RunRecord, Row]] = []
        self.id, self.state, self.parent = stored.run_id, stored.state, stored.parent
        self.record: Json = decoded(stored.record)
        self.end: Json = decoded(stored.end) if stored.end else {}
        self.strategy: str = self.record.get("strategy", "")
        self.model: str = self.record.get("model", "")
        self.question: str = _question(self.record)
        self.stop: str | None = self.end.get("answer", {}).get("stop")
        self.error: Json = self.end.get("error")
        self.counts = EffectCounts(*self.end["counts"]) if "counts" in self.end else None

    def __repr__(self) -> str:
        return f"RunRecord({self.id}, {self.state}, {self.strategy}, {self.question[:40]!r})"

    def __str__(self) -> str:
        return printable(f"{self.id}  {self.state}  {self.strategy}  {self.model}  {self.question[:60]}")

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        import html  # noqa: PLC0415  (notebooks only)

        rows = {"state": self.state, "strategy": self.strategy, "model": self.model, "question": self.question}
        cells = "".join(
            f"<tr><th>{name}</th><td>{html.escape(printable(value)[:1000])}</td></tr>" for name, value in rows.items()
        )
        return {"text/plain": str(self), "text/html": f"<table><caption>run {self.id}</caption>{cells}</table>"}

    def plain(self) -> Json:
        """Return the run object of the command line's JSON."""
        return {
            "id": self.id,
            "strategy": self.strategy,
            "model": self.model,
            "task": self.record.get("task", {}),
            "state": self.state,
            "seed": self.record.get("seed", 0),
            "created": when(self.stored.created),
            "updated": when(self.stored.updated),
            "stop": self.stop,
            "parent": self.parent or None,
            "versions": self.record.get("versions", {}),
            "labels": self.record.get("labels", {}),
        }

    def effects(self, *, inherited: bool = False) -> list[Json]:
        """Return the run's effects as JSON, in order: `n kind name scope state started seconds usage answered_by reused error`.

        Args:
            inherited: whether those that a fork reuses of its ancestors come first, with `reused` true.
        """
        older = self.inherited if inherited else ()
        reused = [{**owner.effect(row), "reused": True} for owner, row in older]
        return [*reused, *(self.effect(row) for row in self.rows)]

    def found(self, number: int) -> "tuple[RunRecord, Row] | None":
        """Return an effect by its number, of this run or reused by it, with the record of the run that has it."""
        own = next(((self, row) for row in self.rows if row.seq == number), None)
        return own or next((one for one in self.inherited if one[1].seq == number), None)

    def effect(self, row: Row) -> Json:
        """Return one effect as JSON."""
        error = decoded(row.result) if row.failed else None
        usage = (
            row.usage if row.usage is not None else Usage(calls=1) if row.kind == "model" and not row.failed else None
        )
        return {
            "n": row.seq,
            "kind": row.kind,
            "name": self.name(row),
            "scope": row.path,
            "state": "failed" if row.failed else "intended" if row.kind == "intent" else "finished",
            "started": when(row.wall),
            "seconds": round(row.took / 1e6, 6),
            "usage": None if usage is None else usage.plain(),
            "answered_by": answered_by(row),
            "reused": False,
            "error": None if error is None else {"kind": error[0], "message": str(revive(error))},
        }

    def name(self, row: Row) -> str:
        """Return what an effect did, in a word or two: the signature's or the tool's name."""
        form = decoded(row.request)
        if row.kind == "model":
            return str(self._head(form).get("signature", ""))
        if "tool" in form:
            return str(form["tool"])
        return next((word for word in form if word in _WORDS), row.kind)

    def request(self, row: Row) -> Json:
        """Return the recorded request, with what it refers to in earlier effects."""
        import base64  # noqa: PLC0415  (only where effects are shown one by one)

        form = decoded(row.request)
        if row.kind != "model":
            return form
        message = form["message"]
        if isinstance(message, int):
            message = decoded(self._row(message).request)["message"]
        whole = {**form, "head": self._head(form), "message": message}
        if "attached" in form:
            shown = attached(form, lambda seq: decoded(self._row(seq).request))
            whole["attached"] = [
                {"name": name, "type": media_type, "bytes": len(data), "base64": base64.b64encode(data).decode()}
                for name, media_type, data in shown
            ]
        return whole

    def _head(self, form: Json) -> Json:
        head = form["head"]
        return decoded(self._row(head).request)["head"] if isinstance(head, int) else head

    def _row(self, seq: int) -> Row:
        place = seq - self.rows[0].seq if self.rows else 0
        if 0 <= place < len(self.rows) and self.rows[place].seq == seq:
            return self.rows[place]
        found = next((row for row in self.rows if row.seq == seq), None)
        return _LOST if found is None else found

    def usage(self) -> Usage:
        """Return what the run has cost so far, from its effects."""
        paid: dict[str, Any] | None = self.record.get("paid")
        total = self._recorded() + (Usage(**paid) if paid else Usage())
        return total._replace(seconds=max((row.active + row.took for row in self.rows), default=0) / 1e6)

    def unrecorded(self) -> Usage:
        """Return what was paid for calls of which no row tells: they were cancelled, as far as the run's end says it.

        `seconds` are all that the run had taken by then.
        """
        paid: dict[str, Any] | None = self.end.get("usage") or self.record.get("paid")
        if not paid or not self.end.get("usage"):
            return Usage(**paid) if paid else Usage()
        return Usage(**paid).less(self._recorded())

    def _recorded(self) -> Usage:
        return sum(map(_cost_of, self.rows), Usage())

    def costs(self) -> dict[str, Usage]:
        """Return what each scope has cost, with all that is below it: strategy calls, branches and named scopes.

        Scopes come in the order of their first effect, each after the one that encloses it. `seconds` is the time from
        the begin of a scope's first effect to the end of its last.
        """
        total: dict[str, Usage] = {}
        first: dict[str, int] = {}
        for row in self.rows:
            used = _cost_of(row)
            for scope in scopes(row.path):
                first.setdefault(scope, row.active)
                first[scope] = min(first[scope], row.active)
                before = total.get(scope, Usage())
                seconds = max(before.seconds, (row.active + row.took) / 1e6)
                total[scope] = (before + used)._replace(seconds=seconds)
        return {scope: used._replace(seconds=used.seconds - first[scope] / 1e6) for scope, used in total.items()}

    def fallbacks(self) -> list[Fallback]:
        """Return which models of a chain answered in place of others, from its effects and those that it reuses."""
        every = [*self.inherited, *((self, row) for row in self.rows)]
        return fallbacks_of((str(owner.request_head(row).get("model", "")), row) for owner, row in every if via_of(row))

    def fallbacks_told(self) -> str:
        """Return the same in one line of words; empty if there was nothing of the kind."""
        every = [*(row for _, row in self.inherited), *self.rows]
        answered = sum(row.kind == "model" and not row.failed for row in every)
        return " · ".join(one.told(answered) for one in self.fallbacks())

    def cut_told(self) -> str:
        """Return in one line of words how many replies were cut off at their longest; empty if none was.

        Of those that `--max-tokens` has cut it says so: it is the session's own option.
        """
        every = [*self.inherited, *((self, row) for row in self.rows)]
        heads = [owner.request_head(row) for owner, row in every if _is_cut(row)]
        if not heads:
            return ""
        many = len(heads) > 1
        said = f"{len(heads):,} replies were cut" if many else "1 reply was cut"
        most = {head.get("options", {}).get("max_tokens") for head in heads}
        if len(most) > 1 or None in most:
            return f"{said} at {'their' if many else 'its'} longest"
        (tokens,) = most
        ours = tokens == self.record.get("options", {}).get("max_tokens")
        return f"{said} at {tokens:,} token{'' if tokens == 1 else 's'}{' by `--max-tokens`' if ours else ''}"

    def request_head(self, row: Row) -> Json:
        """Return what a model call has in common with others of its kind: `model instruction options` and more."""
        return self._head(decoded(row.request))

    def notes(self) -> list[Json]:
        """Return what the program noted, as JSON, `kind scope data` each; it is stored when the run stops."""
        return self.end.get("notes", [])

    def questions(self) -> list[Json]:
        """Return the open questions, in the order of asking: `id question schema asked`."""
        if self.state == "finished":
            return []
        answered = decoded(self.stored.answers)
        parked = {one["id"] for one in self.end.get("waiting", [])} if self.state == "waiting" else None
        return [
            {"id": one["id"], "question": one["question"], "schema": one["schema"], "asked": when(one["asked"])}
            for one in sorted(decoded(self.stored.questions).values(), key=_asked)
            if one["id"] not in answered and (parked is None or one["id"] in parked)
        ]


def _is_cut(row: Row) -> bool:
    """Return whether a row is a reply that ended where no more of it was allowed."""
    if row.kind != "model" or row.failed or b'"length"' not in row.result:
        return False
    return decoded(row.result).get("finish") == "length"


def _asked(question: Json) -> tuple[int, int]:
    """Return what orders questions: how many effects the run had, because a clock may go back; then the time."""
    return question.get("seq", 0), question["asked"]


def _cost_of(row: Row) -> Usage:
    """Return what an effect has cost: a model call that was refused has cost nothing, not even a call."""
    if row.kind != "model" or (row.failed and row.usage is None):
        return Usage()
    return (row.usage or Usage())._replace(calls=1)


# What stands for an effect that was damaged and dropped, and to which later ones refer for their head or message.
_LOST = Row(-1, "model", "", b"", 0, 0, 0, 0, None, b'{"head":{"signature":"?"},"message":"(lost)"}', b"{}")


def _question(record: Json) -> str:
    said = record.get("task", {}).get("question", "")
    return str(said["text"]) if is_object(said) else str(said)


def answer_of(end: Json, task: Task) -> Answer:
    """Return the recorded answer, typed by its task; without its steps."""
    form = end["answer"]
    value = form["value"]
    if value is not None:
        try:
            value = converted(task.output, value)
        except ValueError:
            value = json_of(value)
    facts: dict[str, Any] = {
        "confidence": form["confidence"],
        "sources": tuple(form["sources"]),
        "needs": frozenset(form["needs"]),
        "stop": form["stop"],
        "reason": form["reason"],
        "usage": Usage(**end["usage"]),
        "label": Label.of(form["label"]),
        "run_id": form["run_id"],
        "counts": EffectCounts(*end.get("counts", ())),
    }
    return Answer(form["text"], value, **facts)
