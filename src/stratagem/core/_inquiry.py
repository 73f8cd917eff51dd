"""What a request means, apart from its words: the inputs by role, and what kind of reply is wanted.

A simulated model and its oracle read this. It is made from the declaration of a signature alone, so that whoever
writes a strategy has nothing to do but to give inputs, and where the type does not say it the reply, their roles.
"""

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin, get_type_hints

from stratagem.core._ranges import Within
from stratagem.core._schema import bare
from stratagem.core._values import Preference, Verdict

if TYPE_CHECKING:
    from stratagem.core._signature import Signature

Kind = Literal[
    "answer", "thought", "thoughts", "parts", "lesson", "feedback", "grade", "choice", "preference", "act"
]  # fmt: skip
SUBJECTS = ("answer", "attempt", "path", "rationale", "candidates")  # what is graded: the first that is there
_RETURNED: Mapping[str, Kind] = {
    "answer": "answer", "attempt": "answer", "rationale": "answer", "path": "thought", "plan": "parts", "lessons": "lesson",
    "feedback": "feedback",
}  # fmt: skip

_UNREAD = object()


class Inquiry:
    """What is asked of a model.

    Attributes:
        kind: `answer` (solve it), `thought` (the next step of a path), `thoughts` (several of them), `parts` (sub-goals),
            `lesson` (what a failure taught), `feedback` (what is wrong), `grade` (is it right), `choice` (which of the
            candidates), `preference` (the answer or its rival), `act` (a step with tools).
        name: of the signature.
        output: type of the reply.
        given: the inputs by role.
        question: the problem in words; a goal stands for one.
    """

    __slots__ = ("_path", "_subject", "given", "kind", "name", "output", "question")

    def __init__(self, kind: Kind, name: str, output: Any, given: Mapping[str, Any]) -> None:
        self.kind: Kind = kind
        self.name, self.output, self.given = name, output, given
        said = given.get("question") or given.get("goal") or ""
        self.question = said if type(said) is str else str(said)
        self._path: tuple[str, ...] | None = None  # until somebody asks for it
        self._subject: Any = _UNREAD

    def __repr__(self) -> str:
        return f"Inquiry({self.kind!r}, {self.name!r}, {sorted(self.given)})"

    @property
    def path(self) -> tuple[str, ...]:
        """The partial solution, step by step."""
        if self._path is None:
            self._path = path_of(self.given.get("path", ()))
        return self._path

    @property
    def subject(self) -> Any:
        """What is to be graded; None if nothing is."""
        if self._subject is _UNREAD:
            self._subject = next((self.given[role] for role in SUBJECTS if role in self.given), None)
        return self._subject


def path_of(given: Any) -> tuple[str, ...]:
    """Return a path as its steps: a text has one per line."""
    if isinstance(given, str):
        return tuple(line.strip() for line in given.splitlines() if line.strip())
    if not given:
        return ()
    steps: tuple[Any, ...] = tuple(given)
    return steps if set(map(type, steps)) <= {str} else tuple(map(str, steps))


def kind_of(signature: "Signature[..., Any]") -> Kind:
    """Return what kind of reply a signature wants, by its output and the roles of its inputs."""
    output, roles = bare(signature.output), frozenset(signature.roles.values())
    if signature.acts:
        return "act"
    if output is Preference or "rival" in roles:
        return "preference"
    said = signature.returns
    several = get_origin(output) is tuple
    if said:
        return "thoughts" if said == "path" and several else _RETURNED.get(said, "answer")
    if "candidates" in roles and output is not str:
        return "choice"
    if output is Verdict or (output is not str and not several and roles.intersection(SUBJECTS)):
        return "answer" if _answers(output) else "grade"
    if several:
        return "thoughts" if "path" in roles else "parts"
    return "thought" if "path" in roles and output is str else "answer"


def _answers(output: Any) -> bool:
    """Return whether a dataclass has a field for the answer."""
    return isinstance(output, type) and "answer" in getattr(output, "__dataclass_fields__", ())


def grades(output: Any) -> tuple[Any, Any] | None:
    """Return the best and the worst reply of a type that grades; None if it is no such type.

    A `Literal` lists the best first. A number is as its bounds say, else 1 and 0.
    """
    plain = bare(output)
    if plain is Verdict:
        return Verdict(True, 1.0, "I see no mistake."), Verdict(False, 0.0, "There is a mistake.")
    if plain is bool:
        return True, False
    if get_origin(plain) is Literal:
        options = get_args(plain)
        return options[0], options[-1]
    if plain in (int, float):
        bounds = next((extra for extra in get_args(output)[1:] if isinstance(extra, Within)), Within(0, 1))
        return plain(bounds.low + 1 if math.isinf(bounds.high) else bounds.high), plain(bounds.low)
    return None


def field_hints(output: Any) -> dict[str, Any]:
    """Return the fields of a dataclass with their annotations."""
    return get_type_hints(output, include_extras=True)
