"""What an input means, by its parameter name. `Annotated[..., Role("...")]` says it where the name is another.

`sim:` and `offline` answer by these roles; a role that is not in the list cannot be simulated.
"""


class Role:
    """The role of an input whose name is not itself one of `ROLES`."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Role({self.name!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Role) and other.name == self.name

    def __hash__(self) -> int:
        return hash(self.name)


ROLES: dict[str, str] = {
    "question": "what is to be solved or answered",
    "goal": "what is to be reached",
    "notes": "advice for this attempt, oldest first",
    "examples": "solved problems of a training split",
    "path": "a partial solution, step by step",
    "attempt": "an answer that is looked at again",
    "answer": "an answer that is graded or compared",
    "rival": "the answer it is compared with",
    "feedback": "what a judge or the world said about an attempt",
    "lessons": "what earlier failures taught",
    "steps": "a trajectory of thoughts, actions and observations",
    "tools": "what may be called",
    "findings": "what sub-goals brought",
    "passages": "texts that may hold the answer",
    "candidates": "answers or thoughts to choose among",
    "rationale": "reasoning that led, or leads, to an answer",
    "trigger": "words that begin the answer",
    "instruction": "what kind of text is wanted",
    "count": "how many are wanted",
    "plan": "the sub-goals, in order",
}
