"""`Task` and `Answer`: what is asked, and what came of it. A task never contains the reference answer."""

import re
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

from stratagem.core._canonical import Json, clean, is_object, json_of
from stratagem.core._label import UNKNOWN, Label
from stratagem.core._schema import converted
from stratagem.core._transcript import Transcript
from stratagem.core._value import Value, fill, replace
from stratagem.core._values import Content, EffectCounts, Example, Stop, Usage, Verdict, printable
from stratagem.errors import UsageError

if TYPE_CHECKING:
    from stratagem.core._environment import Environment

SHOWN_SOURCES = 5
HTML_LIMIT = 200_000
_STOPPED: dict[str, str] = {
    "budget": "budget ended",
    "no_answer": "no answer",
    "unparsed": "the reply could not be read",
    "refused": "the model refused",
    "cancelled": "cancelled",
    "suspended": "waits for a person",
}


_FREE, _NONE, _UNSPOKEN = Usage(), EffectCounts(), Transcript()


class Answer(Value):
    """What a strategy returns. `value` is None if the extractor found none: it is never right and never votes.

    Attributes:
        text: the answer in words; after a failure the best that was offered, else empty.
        value: what the task's extractor found in it, typed by the task's `output`.
        confidence: in (0, 1], if the strategy has a measure.
        sources: locators, such as `docs/manual.md:42`.
        steps: the trajectory that led to it.
        needs: the truth that was used: `checker`, `reward`, `labels`.
        stop: why it ended; `answered` is the only good end. Filled by the session, as is all that follows.
        reason: what stopped it, in words.
        usage: what the whole run cost.
        label: where its text came from.
        counts: how many effects were reused, performed and left unused.
    """

    text: str
    value: Any
    confidence: float | None
    sources: tuple[str, ...]
    steps: Transcript
    needs: frozenset[str]
    stop: Stop
    reason: str
    usage: Usage
    label: Label
    run_id: str
    counts: EffectCounts

    _uncompared = frozenset({"label", "counts"})

    def __init__(
        self,
        text: str,
        value: Any = None,
        confidence: float | None = None,
        sources: tuple[str, ...] = (),
        steps: Transcript | None = None,
        needs: frozenset[str] = frozenset(),
        stop: Stop = "answered",
        reason: str = "",
        usage: Usage = _FREE,
        label: Label = UNKNOWN,
        run_id: str = "",
        counts: EffectCounts = _NONE,
    ) -> None:
        steps = _UNSPOKEN if steps is None else steps
        fill(self, {
            "text": text, "value": value, "confidence": confidence, "sources": sources, "steps": steps, "needs": needs,
            "stop": stop, "reason": reason, "usage": usage, "label": label, "run_id": run_id,
            "counts": counts,
        })  # fmt: skip

    @property
    def ok(self) -> bool:
        """Whether it is an answer, and not what was saved from a failure."""
        return self.stop == "answered"

    def cost(self) -> str:
        """Return one line: stop reason, calls, tokens, money, time, run."""
        used = self.usage
        calls = "1 call" if used.calls == 1 else f"{used.calls:,} calls"
        parts = [self.stop, calls, used.size, used.money, f"{used.seconds:.1f} s"]
        return " · ".join([*parts, *([f"run {self.run_id}"] if self.run_id else [])])

    def cited(self) -> str:
        """Return the sources, at most five of them."""
        shown = " · ".join(self.sources[:SHOWN_SOURCES])
        more = len(self.sources) - SHOWN_SOURCES
        return f"{shown} and {more} more" if more > 0 else shown

    def __str__(self) -> str:
        reason = self.reason.removeprefix("budget exhausted: ")
        why = "" if self.ok else f"{_STOPPED[self.stop]}{f': {reason}' if reason else ''}"
        if not self.ok and self.text:
            why += "; best answer so far, not verified:"
        parts = [part for part in (why, self.text) if part]
        return printable("\n\n".join(["\n".join(parts), "\n".join(p for p in (self.cited(), self.cost()) if p)]))

    def __repr__(self) -> str:
        text = self.text if len(self.text) <= 50 else f"{self.text[:47]}..."
        return f"Answer({printable(text)!r}, stop={self.stop!r}, calls={self.usage.calls})"[:119]

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        import html  # noqa: PLC0415  (notebooks only)

        text = str(self)
        body = html.escape(text[: HTML_LIMIT // 6])
        cut = "" if len(text) <= HTML_LIMIT // 6 else "<p>[cut]</p>"
        page = f'<section><pre style="white-space:pre-wrap;font-family:inherit">{body}</pre>{cut}</section>'
        return {"text/plain": text, "text/html": page}

    def plain(self) -> Json:
        """Return the answer as JSON, without its steps."""
        return {
            "text": self.text,
            "value": _storable(self.value),
            "confidence": _storable(self.confidence),
            "sources": list(self.sources),
            "needs": sorted(self.needs),
            "stop": self.stop,
            "reason": self.reason,
            "label": self.label.plain(),
            "run_id": self.run_id,
        }


_NUMBERS = re.compile(r"[-\u2212]?\d[\d,]*(?:\.\d+)?(?:[eE][-+]?\d+)?")


def _number(text: str) -> float | None:
    if len(text) < 16 and text.isascii() and text.isdigit():  # most replies are the number alone
        return float(text)
    numbers = _NUMBERS.findall(text)
    return float(numbers[-1].replace(",", "").replace("\u2212", "-")) if numbers else None


def _extract(output: Any, text: str) -> Any:
    """Return the value of the wanted type that a text states last, or None."""
    text = text.strip()
    if output is str:
        return text or None
    if output is bool:
        words = re.findall(r"\b(yes|no|true|false)\b", text.lower())
        return words[-1] in ("yes", "true") if words else None
    if output in (int, float):
        number = _number(text)
        return number if number is None or output is float else int(number) if number.is_integer() else None
    if get_origin(output) is Literal:
        options = sorted((str(option) for option in get_args(output)), key=len, reverse=True)
        found = re.findall("|".join(rf"(?<!\w){re.escape(option)}(?!\w)" for option in options), text)
        return next((option for option in get_args(output) if str(option) == found[-1]), None) if found else None
    try:
        import json  # noqa: PLC0415  (rare)

        return converted(output, json.loads(text))
    except ValueError:
        return None


def _form(value: Any) -> Hashable:
    return " ".join(value.split()).casefold() if isinstance(value, str) else value


class Task(Value):
    """One problem. It never contains the reference answer.

    Attributes:
        question: the problem, in words; a `Content` if documents or images belong to it.
        output: type of the answer's value: `str int float bool`, a `Literal`, or what pydantic can validate.
        examples: solved problems of a training split, oldest first.
        notes: advice for this attempt, oldest first.
        tools: names of the tools this task may use; None means all that are granted.
        environment: a factory of worlds in which moves are tools; every branch gets its own copy.
        checker: a public check of an answer's text.
        extract: finds the value in a text; None when there is none.
        canonical: maps a value to the form in which values are compared.
    """

    question: str
    output: Any
    examples: tuple[Example, ...]
    notes: tuple[str, ...]
    tools: tuple[str, ...] | None
    environment: "Callable[[], Environment] | None"
    checker: Callable[[str], Verdict] | None
    extract: Callable[[str], Any] | None
    canonical: Callable[[Any], Hashable] | None

    def __init__(
        self,
        question: str,
        output: Any = str,
        examples: tuple[Example, ...] = (),
        notes: tuple[str, ...] = (),
        tools: tuple[str, ...] | None = None,
        environment: "Callable[[], Environment] | None" = None,
        checker: Callable[[str], Verdict] | None = None,
        extract: Callable[[str], Any] | None = None,
        canonical: Callable[[Any], Hashable] | None = None,
    ) -> None:
        fill(self, {
            "question": question, "output": output, "examples": examples, "notes": notes, "tools": tools,
            "environment": environment, "checker": checker, "extract": extract, "canonical": canonical,
        })  # fmt: skip

    def answer(
        self,
        text: str,
        *,
        confidence: float | None = None,
        sources: tuple[str, ...] | None = None,
        steps: Transcript | None = None,
    ) -> Answer:
        """Return `text` as an answer to this task, with the value the extractor finds.

        Without `sources`, they are those of `steps` that the text cites, else all of them.
        """
        text = clean(text)
        value = self.extract(text) if self.extract else _extract(self.output, text)
        if sources is None:
            sources = _cited(text, steps) if steps is not None else ()
        return Answer(text, value, confidence, sources, steps)

    def form(self, answer: Answer) -> Hashable:
        """Return what equal answers have in common; None if the answer has no value."""
        return None if answer.value is None else (self.canonical or _form)(answer.value)

    def told(self, *notes: str) -> "Task":
        """Return the same task with more advice."""
        return replace(self, notes=(*self.notes, *notes))

    def part(self, question: str) -> "Task":
        """Return a sub-question: same tools and notes, a text as answer, neither examples nor checker."""
        return Task(question, notes=self.notes, tools=self.tools, environment=self.environment)

    def plain(self) -> Json:
        """Return the task as JSON; functions by name. What cannot be named is left to `missing`."""
        form: dict[str, Json] = {"question": _said(self.question)}
        if self.output is not str:
            form["output"] = _named_type(self.output)
        if self.examples:
            form["examples"] = [[one.question, one.answer, one.rationale] for one in self.examples]
        if self.notes:
            form["notes"] = [str(note) for note in self.notes]
        if self.tools is not None:
            form["tools"] = list(self.tools)
        for name in ("environment", "checker", "extract", "canonical"):
            fn = getattr(self, name)
            if fn is not None:
                form[name] = f"{getattr(fn, '__module__', '?')}:{getattr(fn, '__qualname__', repr(fn))}"
        return form

    def unnamed(self) -> tuple[str, ...]:
        """Return the parts that a stored record cannot restore; they must be given again to resume."""
        parts = [name for name in ("environment", "checker", "extract", "canonical") if getattr(self, name) is not None]
        if _type_named(_named_type(self.output)) is not self.output and get_origin(self.output) is not Literal:
            parts.append("output")
        if isinstance(self.question, Content) and self.question.attachments:
            parts.append("question")
        return tuple(parts)

    @staticmethod
    def of(form: Json) -> "Task":
        """Return the task that `plain` wrote, without what is `unnamed`."""
        return Task(
            form["question"],
            output=_type_named(form.get("output", "str")) or str,
            examples=tuple(Example(*one) for one in form.get("examples", ())),
            notes=tuple(form.get("notes", ())),
            tools=tuple(form["tools"]) if "tools" in form else None,
        )


def _storable(value: Any) -> Json:
    """Return a value as JSON, from which its type reads it again; None for what no type reads."""
    try:
        return json_of(value)
    except UsageError:
        pass
    from pydantic_core import PydanticSerializationError, to_jsonable_python  # dates, decimals, enumerations

    try:
        return json_of(to_jsonable_python(value))
    except (PydanticSerializationError, UsageError, UnicodeDecodeError):
        return None


def asked(task: "Task | str") -> Task:
    """Return a task; an empty question is refused."""
    made = Task(task) if isinstance(task, str) else task
    if not isinstance(made, Task):  # pyright: ignore[reportUnnecessaryIsInstance]  (callers without types)
        raise UsageError(f"a task is a Task or a question in words, got {made!r}")
    if not isinstance(made.question, Content) and clean(made.question) is not made.question:
        made = replace(made, question=clean(made.question))
    if not made.question.strip() and not getattr(made.question, "attachments", ()):
        raise UsageError("the question is empty: say what you want to know")
    return made


def _said(question: str) -> Json:
    return question.plain() if isinstance(question, Content) else question


_TYPES: dict[str, Any] = {"str": str, "int": int, "float": float, "bool": bool}


def _named_type(output: Any) -> Json:
    if get_origin(output) is Literal:
        return {"choices": list(get_args(output))}
    return getattr(output, "__name__", str(output))


def _type_named(name: Json) -> Any:
    if is_object(name):
        options: Any = tuple(name["choices"])
        return Literal[options]  # pyright: ignore[reportInvalidTypeForm]
    return _TYPES.get(name)


def _cited(text: str, steps: Transcript) -> tuple[str, ...]:
    """Return the steps' sources that the text mentions, else all of them, in order of first appearance."""
    found: dict[str, None] = {}
    for turn in steps.since(0):
        for seen in turn.observations:
            found.update(dict.fromkeys(seen.sources))
    if not found:
        return ()
    every = tuple(found)
    cited: set[str] = set()
    for source in sorted(every, key=len, reverse=True):  # `a.md:1` is not cited by a text that cites `a.md:13`
        whole = re.compile(rf"(?<![\w/]){re.escape(source)}(?![\w-])")
        if whole.search(text):
            cited.add(source)
            text = whole.sub(" ", text)
    return tuple(source for source in every if source in cited) or every
