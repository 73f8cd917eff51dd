"""What all strands of one run share, and what all runs of one session share."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, NamedTuple

from stratagem.core._book import Book, Held
from stratagem.core._canonical import Json, json_of
from stratagem.core._clock import Clock, SystemClock
from stratagem.core._environment import Forgetful, Memory, Policy, ReadOnly, Sandbox
from stratagem.core._events import Event, Feed
from stratagem.core._gate import Gate
from stratagem.core._journal import Journal
from stratagem.core._late import asyncio
from stratagem.core._memory_journal import MemoryJournal
from stratagem.core._model import Head, Model, Request
from stratagem.core._options import OPTIONS, SOFT, UNSENT, Options, checked_option
from stratagem.core._render import RENDERER
from stratagem.core._request_digest import head_digest
from stratagem.core._signature import Signature
from stratagem.core._tool import Tools
from stratagem.errors import BudgetExhausted, CapabilityError, Suspended, UsageError


class Asking(NamedTuple):
    """What was asked: inputs that cannot change, without a label of their own, and what they make."""

    head: Head
    inputs: Mapping[str, Any]
    message: str
    digest: bytes


class Ready:
    """A head with what is needed to make a request of it.

    Attributes:
        head: what equal requests share.
        message: makes the first message of the inputs.
        given: name of the input that is the conversation, or the empty string.
        latest: what was asked last, if it may be asked again as it is: texts, numbers, examples and tuples of these.
    """

    __slots__ = ("given", "head", "latest", "message")

    def __init__(self, head: Head, message: Callable[[Mapping[str, Any]], str], given: str) -> None:
        self.head, self.message, self.given = head, message, given
        self.latest: Asking | None = None


class Services:
    """What all runs of one session share.

    Args:
        model: the model where `using(model=...)` names no other.
        open_model: returns the model of a spec.
        tools: what is granted.
        memory: the long-term memory.
        journal: where runs are recorded.
        policy: decides on tool calls.
        sandbox: executes code; None has none.
        clock: tells the time.
        seed: of dice and simulated draws.
        repairs: repair calls per unreadable reply.
        strict: whether soft options are refused where they are not honoured.
    """

    __slots__ = (
        "_models", "_open_model", "_options", "clock", "in_flight", "journal", "memory", "model", "policy", "repairs",
        "sandbox", "seed", "strict", "tools",
    )  # fmt: skip

    def __init__(
        self,
        model: Model,
        *,
        open_model: Callable[[str], Model] | None = None,
        tools: Tools = Tools(),
        memory: Memory | None = None,
        journal: Journal | None = None,
        policy: Policy | None = None,
        sandbox: Sandbox | None = None,
        clock: Clock | None = None,
        seed: int = 0,
        repairs: int = 1,
        strict: bool = False,
    ) -> None:
        self.model, self._open_model, self.tools = model, open_model, tools
        self.memory: Memory = memory if memory is not None else Forgetful()
        self.journal: Journal = journal if journal is not None else MemoryJournal()
        self.policy: Policy = policy if policy is not None else ReadOnly()
        self.sandbox, self.seed, self.repairs, self.strict = sandbox, seed, repairs, strict
        self.clock: Clock = clock if clock is not None else SystemClock()
        self.in_flight = 0
        self._models: dict[str, Model] = {}
        self._options: dict[tuple[tuple[str, Any], ...], Options] = {}

    def options(self, values: Mapping[str, Any]) -> Options:
        """Return the one object for these options; `UsageError` for one that does not exist."""
        if unknown := set(values) - OPTIONS:
            raise UsageError(f"no such option: {', '.join(sorted(unknown))}; there are {', '.join(sorted(OPTIONS))}")
        checked = {name: checked_option(name, value) for name, value in sorted(values.items()) if value is not None}
        key = tuple(checked.items())
        if key not in self._options:
            if len(self._options) > 1000:
                self._options.clear()  # a program that makes a new temperature at every step
            self._options[key] = Options(checked)
        return self._options[key]

    def derived(self, options: Options, changes: Mapping[str, Any]) -> Options:
        """Return the one object for options with some changes; the same changes are looked at once."""
        kinds: Any = map(type, changes.values())  # 1 and True are equal
        asked = tuple(changes.items()), tuple(kinds)
        try:
            known = options.derived.get(asked)
        except TypeError:  # a list of stop sequences, say
            return self.options({**options, **changes})
        if known is None:
            if len(options.derived) > 64:
                options.derived.clear()
            known = options.derived[asked] = self.options({**options, **changes})
        return known

    def named_model(self, spec: Any) -> Model:
        """Return the model that an option names."""
        if spec is None:
            return self.model
        if not isinstance(spec, str):
            if spec is not self.model:
                self._models.setdefault(spec.spec, spec)  # by its name a resumed run finds it again
            return spec
        if spec == self.model.spec:
            return self.model
        if spec not in self._models:
            if self._open_model is None:
                raise UsageError(f"this session cannot open the model {spec!r}")
            self._models[spec] = self._open_model(spec)
        return self._models[spec]

    async def aclose(self) -> None:
        """Close models, memory and journal."""
        for model in (self.model, *self._models.values()):
            await model.aclose()
        await self.memory.aclose()
        await self.journal.aclose()


_NOTHING_HELD = Held(())  # by all fresh runs


class World:
    """Settings, book and counters of one run."""

    __slots__ = (
        "_held", "_replies", "allowed", "asked", "asking", "began", "book", "company", "feeds", "gate", "heads", "needs", "notes", "number", "origin", "prompts", "questions", "refusal", "replaying",
        "run_id", "seed", "services", "started", "turns", "used",
    )  # fmt: skip

    def __init__(
        self,
        services: Services,
        book: Book,
        *,
        run_id: str = "run",
        origin: str = "",
        prompts: Mapping[str, str] | None = None,
        replaying: bool = False,
        feeds: tuple[Feed, ...] = (),
    ) -> None:
        self.services, self.book, self.run_id, self.replaying, self.feeds = services, book, run_id, replaying, feeds
        self.origin = origin or run_id
        self.prompts: Mapping[str, str] = prompts or {}
        self.heads: dict[Any, Ready] = {}
        self.gate = Gate(opened=replaying or not book.recorded)
        self.asked: list[
            tuple[Request, tuple[int, ...], bool]
        ] = []  # with its place, and whether its reply was recorded
        self.needs: frozenset[str] = frozenset()  # the truth that was used until now
        self.notes: list[tuple[str, str, dict[str, Json]]] = []
        self.questions: dict[str, dict[str, Json]] = {}  # those that are open, in the order of asking
        self.asking: Callable[[], None] | None = None  # called at each question that waits for an answer
        self.allowed: set[str] = set()  # tools that a person has allowed for the rest of the run
        self.company: Collection[str] = ()  # the runs that are driven or about to be, this one among them
        self._replies: dict[str, asyncio.Future[Json]] = {}
        self.refusal: BudgetExhausted | None = None
        self.seed, self.number = services.seed, 0
        self.turns = 0  # effects without a wait: of this run alone, so that none depends on what ran before
        self.started = services.clock.stamp()
        self.began = int(services.clock.wall() * 1e6)
        rows = book.all_rows
        self.used = (
            max([round(book.paid.seconds * 1e6), *[row.active + row.took for row in rows]])
            if rows or book.paid.calls
            else 0
        )
        self._held: Held | None = None if book.all_rows else _NOTHING_HELD

    def reply(self, question: str) -> "asyncio.Future[Json]":
        """Return what will bring the answer to a question, or `Suspended` once every strand waits for a person."""
        self.gate.stalled = self._park  # not before: a run that asks nobody is gone at its end without the collector
        self._replies[question] = reply = asyncio.get_running_loop().create_future()
        if self.asking is not None:
            self.asking()
        return reply

    def answered(self, question: str, value: Json) -> None:
        """Hand an answer to the strand that waits for it, if one does."""
        reply = self._replies.pop(question, None)
        if reply is not None and not reply.done():
            self.gate.tell(reply, value)

    def _park(self) -> None:
        self.gate.park()
        for reply in self._replies.values():
            if not reply.done():
                reply.set_exception(Suspended(""))
        self._replies.clear()

    def alone(self) -> bool:
        """Return whether a row has no group to wait for: nothing else is in flight, and nobody else is about to be."""
        return self.gate.running <= 1 and self.services.in_flight == 0 and len(self.company) <= 1

    def active(self) -> float:
        """Return the run's own time in seconds: that of earlier processes, and since this one began."""
        return (self.used + self.services.clock.stamp() - self.started) / 1e6

    def times(self, begun: int) -> tuple[int, int, int]:
        """Return what a row keeps of an effect that began at a stamp and ends now: wall, active, took."""
        since = begun - self.started
        return self.began + since, self.used + since, self.services.clock.stamp() - begun

    def held(self, scope: str) -> Any:
        """Return what recorded effects in and below a scope have cost."""
        if self._held is None:
            self._held = self.book.held()
        return self._held.of(scope)

    def since(self, scope: str) -> float:
        """Return the run's own time in seconds at which the first recorded effect of a scope began, else now."""
        self.held(scope)
        begun = None if self._held is None else self._held.since(scope)
        return self.active() if begun is None else begun / 1e6

    def emit(self, type: str, scope: str, /, **data: Any) -> None:  # noqa: A002
        """Hand an event to whoever listens; call it only if `feeds` is not empty."""
        self.number += 1
        event = Event(type, self.run_id, self.number, self.services.clock.wall(), scope, data)
        for feed in self.feeds:
            feed.put(event)

    def ready(self, signature: Signature[..., Any], options: Options, tools: Tools | None) -> Ready:
        """Return the head of a request, made once per signature, options and tools."""
        heads = self.heads if self.prompts else options.heads
        key: Any = signature if tools is None else (signature, tools.digest)
        key = (key, options) if self.prompts else key
        found = heads.get(key)
        if found is None:
            found = heads[key] = self._made(signature, options, tools)
        return found

    def _made(self, signature: Signature[..., Any], options: Options, tools: Tools | None) -> Ready:
        model = self.services.named_model(options.get("model"))
        native = signature.acts and "tools" in model.capabilities.fields and options.get("mode") != "text"
        instruction = self.prompts.get(signature.name, signature.instruction)
        sent = {name: value for name, value in options.items() if name not in UNSENT}
        form: dict[str, Json] = {
            "signature": signature.name,
            "instruction": instruction,
            "format": signature.format,
            "model": model.spec,
            "options": json_of(sent),
            "stop": list(signature.stop),
            "native": native,
            "renderer": RENDERER,
        }
        if signature.examples:
            form["examples"] = list(signature.examples)
        if options.get("persona"):
            form["persona"] = options["persona"]
        if native and tools is not None:
            form["tools"] = tools.schema()
        if signature.schema is not None:
            form["schema"] = signature.schema
        head = Head(
            head_digest(form), form, model, options, instruction,
            native=native, format=signature.format, schema=signature.schema, tools=tools,
        )  # fmt: skip
        self._check(signature, head)
        given = next((name for name in signature.names if name in signature.hidden[False]), "")
        return Ready(head, signature.layout(instruction, hidden=signature.hidden[native]).message, given)

    def _check(self, signature: Signature[..., Any], head: Head) -> None:
        """Refuse what the model cannot honour and the caller did not call soft; remember what is left off."""
        probe = Request(signature, {}, head, "", None, (), b"", "")
        refused = head.model.refuses(probe)
        hard = refused if self.services.strict else refused - SOFT
        if hard:
            raise CapabilityError(
                f"the model {head.spec!r} does not honour {', '.join(sorted(hard))}",
                remedy="Choose another model, or leave the option off.",
            )
        head.dropped = refused & SOFT
