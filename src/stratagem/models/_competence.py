"""What a simulated model can do, as numbers."""

import difflib
import math
from dataclasses import dataclass, fields

from stratagem.errors import UsageError


@dataclass(frozen=True, slots=True)
class Competence:
    """Parameters of `sim:`, each written `name=number`.

    Attributes:
        skill: probability that an answer, or a step with tools, is right.
        step: the same of one thought; None is `skill`. An unfinished path is concluded with one such chance for each missing step,
            and no worse than without it.
        judge: probability that a judge is right; stands for `tpr` and `1 - fpr`.
        tpr: probability that it passes what is right; None is `judge`.
        fpr: probability that it passes what is wrong; None is `1 - judge`.
        critic: probability that a wrong attempt is right after feedback.
        harm: probability that a right attempt is wrong after feedback, or when it is thought over without any.
        rethink: probability that a wrong attempt is right when it is thought over without feedback; None corrects as many as
            are spoiled, so that the accuracy stays `skill`.
        lesson: share of what is missing to certainty that advice or a lesson brings.
        cause: probability that a draw is right or wrong as all draws for a problem are together; which wrong answer it gives is its own.
        spread: different wrong answers to a problem; 1: whoever is wrong says the same.
        heat: what each unit of temperature takes from the skill.
        format: probability that a reply cannot be read.
        refuse: probability of a refusal.
        position: probability that a judge takes the first, whatever it says.
        length: probability that it takes the longest.
        decay: per 1,000 tokens of a prompt, the share of the skill that is lost (exponentially).
        branch: thoughts in a reply that may have several.
        words: tokens of reasoning before an answer, which nobody sees. What is left of `max_tokens` behind them is all that a reply
            may have.
        longest: tokens of a reply, at most.
        latency: seconds until a reply begins.
        speed: tokens per second; 0 is at once.
        price: US dollars per million tokens.
        seed: of the dice.
    """

    skill: float = 0.7
    step: float | None = None
    judge: float = 0.8
    tpr: float | None = None
    fpr: float | None = None
    critic: float = 0.5
    harm: float = 0.1
    rethink: float | None = None
    lesson: float = 0.0
    cause: float = 0.0
    spread: int = 5
    heat: float = 0.0
    format: float = 0.0
    refuse: float = 0.0
    position: float = 0.0
    length: float = 0.0
    decay: float = 0.0
    branch: int = 5
    words: int = 60
    longest: int = 256
    latency: float = 0.0
    speed: float = 0.0
    price: float = 0.0
    seed: int = 0

    @property
    def of_a_step(self) -> float:
        """Probability that a thought is right."""
        return self.skill if self.step is None else self.step

    @property
    def of_a_second_thought(self) -> float:
        """Probability that a wrong attempt is right when it is thought over."""
        if self.rethink is not None:
            return self.rethink
        return min(1.0, self.harm * self.skill / (1 - self.skill)) if self.skill < 1 else 1.0

    @property
    def passes_right(self) -> float:
        """Probability that a judge passes what is right."""
        return self.judge if self.tpr is None else self.tpr

    @property
    def passes_wrong(self) -> float:
        """Probability that a judge passes what is wrong."""
        return 1 - self.judge if self.fpr is None else self.fpr

    @staticmethod
    def parse(text: str) -> "Competence":
        """Return the parameters of a text such as `skill=0.7,judge=0.8`; an empty one has the defaults.

        Raises:
            UsageError: unknown parameter (the nearest is suggested), or a number out of its range.

        >>> Competence.parse("skill=0.9,seed=3").skill
        0.9
        """
        given: dict[str, float] = {}
        for part in filter(None, (part.strip() for part in text.split(","))):
            name, _, number = (piece.strip() for piece in part.partition("="))
            if name not in _RANGES:
                near = difflib.get_close_matches(name, list(_RANGES), 1)
                meant = f"; did you mean {near[0]!r}?" if near else ""
                raise UsageError(f"`sim:` has no parameter {name!r}{meant}", remedy=f"It has {', '.join(_RANGES)}.")
            if name in given:
                raise UsageError(f"`sim:{text}`: {name} is given twice")
            given[name] = _number(name, number)
        made = Competence(**given)  # pyright: ignore[reportArgumentType]  (`_number` returns what the field takes)
        if made.position + made.length > 1:
            raise UsageError("`sim:`: position and length together are more than 1")
        return made

    def __str__(self) -> str:
        """Return the parameters that differ from the defaults, in the order of this list."""
        pairs = ((field.name, getattr(self, field.name), field.default) for field in fields(self))
        return ",".join(f"{name}={value}" for name, value, usual in pairs if value != usual)


_SHARES = {
    "skill", "step", "judge", "tpr", "fpr", "critic", "harm", "rethink", "lesson", "cause", "format", "refuse", "position", "length",
}  # fmt: skip
_WHOLE = {"spread": (1, 1000), "branch": (1, 100), "words": (0, 100_000), "longest": (1, 1_000_000), "seed": (0, 2**63)}
_RANGES: dict[str, tuple[float, float]] = {
    field.name: (0.0, 1.0) if field.name in _SHARES else _WHOLE.get(field.name, (0.0, 1e9))
    for field in fields(Competence)
}


def _number(name: str, text: str) -> float:
    low, high = _RANGES[name]
    try:
        value = int(text) if name in _WHOLE else float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        kind = "a whole number" if name in _WHOLE else "a number"
        raise UsageError(f"`sim:`: {name} must be {kind} in [{low:g}, {high:g}], got {text!r}")
    return value
