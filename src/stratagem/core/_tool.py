"""Tools: typed functions that a model may call.

Rule 1: every failure of a tool is an observation that the model can read. Only `ConcurrentUse` gets through: a tool
        that uses a Run is a mistake in the program.
Rule 2: a tool has a time limit, which starts when it is performed, and an output limit; what is cut is said to be cut.
"""

import contextlib
import json
import math
import types
from collections.abc import Callable, Coroutine, Generator, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_type_hints, overload

from stratagem.core._canonical import Json, clean, encoded, hashed, json_of, text_of
from stratagem.core._label import UNKNOWN, Label
from stratagem.core._late import asyncio, inspect
from stratagem.core._schema import converted, schema_of
from stratagem.core._values import NOTHING, Observation
from stratagem.errors import ConcurrentUse, UsageError

T = TypeVar("T")

Effect = Literal["read", "self", "send", "fetch", "destroy", "credential", "spend", "exec"]
Repeat = Literal["free", "keyed", "once"]
Role = Literal["target", "id", "content", "secret", "amount", "plain"]

Timer = Callable[[float], AbstractAsyncContextManager[Any]]

EFFECTS: tuple[str, ...] = ("read", "self", "send", "fetch", "destroy", "credential", "spend", "exec")
MAX_VALUE = 1_000_000  # bytes of a result that are recorded beside its text


class ModelRetry(Exception):
    """Raised by a tool to tell the model how to correct its call."""


class Tool:
    """A function with what the model, the policy and a crash need to know about it.

    Attributes:
        name: what the model calls it.
        about: the docstring's first paragraph, which the model reads.
        parameters: JSON schema of each argument, with its description.
        required: arguments without a default.
        effect: what it does to the world.
        repeat: what a crash between start and result means: perform again, with the same key, or ask.
        roles: what an argument means to the policy; undeclared ones are `plain`.
        timeout_s: seconds it may take.
        max_chars: characters of its text that the model sees.
        spec: how it is named on the command line and in a run's record; empty for one that has no name.
        digest: of all that the model sees of it.
    """

    def __init__(
        self,
        fn: Callable[..., Any],
        *,
        effect: Effect = "read",
        repeat: Repeat | None = None,
        roles: Mapping[str, Role] = NOTHING,
        timeout_s: float = 30,
        max_chars: int = 20_000,
        name: str | None = None,
        spec: str = "",
    ) -> None:
        self.fn, self.name, self.spec = fn, name or fn.__name__, spec or f"{fn.__module__}:{fn.__qualname__}"
        if effect not in EFFECTS:
            raise UsageError(f"tool `{self.name}`: effect must be one of {', '.join(EFFECTS)}, got {effect!r}")
        doc = inspect.getdoc(fn) or ""
        self.about = " ".join(doc.split("\n\n")[0].split())
        if not self.about:
            raise UsageError(f"tool `{self.name}` needs a docstring: the model reads it")
        self.effect: Effect = effect
        self.repeat: Repeat = repeat or ("free" if effect in ("read", "self") else "once")
        self.roles, self.timeout_s, self.max_chars = MappingProxyType(dict(roles)), timeout_s, max_chars
        self._hints, self.required = _typed(fn, self.name)
        self.label = Label({f"tool:{self.name}"}, None if effect == "read" else ())  # of what it does not label itself
        self._waits = inspect.iscoroutinefunction(fn)
        self._keyed = self.repeat == "keyed" and "key" in inspect.signature(fn).parameters
        described = _described(doc)
        self.parameters: Mapping[str, Json] = {
            key: {**schema_of(hint), **({"description": described[key]} if key in described else {})}
            for key, hint in self._hints.items()
        }
        self.digest = hashed(b"f" + encoded(self.schema()))

    def __repr__(self) -> str:
        return f"Tool({self.name})"

    def schema(self) -> Json:
        """Return name, description and the JSON schema of the arguments."""
        form = {"type": "object", "properties": dict(self.parameters), "required": list(self.required)}
        return {"name": self.name, "description": self.about, "parameters": {**form, "additionalProperties": False}}

    def named(self, arguments: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the arguments by name: the text protocol does not name a single one."""
        if "" not in arguments or len(arguments) != 1:
            return arguments
        return {next(iter(self._hints)): arguments[""]} if self._hints else {}

    def read(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """Return the arguments as typed values; `ValueError` says to the model what is wrong."""
        given = self.named(arguments)
        for name in self.required:
            if name not in given:
                raise ValueError(f"`{self.name}`: argument {name!r} is missing")
        for name in given:
            if name not in self._hints:
                known = ", ".join(self._hints) or "none"
                raise ValueError(f"`{self.name}` has no argument {name!r}, only {known}")
        read: dict[str, Any] = {}
        for name, value in given.items():
            hint = self._hints[name]
            if type(value) is hint:  # most are atoms of the right type
                read[name] = value
                continue
            try:
                read[name] = converted(hint, value)
            except ValueError as failure:
                raise ValueError(f"`{self.name}`: {name} {failure}") from None
        return read

    async def perform(
        self,
        arguments: Mapping[str, Any],
        *,
        key: str = "",
        timeout_s: float = math.inf,
        timer: Timer | None = None,
    ) -> Observation:
        """Call the function; every failure of its own becomes a text that the model can read.

        Args:
            arguments: by name, as a model writes them.
            key: idempotency key of a `keyed` tool.
            timeout_s: seconds it may take, if that is less than its own limit.
            timer: returns a context that raises `TimeoutError` once so many seconds have passed; None is `asyncio.timeout`.
        """
        label = self.label
        limit = min(timeout_s, self.timeout_s)
        try:
            given = self.read(arguments)
            if self._keyed:
                given["key"] = key
            made: Coroutine[Any, Any, Any] = self.fn(**given) if self._waits else _in_thread(self.fn, given, self.name)
            value = await within(limit, made, timer)
            return self._seen(value, label)
        except TimeoutError:
            happened = "" if self.repeat == "free" else "; it may have happened"
            return Observation(f"`{self.name}` took longer than {limit:g} s{happened}", failed=True, label=label)
        except ModelRetry as advice:
            return Observation(self._cut(str(advice)), failed=True, label=label)
        except (ConcurrentUse, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as failure:  # the boundary to foreign code, which may leave by `sys.exit` as well
            if isinstance(failure, asyncio.CancelledError) and not _cancelled_itself():
                raise
            text = str(failure) if isinstance(failure, ValueError) else ""
            said = text if text.startswith(f"`{self.name}`") else f"`{self.name}` failed: {_error(failure)}"
            return Observation(self._cut(said), failed=True, label=label)

    def _seen(self, value: Any, label: Label) -> Observation:
        if isinstance(value, Observation):
            own = label if value.label == UNKNOWN else label | value.label  # what the tool does not label is its own
            return Observation(self._cut(value.text), value.failed, _bounded(value.result), value.sources, own)
        if isinstance(value, str):
            return Observation(self._cut(value), False, None, (), label)
        form = json_of(value)
        text = text_of(form) if isinstance(form, (dict, list)) else str(form)
        return Observation(self._cut(text), result=_bounded(form) if len(text) <= MAX_VALUE else None, label=label)

    def _cut(self, text: str) -> str:
        if len(text) > self.max_chars:
            text = f"{clean(text[: self.max_chars])} [cut: {self.max_chars} of {len(text)} characters]"
        return clean(text)


class Tools:
    """The tools a run may use; a signature parameter of this type becomes the request's tool list."""

    __slots__ = ("_only", "_tools", "digest")

    def __init__(self, tools: tuple[Tool, ...] = ()) -> None:
        self._tools = {tool.name: tool for tool in tools}
        if len(self._tools) < len(tools):
            names = [tool.name for tool in tools]
            twice = next(name for name in names if names.count(name) > 1)
            raise UsageError(f"two tools are named {twice!r}: rename one with `Tool(fn, name=...)`")
        self._only: dict[tuple[str, ...], Tools] = {}
        self.digest = hashed(b"l" + b"".join(tool.digest for tool in tools))

    def __iter__(self) -> Iterator[Tool]:
        return iter(self._tools.values())

    def __len__(self) -> int:
        return len(self._tools)

    def __bool__(self) -> bool:
        return bool(self._tools)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tools) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)

    def __repr__(self) -> str:
        return f"Tools({', '.join(self._tools)})"

    def get(self, name: str) -> Tool | None:
        """Return the tool of that name."""
        return self._tools.get(name)

    def only(self, names: tuple[str, ...] | None) -> "Tools":
        """Return those that are named; None names all."""
        if names is None:
            return self
        if names not in self._only:
            self._only[names] = Tools(tuple(tool for tool in self if tool.name in names))
        return self._only[names]

    def also(self, more: tuple[Tool, ...]) -> "Tools":
        """Return these tools and more."""
        return Tools((*self, *more)) if more else self

    def schema(self) -> Json:
        """Return the schemas, in order."""
        return [tool.schema() for tool in self]

    def described(self, finish: str) -> str:
        """Return one line per tool, as the text protocol shows them; `finish` names the action that ends."""
        lines = [f"{tool.name}[{', '.join(tool.parameters)}]: {tool.about}" for tool in self]
        return "\n".join([*lines, f"{finish}[answer]: end with the answer"] if finish else lines)

    def plain(self) -> Json:
        """Return what enters a digest."""
        return {"$": "Tools", "digest": self.digest.hex()}


@overload
def tool(fn: Callable[..., Any], /) -> Tool: ...
@overload
def tool(
    *,
    effect: Effect = "read",
    repeat: Repeat | None = None,
    roles: Mapping[str, Role] = NOTHING,
    timeout_s: float = 30,
    max_chars: int = 20_000,
    name: str | None = None,
    spec: str = "",
) -> Callable[[Callable[..., Any]], Tool]: ...
def tool(fn: Callable[..., Any] | None = None, /, **settings: Any) -> Tool | Callable[[Callable[..., Any]], Tool]:
    """Make a tool of a typed function; async, or sync (then it runs in a thread of its own).

    The docstring's first paragraph tells the model what it does, an `Args:` section what its arguments mean.
    The function may return text, JSON data, or an `Observation` with a text, a `result` and `sources` (locators).

    Args:
        fn: the function, if the decorator is used without brackets.
        **settings: as `Tool` takes them: `effect`, `repeat`, `roles`, `timeout_s` (seconds), `max_chars`, `name`.

    Raises:
        UsageError: no docstring, an argument without a type, or an unknown effect.
    """

    def decorate(fn: Callable[..., Any]) -> Tool:
        return Tool(fn, **settings)

    return decorate if fn is None else decorate(fn)


class _OwnTimeout(Exception):
    """A function's own `TimeoutError`, which does not mean that its time limit has passed."""


async def within(limit: float, work: Coroutine[Any, Any, T], timer: Timer | None = None) -> T:
    """Return what a coroutine returns; `TimeoutError` once `limit` seconds have passed.

    Its first step is taken before the clock is set: what never suspends needs no timer.
    """
    try:
        waits_for = work.send(None)
    except StopIteration as done:
        return done.value
    except TimeoutError as failure:
        raise _OwnTimeout(failure) from None
    own: TimeoutError
    async with (timer or asyncio.timeout)(limit):
        try:
            return await _rest(work, waits_for)
        except TimeoutError as failure:
            own = failure
    raise _OwnTimeout(own)


def _cancelled_itself() -> bool:
    """Return whether a cancellation comes from the called function, and not from who waits for it."""
    task = asyncio.current_task()
    return task is not None and not task.cancelling()


@types.coroutine
def _rest(work: Coroutine[Any, Any, T], waits_for: Any) -> Generator[Any, Any, T]:
    """Drive a coroutine on from its first suspension."""
    while True:
        try:
            sent = yield waits_for
        except GeneratorExit:
            work.close()
            raise
        except BaseException as raised:  # noqa: BLE001  (handed on: cancellation above all)
            try:
                waits_for = work.throw(raised)
            except StopIteration as done:
                return done.value
        else:
            try:
                waits_for = work.send(sent)
            except StopIteration as done:
                return done.value


async def _in_thread(fn: Callable[..., Any], given: dict[str, Any], name: str) -> Any:
    """Run a function in a daemon thread of its own, which is abandoned if nobody waits for it any more."""
    import threading  # noqa: PLC0415  (only where a function is not async)

    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def deliver(value: Any, failure: BaseException | None) -> None:
        if not done.done():
            if failure is None:
                done.set_result(value)
            else:
                done.set_exception(failure)

    def work() -> None:
        value, failure = None, None
        try:
            value = fn(**given)
        except StopIteration as stopped:  # a future cannot carry it
            failure = RuntimeError(f"StopIteration: {stopped.value}")
        except BaseException as raised:  # noqa: BLE001  (handed to the waiting task)
            failure = raised if isinstance(raised, Exception) else RuntimeError(f"{type(raised).__name__}: {raised}")
        with contextlib.suppress(RuntimeError):  # the loop has ended: nobody waits
            loop.call_soon_threadsafe(deliver, value, failure)

    threading.Thread(target=work, name=f"tool {name}", daemon=True).start()
    return await done


def _typed(fn: Callable[..., Any], name: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    hints = get_type_hints(fn, include_extras=True)
    required: list[str] = []
    typed: dict[str, Any] = {}
    for parameter in inspect.signature(fn).parameters.values():
        if parameter.name == "key" and parameter.default == "":
            continue  # the idempotency key is given by the core, not by the model
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL, parameter.POSITIONAL_ONLY):
            raise UsageError(f"tool `{name}`: {parameter} cannot be named by a model")
        if parameter.name not in hints:
            raise UsageError(
                f"tool `{name}`: argument {parameter.name!r} needs a type: the model's schema is made of it"
            )
        typed[parameter.name] = hints[parameter.name]
        if parameter.default is parameter.empty:
            required.append(parameter.name)
    return typed, tuple(required)


def _described(doc: str) -> dict[str, str]:
    """Return what the docstring's `Args:` section says of each argument."""
    found: dict[str, str] = {}
    section = doc.partition("\nArgs:\n")[2].split("\n\n")[0]
    name = ""
    for line in section.splitlines():
        start = line.strip().partition(":")
        if line.startswith("    ") and not line.startswith("     ") and start[0].isidentifier() and start[1]:
            name = start[0]
            found[name] = start[2].strip()
        elif name:
            found[name] = f"{found[name]} {line.strip()}"
    return found


def _bounded(form: Json) -> Json:
    """Return a result as JSON without lone surrogates, or None if it is too large to be recorded."""
    if isinstance(form, str) and len(form) > MAX_VALUE:
        return None
    text = clean(text_of(json_of(form)))
    return json.loads(text) if len(text) <= MAX_VALUE else None


def _error(failure: BaseException) -> str:
    if isinstance(failure, _OwnTimeout):
        failure = failure.args[0]
    try:
        return f"{type(failure).__name__}: {failure}".removesuffix(": ")
    except Exception:  # noqa: BLE001  (foreign code, in its `__str__`)
        return type(failure).__name__
