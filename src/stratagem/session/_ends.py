"""How a run ends: what is kept of it, and what a person's answer must fit."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from stratagem.core import (
    USER,
    Answer,
    Budget,
    Content,
    Json,
    Label,
    Row,
    Run,
    Services,
    State,
    Stop,
    StoredRun,
    Strategy,
    Task,
    Tools,
    Usage,
    World,
    decoded,
    encoded,
    json_of,
)
from stratagem.core._admission import check_price, learn_price
from stratagem.core._canonical import clean, encoded_clean, text_of
from stratagem.core._value import replace
from stratagem.errors import (
    BudgetExhausted,
    CapabilityError,
    ConcurrentUse,
    JournalError,
    ModelError,
    Refused,
    StratagemError,
    Suspended,
    UnparsedReply,
    UsageError,
)
from stratagem.session._loading import policy_of, tools_of, unknown, versions
from stratagem.session._recorded import prepared
from stratagem.session._records import RunRecord

if TYPE_CHECKING:
    from pathlib import Path

ERROR = 500  # characters of a message: foreign ones may hold a whole body
NOTES, NOTES_BYTES = 1000, 1_000_000  # that are kept of one run: what the views draw, and no more than a journal bears
# What somebody must repair: raised, and the run can be resumed. Every other failure of ours is an expected end.
RAISED = (UsageError, CapabilityError, ConcurrentUse, JournalError, ModelError)
# What `resume` continues; any other end has its recorded answer.
GOES_ON: frozenset[str] = frozenset({"suspended", "budget", "cancelled"})


class Plan:
    """All that one drive of a run needs."""

    __slots__ = (
        "base",
        "budget",
        "dropped",
        "edited",
        "failure",
        "first",
        "options",
        "origin",
        "own",
        "paid",
        "prompts",
        "raised",
        "services",
        "stored",
        "strategy",
        "task",
    )

    def __init__(
        self,
        stored: StoredRun,
        strategy: Strategy,
        task: Task,
        budget: Budget,
        services: Services,
        options: Mapping[str, Any],
    ) -> None:
        self.stored, self.strategy, self.task, self.budget = stored, strategy, task, budget
        self.services, self.options = services, options
        self.own: list[Row] = []
        self.paid = Usage()  # in earlier drives, for calls that were cancelled
        self.base: list[Row] = []
        self.dropped: list[Row] = []
        self.prompts: dict[str, str] = {}
        self.origin = stored.run_id
        self.edited: list[str] = []  # what has another source than when it was recorded
        self.failure: Exception | None = None  # what ended it
        self.first = 0  # number of its first row
        self.raised = False  # whether the budget was raised by whoever resumes


async def written(durable: Any) -> None:
    if durable is not None:
        await durable


def checked_id(run_id: str) -> None:
    if not (run_id.isascii() and run_id.replace("-", "").replace("_", "").isalnum() and run_id != "last"):
        raise UsageError(f"a run id is made of letters, digits, - and _, and is not 'last', got {run_id!r}")


def label_of(question: str) -> Label:
    if not isinstance(question, Content):
        return USER
    label = question.label
    for one in question.attachments:
        label = label | one.label
    return label


async def ended(world: World, answer: Answer | None, state: str) -> None:
    """Tell who listens that the run has ended, and let go of them."""
    if world.feeds:
        world.emit("run.finished", "", answer=answer, state=state, **world.book.counts()._asdict())
        for feed in world.feeds:
            await feed.aclose()


def filled(answer: Answer, run: Run, world: World) -> Answer:
    usage = run.strand.meters[0].usage(round(world.active(), 3))
    return replace(
        answer, usage=usage, needs=answer.needs | world.needs, run_id=world.run_id, label=run.strand.label,
        counts=world.book.counts(),
    )  # fmt: skip


def end_of(world: World, answer: Answer | None, state: State, failure: Exception | None = None) -> bytes:
    """Return what is stored of a run's end.

    Answer, usage, open questions, counts of effects, notes, and of a fork which of its parents' rows it did not ask for;
    of a run that an exception ended, what that was.
    """
    form: dict[str, Json] = {"counts": list(world.book.counts())}
    if failure is not None:
        form["error"] = error_of(failure)
    if world.notes:
        form["notes"] = kept_notes(world.notes)
    if unasked := world.book.unasked():
        form["unasked"] = ranges(unasked)
    if answer is not None:
        waiting = list(world.questions.values()) if state == "waiting" else []
        form |= {"answer": answer.plain(), "usage": answer.usage.plain(), "waiting": waiting}
    return encoded_clean(form)


def error_of(failure: Exception) -> Json:
    """Return kind and message of what ended a run, without keys of providers; a long message is cut."""
    import os  # noqa: PLC0415  (only for what failed)

    from stratagem.models.table import ROWS  # noqa: PLC0415

    message = clean(str(failure))
    for variable in {row.variable for row in ROWS.values() if row.variable}:
        if key := os.environ.get(variable, "").strip():
            message = message.replace(key, "***")
    message = message if len(message) <= ERROR else f"{message[:ERROR]} [cut]"
    return {"kind": type(failure).__name__, "message": message}


def ranges(numbers: Sequence[int]) -> list[list[int]]:
    """Return growing numbers as pairs of first and last.

    >>> ranges([0, 1, 2, 7])
    [[0, 2], [7, 7]]
    """
    found: list[list[int]] = []
    for number in numbers:
        if found and found[-1][1] == number - 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return found


def kept_notes(notes: Sequence[tuple[str, str, dict[str, Json]]]) -> list[Json]:
    """Return the notes that are stored; the last says how many are not."""
    kept: list[Json] = []
    room = NOTES_BYTES
    for kind, scope, data in notes[:NOTES]:
        room -= len(text_of(data)) + len(kind) + len(scope)
        if room < 0:
            break
        kept.append({"kind": kind, "scope": scope, "data": data})
    if left := len(notes) - len(kept):
        kept.append({"kind": "notes.dropped", "scope": "", "data": {"count": left}})
    return kept


def saved(run: Run, world: World, stop: Stop, reason: str) -> Answer:
    """Return the best that was offered as the answer of a run that ended otherwise."""
    offers = run.strand.offers
    best = (offers.rescued if stop in ("cancelled", "suspended") else offers.best) or Answer("")
    return replace(filled(best, run, world), stop=stop, reason=reason)


async def outcome(plan: Plan, run: Run, world: World) -> tuple[Answer, State]:
    """Perform a run's strategy; return how it ended, if as an answer and not as an error."""
    stop: Stop
    try:
        made = await plan.strategy(run, plan.task)
        if world.refusal is None:
            return filled(made, run, world), "finished"
        stop, reason = "budget", str(world.refusal)
    except Suspended as pause:
        return saved(run, world, "suspended", pause.question), "waiting"
    except StratagemError as failure:
        if isinstance(failure, RAISED) and not isinstance(failure, UnparsedReply | Refused):
            raise
        made, reason = None, str(failure)
        stop = "budget" if world.refusal is not None else stop_of(failure)
    if made is not None:
        return replace(filled(made, run, world), stop=stop, reason=reason), "finished"
    return saved(run, world, stop, reason), "finished"


def stop_of(failure: StratagemError) -> Stop:
    if isinstance(failure, BudgetExhausted):
        return "budget"
    if isinstance(failure, UnparsedReply):
        return "unparsed"
    return "refused" if isinstance(failure, Refused) else "no_answer"


def prompts_of(changes: Mapping[str, Any]) -> dict[str, str]:
    return {name[7:]: str(text) for name, text in changes.items() if name.startswith("prompt.")}


async def check_model(services: Services, options: Mapping[str, Any], budget: Budget) -> None:
    """Refuse a model that lacks its key, or whose price is unknown under a limit of money, before anything is recorded."""
    await prepared(services, options)
    model = services.named_model(options.get("model"))
    lacks: StratagemError | None = getattr(model, "lacks", None)
    if lacks is not None:
        raise lacks
    if budget.usd is not None:
        await learn_price(model)
        check_price(model, budget)


def as_recorded(record: RunRecord, mine: Services, *, own_policy: bool) -> Services:
    """Return a session's services, with model, tools, seed and policy as a run had them."""
    from pathlib import Path  # noqa: PLC0415

    facts = record.record
    if "tools" not in facts:
        raise UsageError(f"what run {record.id!r} was started with is lost", remedy="Begin it anew.")
    if facts.get("importing"):
        raise UsageError(f"run {record.id!r} was imported in part only", remedy="Import its file again.")
    own = {tool.spec: tool for tool in mine.tools}
    missing = [spec for spec in facts["tools"] if spec not in own]
    loaded = tools_of(missing, [Path(root) for root in facts["roots"]]) if missing else ()
    every = {**own, **{tool.spec: tool for tool in loaded}}
    return Services(
        mine.named_model(facts["model"]),
        open_model=mine.named_model,
        tools=Tools(tuple(every[spec] for spec in facts["tools"] if spec in every)),
        memory=mine.memory,
        journal=mine.journal,
        policy=mine.policy if own_policy or mine.policy.spec == facts["policy"] else policy_of(facts["policy"]),
        sandbox=mine.sandbox,
        clock=mine.clock,
        seed=facts["seed"],
        repairs=facts["repairs"],
        strict=facts["strict"],
    )


def recorded_spec(stored: StoredRun) -> tuple[str, bytes]:
    """Return the strategy and the task of a stored run, as they are compared with others."""
    record = decoded(stored.record)
    return record["strategy"] or record.get("shown", ""), encoded(record["task"])


def asked_of(stored: StoredRun) -> list[tuple[str, int]]:
    """Return where each question of a run was asked, and how many effects it had then."""
    return [(one["scope"], one["seq"]) for one in decoded(stored.questions).values() if "seq" in one]


def question_of(record: RunRecord, question: str | None) -> tuple[str, Json]:
    """Return id and schema of the open question that is meant; `UsageError` if that is unclear."""
    waiting = {one["id"]: one for one in record.questions()}
    if not waiting:
        raise UsageError(f"run {record.id!r} waits for nobody")
    if question is None and len(waiting) > 1:
        raise UsageError(f"run {record.id!r} asks {len(waiting)} questions: name one of {', '.join(waiting)}")
    number = question or next(iter(waiting))
    if number not in waiting:
        raise unknown("open question", number, list(waiting))
    return number, waiting[number]["schema"]


def facts_of(services: Services, roots: Sequence["Path"], options: Mapping[str, Any]) -> dict[str, Json]:
    """Return what the records of all runs of a session have in common."""
    return {
        "model": services.model.spec,
        "tools": [tool.spec for tool in services.tools],
        "roots": [str(root) for root in roots],
        "seed": services.seed,
        "options": {
            name: services.named_model(value).spec if name == "model" else json_of(value)
            for name, value in options.items()
        },
        "repairs": services.repairs,
        "strict": services.strict,
        "policy": services.policy.spec,
        "sandbox": services.sandbox.spec if services.sandbox else None,
        "versions": versions(),
        **({"prices": priced} if (priced := getattr(services.model, "priced_by", "")) else {}),
    }
