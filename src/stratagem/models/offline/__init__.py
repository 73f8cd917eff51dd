"""`offline`: a rule-based model without a network. It looks, computes and quotes through tools, or refuses.

It works by the types of inputs and output, by tool schemas and by what observations showed; no signature, strategy or
tool is known by name. `docs/offline.md` has its word lists, its grammar and what it refuses.
"""

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, NoReturn, get_args, get_origin, get_type_hints

from stratagem.core import Capabilities, Delta, Observation, Reply, Request, Step, Tools, Transcript
from stratagem.core._schema import bare
from stratagem.errors import NoAnswer

_ASKING = ("question", "goal")
_FOUND = ("findings", "passages")
_GRADED = ("answer", "attempt")


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

    def tokens(self, text: str) -> int:
        """Return 0: it counts none."""
        return 0

    async def aclose(self) -> None:
        """Nothing is open."""


def replied(request: Request) -> Any:
    """Return the typed value of the reply, by the types of inputs and output."""
    signature, inputs = request.signature, request.inputs
    output = bare(signature.output)
    if isinstance(output, type) and issubclass(output, Step):
        return _step(request)
    graded = _text(request, _GRADED)
    if output is bool or _verdict(output):
        return _checked(request, output, graded)
    if get_origin(output) is tuple and get_args(output) == (str, ...) and not graded:
        from stratagem.models.offline.split import parts_of  # noqa: PLC0415  (a run rarely needs every part)

        return parts_of(_question(request))
    if output is str and not graded:
        evidence = _evidence(inputs, request.signature.roles)
        if evidence is not None:
            from stratagem.models.offline.conclude import concluded  # noqa: PLC0415

            return concluded(_question(request), evidence)
    _refuse(
        f"nothing is known of how to make {getattr(output, '__name__', output)} from {', '.join(inputs) or 'nothing'}"
    )


def _step(request: Request) -> Step:
    from stratagem.models.offline.control import MAX_QUESTION, Control  # noqa: PLC0415

    question = _question(request)
    if len(question) > MAX_QUESTION:
        _refuse(f"the question has {len(question):,} characters, more than {MAX_QUESTION:,}")
    tools = next((value for value in request.inputs.values() if isinstance(value, Tools)), request.tools)
    steps = next((value for value in request.inputs.values() if isinstance(value, Transcript)), None)
    if not tools:
        _refuse("no tools are granted")
    return Control(question, steps if steps is not None else Transcript(), tools).step()


def _checked(request: Request, output: Any, graded: str) -> Any:
    from stratagem.models.offline.check import supported  # noqa: PLC0415

    evidence = _evidence(request.inputs, request.signature.roles, observations=True)
    if not graded or evidence is None or "rival" in request.signature.roles.values():
        _refuse("it checks whether an answer is supported by observations, and nothing else")
    support = supported(graded, _text(request, _ASKING), evidence)
    if output is bool:
        return support.passed
    values: dict[str, Any] = {}
    for name, hint in get_type_hints(output).items():
        kind = bare(hint)
        values[name] = support.passed if kind is bool else float(support.passed) if kind is float else support.feedback
    return output(**values)


def _verdict(output: Any) -> bool:
    """Whether it is a dataclass with one bool, at most one float and one text."""
    if not is_dataclass(output) or not isinstance(output, type):
        return False
    hints = get_type_hints(output)
    kinds = [bare(hints[field.name]) for field in fields(output)]
    return (
        kinds.count(bool) == 1
        and kinds.count(float) <= 1
        and kinds.count(str) <= 1
        and set(kinds) <= {bool, float, str}
    )


def _evidence(inputs: Mapping[str, Any], roles: Mapping[str, str], *, observations: bool = False) -> list[str] | None:
    """Return the texts in which an answer may stand; None if the request brings none."""
    from stratagem.models.offline.conclude import observed  # noqa: PLC0415

    found: list[str] | None = None
    for name, value in inputs.items():
        texts: list[str] | None = None
        if isinstance(value, Transcript):
            texts = [_seen(one) for one in value.observations] if observations else observed(value)
        elif roles.get(name) in _FOUND and isinstance(value, tuple):
            texts = [str(item) for item in value]  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        if texts is not None:
            found = [*(found or []), *texts]
    return found


def _seen(one: Observation) -> str:
    return one.text


def _question(request: Request) -> str:
    said = _text(request, _ASKING)
    if not said.strip():
        _refuse("there is no question")
    return said


def _text(request: Request, roles: tuple[str, ...]) -> str:
    for role in roles:
        for name, meaning in request.signature.roles.items():
            value = request.inputs.get(name)
            if meaning == role and isinstance(value, str):
                return str(value)
    return ""


def _refuse(reason: str) -> NoReturn:
    raise NoAnswer(
        f"cannot answer: {reason}; I answer with quotes and computed values through tools, split questions, copy findings"
    )
