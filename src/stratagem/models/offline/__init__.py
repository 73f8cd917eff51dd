"""`offline`: a rule-based model without a network. It looks, computes and quotes through tools, or refuses.

It works by the types of inputs and output, by tool schemas and by what observations showed; no signature, strategy or
tool is known by name. `docs/offline.md` has its word lists, its grammar and what it refuses.
"""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from typing import Any, get_type_hints

from stratagem.core import Capabilities, Delta, Reply, Request, Step, Tools, Transcript
from stratagem.core._schema import bare
from stratagem.errors import NoAnswer

_ASKING = ("question", "goal")
_FOUND = ("findings", "passages")
_GRADED = ("answer", "attempt")
_PLANNING = frozenset(("question", "goal", "notes", "tools", "examples", "count", ""))
_LOOKING_BACK = frozenset(("answer", "attempt", "feedback", "lessons", "rival"))


class OfflineModel:
    """Answers by rules: equal requests get equal replies, nothing is sent anywhere, and it costs nothing."""

    spec = "offline"
    capabilities = Capabilities(frozenset({"tools", "stop", "max_tokens"}), free=True)

    def refuses(self, request: Request) -> frozenset[str]:
        """Return the options that mean nothing to rules; all are soft."""
        return frozenset({"temperature", "top_p", "seed", "effort", "logprobs"} & set(request.options))

    def complete(self, request: Request, *, on_delta: Callable[[Delta], None] | None = None) -> Reply:
        """Answer a request.

        Raises:
            NoAnswer: it does not understand, or what there is does not say it; the message has the reason.
        """
        value = replied(request)
        sample = request.signature.write(value, native=request.native)
        if on_delta is not None:
            on_delta(Delta(0, sample.text))
        return Reply((sample,) * request.n)

    def tokens(self, text: str) -> int:  # noqa: ARG002  (the protocol's name)
        """Return 0: it counts none."""
        return 0

    async def aclose(self) -> None:
        """Nothing is open."""


def replied(request: Request) -> Any:
    """Return the typed value of the reply, by the types of inputs and output."""
    signature = request.signature
    output, roles = bare(signature.output), set(signature.roles.values())
    if isinstance(output, type) and issubclass(output, Step):
        return _step(request)
    if output is bool or _verdict(output):
        return _checked(request, output)
    if output == tuple[str, ...] and roles <= _PLANNING:
        from stratagem.models.offline.split import parts_of  # noqa: PLC0415  (a run rarely needs every part)

        return parts_of(_question(request))
    evidence = _evidence(request)
    if output is str and evidence is not None and not roles & _LOOKING_BACK:
        from stratagem.models.offline.combine import combined  # noqa: PLC0415

        return combined(_question(request), evidence)
    made = signature.output.__name__ if isinstance(signature.output, type) else str(signature.output)
    raise _refusal(f"it does not know how to make {made} from {', '.join(request.inputs) or 'nothing'}")


def _step(request: Request) -> Step:
    from stratagem.models.offline.control import MAX_QUESTION, Control  # noqa: PLC0415

    question = _question(request)
    if len(question) > MAX_QUESTION:
        raise _refusal(f"the question has {len(question):,} characters, more than {MAX_QUESTION:,}")
    tools = next((value for value in request.inputs.values() if isinstance(value, Tools)), request.tools)
    steps = next((value for value in request.inputs.values() if isinstance(value, Transcript)), Transcript())
    if not tools:
        raise _refusal("no tools are granted")
    step = Control(question, steps, tools).step()
    return step if request.native else Step(step.thought, step.calls[:1], step.answer)


def _checked(request: Request, output: Any) -> Any:
    from stratagem.models.offline.check import supported  # noqa: PLC0415

    graded, seen = _text(request, _GRADED), _evidence(request, whole=True)
    if not graded or seen is None or "rival" in request.signature.roles.values():
        raise _refusal("it checks whether an answer is supported by observations, and nothing else")
    support = supported(graded, _text(request, _ASKING), seen)
    if output is bool:
        return support.passed
    values = {bool: support.passed, float: float(support.passed), str: support.feedback}
    return output(**{name: values[bare(hint)] for name, hint in get_type_hints(output).items()})


def _verdict(output: Any) -> bool:
    """Whether it is a dataclass with one bool, at most one float and one text."""
    if not is_dataclass(output) or not isinstance(output, type):
        return False
    hints = get_type_hints(output)
    kinds = [bare(hints[field.name]) for field in fields(output)]
    return kinds.count(bool) == 1 and len(set(kinds)) == len(kinds) and set(kinds) <= {bool, float, str}


def _evidence(request: Request, *, whole: bool = False) -> list[str] | None:
    """Return the texts in which an answer may stand; None if the request brings none.

    Args:
        request: what is asked.
        whole: whether all observations count, and not only the answer that a trajectory ended with.
    """
    from stratagem.models.offline.combine import observed  # noqa: PLC0415

    found: list[str] | None = None
    for name, value in request.inputs.items():
        if isinstance(value, Transcript):
            texts = [seen.text for seen in value.observations] if whole else observed(value)
        elif request.signature.roles.get(name) in _FOUND and isinstance(value, tuple):
            texts = list(map(str, value))  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType]
        else:
            continue
        found = [*(found or []), *texts]
    return found


def _question(request: Request) -> str:
    said = _text(request, _ASKING)
    if not said.strip():
        raise _refusal("there is no question")
    return said


def _text(request: Request, roles: tuple[str, ...]) -> str:
    """Return the first text input that has one of these roles; empty if there is none."""
    named = {role: name for name, role in reversed(request.signature.roles.items())}
    texts = (request.inputs.get(named[role]) for role in roles if role in named)
    return next((str(text) for text in texts if isinstance(text, str)), "")


def _refusal(reason: str) -> NoAnswer:
    able = "it answers with quotes and computed values through tools, splits questions and copies findings"
    return NoAnswer(f"cannot answer: {reason}; {able}")
