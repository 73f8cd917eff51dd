"""`sim:`: a model of stated competence, which answers by meaning through the oracle of a task.

Nothing in it is a language model. What it says is right with a probability that its parameters state, whatever the
strategy asks it for, so that a strategy can be checked against what probability theory says of it, and compared with
others at a competence that one chooses.

Rule 1: a draw is a function of (seed, request, path, occurrence), never of the order of calls. At temperature 0 it is one
        of (seed, request) alone: the same request gets the same reply wherever it is asked.
Rule 2: the competence is no part of what is drawn from, and each decision has dice of its own. So models that differ in
        competence meet the same luck: who is better is right wherever the other is, and in more places.
Rule 3: the truth stays in the oracle. A request without one is a `UsageError`.
"""

import asyncio
import hashlib
import math
import struct
from collections.abc import Awaitable, Callable, Mapping
from functools import lru_cache
from typing import Any, cast, get_args, get_origin

from stratagem.core import Capabilities, Delta, Inquiry, Json, Oracle, Reply, Request, Sample, Signature, Step, Usage
from stratagem.core._inquiry import Kind, field_hints, grades, kind_of
from stratagem.core._request_digest import head_digest, request_digest
from stratagem.core._schema import bare
from stratagem.core._value import made
from stratagem.errors import CapabilityError, UsageError
from stratagem.models._competence import Competence

_FIELDS = frozenset({"tools", "temperature", "top_p", "stop", "seed", "effort", "schema", "max_tokens"})
_UNIT = 1 / (1 << 32)
_sha256 = hashlib.sha256
REFUSAL = "I cannot help with that."
GARBLED = "(unreadable)"
REASONING = "Simulated reasoning."
LESSON = "Simulated lesson {}: the attempt was wrong; try otherwise."
FEEDBACK = "Simulated feedback {}."
CRITIQUE = "Simulated feedback."
LETTERS = 6  # that tell one lesson, or one feedback, from another
MOST_MISSING = 20  # steps of an unfinished path that are looked for


class SimulatedModel:
    """Answers by meaning, at the competence that its spec states.

    Args:
        spec: `sim:` and parameters, for example `sim:skill=0.7,judge=0.8`.
        oracle: knows the truth; None can answer nothing.
        sleep: waits so many seconds, if the model has a latency.
    """

    def __init__(
        self, spec: str, oracle: Oracle | None = None, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    ) -> None:
        self.competence = Competence.parse(spec.partition(":")[2])
        self.spec = f"sim:{self.competence}"
        self.capabilities = Capabilities(
            _FIELDS, native_n=True, schema="constrained", max_output=self.competence.longest, priced=True,
            worth=self._worth if self.competence.price else None,
        )  # fmt: skip
        self._oracle, self._sleep = oracle, sleep
        self._seed = self.competence.seed.to_bytes(8, "big")
        self._heads: dict[bytes, bytes] = {}  # digest of a head: that of the same head of a model without competence
        # Of the latest request: draws of one come after one another.
        self._meant: _Meant | None = None
        self._bound = b"", 0  # its digest, and what its prompt costs
        self._waits = self.competence.latency > 0 or self.competence.speed > 0

    def refuses(self, request: Request) -> frozenset[str]:
        """Return `logprobs` and `media`, if they are asked for."""
        refused = {"logprobs"} if request.options.get("logprobs") else set[str]()
        return frozenset(refused | {"media"} if request.attached else refused)

    def tokens(self, text: str) -> int:
        """Return a quarter of the characters, rounded up, and the marks around a message."""
        return -(-len(text) // 4) + 8

    def prompt_bound(self, request: Request) -> int:
        """Return what a prompt costs: that is known beforehand here."""
        if request.digest and request.digest == self._bound[0]:
            return self._bound[1]
        prompt = -(-len(request.message) // 4) + 8 - (-len(request.head.instruction) // 4)
        for step in request.steps or ():
            prompt += sum(self.tokens(one.text) for one in step.observations) + self.tokens(step.step.thought)
        self._bound = request.digest, prompt
        return prompt

    def _worth(self, prompt: int, completion: int) -> int:
        """Return what so many tokens cost, in nano-dollars."""
        return math.ceil(self.competence.price * (prompt + completion) * 1000)

    def complete(
        self, request: Request, *, on_delta: Callable[[Delta], None] | None = None
    ) -> Reply | Awaitable[Reply]:
        """Answer a request at once, or after the latency that the spec states.

        Raises:
            UsageError: there is no oracle.
            CapabilityError: an input or the reply has no role that a simulation understands.
        """
        if self._oracle is None:
            raise UsageError(
                f"the model {self.spec!r} knows nothing by itself",
                remedy="It answers tasks of a suite: `stratagem compare --task SUITE --model sim:...`.",
            )
        meant = self._meant
        if meant is None or meant.inputs is not request.inputs or meant.digest != request.digest:
            meant = self._meant = self._understood(request)
        samples = (self._draw(self._oracle, request, meant, request.occurrence),) if request.n == 1 else tuple([
            self._draw(self._oracle, request, meant, request.occurrence + number) for number in range(request.n)
        ])  # fmt: skip
        most = cut = meant.most
        if request.max_tokens is not None:
            most = request.max_tokens
            if most < self.competence.longest:
                cut = most  # what a budget has left, which cuts like any other limit
        if cut is not None:
            samples = tuple([_cut(sample, cut - meant.hidden) for sample in samples])
        if on_delta is not None:
            for k, sample in enumerate(samples):
                on_delta(Delta(k, sample.text))
        prompt, said = meant.prompt, meant.hidden * request.n
        for sample in samples:
            said -= -len(sample.text) // 4
        if most is not None:
            said = min(said, most * request.n)
        cost = self.competence.price * (prompt + said) / 1e6
        reply = Reply(samples, made(Usage, (request.n, 1, prompt, said, 0, 0, 0, cost, 0.0, False, 0.0, 0)))
        return self._late(reply, said) if self._waits else reply

    async def aclose(self) -> None:
        """Do nothing."""

    async def _late(self, reply: Reply, said: int) -> Reply:
        speed = self.competence.speed
        await self._sleep(self.competence.latency + (said / speed if speed else 0.0))
        return reply

    def _understood(self, request: Request) -> "_Meant":
        """Return what a request means, and what stands for it whatever the competence of the model that is asked."""
        signature, head = request.signature, self._heads.get(request.head.digest)
        if head is None:
            form = cast("dict[str, Json]", request.head.form)
            head = self._heads[request.head.digest] = head_digest({**form, "model": "sim:"})
        said = request.message.encode("utf-8", "surrogatepass")
        seed = self._seed + request_digest(head, said, request.steps, request.repair, request.attached)
        form = _form(signature)
        asked = Inquiry(form.kind, signature.name, signature.output, form.given(request.inputs))
        hidden = self.competence.words if form.reasons else 0
        return _Meant(request, form, asked, seed, self.prompt_bound(request), hidden)

    def _draw(self, oracle: Oracle, request: Request, meant: "_Meant", occurrence: int) -> Sample:
        seed, can = meant.seed, self.competence
        if meant.drawn:
            seed += f"{request.path}\x00{occurrence}\x00{request.seed}".encode()
        dice = _Dice(_sha256(seed).digest())
        if can.refuse and dice.own(_REFUSES) < can.refuse:
            return Sample(REFUSAL, (), "refusal")
        if can.format and dice.own(_GARBLES) < can.format:
            return Sample(GARBLED)
        return meant.form.written(meant.says(_Speaker(oracle, can, meant.asked, dice, request)), native=request.native)


def _cut(sample: Sample, room: int) -> Sample:
    """Return a draw with at most so many tokens, of four characters each; what it would have called comes behind its text."""
    if -(-len(sample.text) // 4) <= room:
        return sample
    return Sample(sample.text[: 4 * max(room, 0)], finish="length")


# Where the dice of a draw's own decisions lie, and where the others begin.
_REFUSES, _GARBLES, _SHARES, _OWN = range(4)
_WORDS = 8  # in a digest
_words: Callable[[bytes], tuple[int, ...]] = struct.Struct(f">{_WORDS}I").unpack


class _Dice:
    """Numbers made from one digest; when it is used up, from the digest of it."""

    __slots__ = ("_at", "_data", "_first", "_words")

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, _OWN
        self._first = self._words = _words(data)

    def own(self, at: int) -> float:
        """Return the number in [0, 1) of one decision that may not have to be made: it moves no other."""
        return self._first[at] * _UNIT

    def word(self) -> int:
        at = self._at
        if at == _WORDS:
            self._data, at = _sha256(self._data).digest(), 0
            self._words = _words(self._data)
        self._at = at + 1
        return self._words[at]

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        return self.word() * _UNIT

    def __call__(self, n: int) -> int:
        """Return a number from 0 to n - 1."""
        return self.word() * n >> 32

    def letters(self, count: int) -> str:
        """Return so many letters."""
        return "".join([chr(97 + self(26)) for _ in range(count)])


class _Form:
    """How a signature is understood, and how a reply to it is written."""

    __slots__ = ("_answer", "_between", "_names", "_starts", "_weighed", "graded", "kind", "reasons", "signature")

    def __init__(self, signature: Signature[..., Any]) -> None:
        self.signature = signature
        self.kind: Kind = kind_of(signature)
        unknown = [name for name, role in signature.roles.items() if not role and name not in _OPAQUE]
        if unknown:
            raise CapabilityError(
                f"`{signature.name}` cannot be simulated: nobody knows what its input {unknown[0]!r} means",
                remedy='Name it as a role of `stratagem.core.ROLES`, or annotate it: `Annotated[..., Role("...")]`.',
            )
        self._names = tuple([(name, role) for name, role in signature.roles.items() if role])
        worded = grades(signature.output) if self.kind == "grade" else None
        self.graded = worded and tuple([signature.write(one).text for one in worded])  # what passes says first
        roles = [role for _, role in self._names]
        self._weighed = tuple([role for role in ("path", "lessons", "notes") if role in roles])
        self._starts = self.kind == "answer" and "rationale" not in roles and "attempt" not in roles
        fields: dict[str, Any] = {}
        if self.kind in ("answer", "choice"):
            fields = getattr(bare(signature.output), "__dataclass_fields__", {})
        self.reasons = bool(fields) or self.kind in ("thought", "act") or signature.returns == "rationale"
        self._between: tuple[str, str] | None = None
        self._answer = ""
        if fields:
            self._answer = "answer" if "answer" in fields else list(fields)[-1]
            head, _, tail = signature.write(self._filled("\x00")).text.partition("\x00")
            self._between = head, tail

    def given(self, inputs: Any) -> dict[str, Any]:
        return {role: inputs[name] for name, role in self._names}

    def says(self, given: Mapping[str, Any]) -> Callable[["_Speaker"], Any]:
        """Return what makes the reply; where nothing was thought before, nothing but the question counts."""
        if self._starts and not any(given[role] for role in self._weighed):
            return _Speaker.solve
        return _SAID[self.kind]

    def concluded(self, rationale: str) -> str:
        """Return what written reasoning comes to: the answer that it states last, where it states one in this form."""
        if self._between is not None:
            head, tail = (part.replace(REASONING, "").strip() for part in self._between)
            if head and head in rationale:
                return rationale.rpartition(head)[2].strip().removesuffix(tail).strip()
        return rationale.replace(REASONING, "").strip()

    def written(self, said: Any, *, native: bool) -> Sample:
        if type(said) is str:
            return Sample(said if self._between is None else said.join(self._between))
        return self.signature.write(said, native=native)

    def _filled(self, answer: str) -> Any:
        """Return the reply as a dataclass: the answer in its field, reasoning in the texts before it."""
        output = bare(self.signature.output)
        values: dict[str, Any] = {}
        for name, field in output.__dataclass_fields__.items():
            best = grades(field.type if not isinstance(field.type, str) else str)
            values[name] = answer if name == self._answer else REASONING if best is None else best[0]
        return output(**values)


_OPAQUE = frozenset({"tools"})
_form = lru_cache(maxsize=1024)(_Form)


class _Meant:
    """A request, as all draws of it understand it: what is said, and the tokens of the prompt and of what nobody sees."""

    __slots__ = ("asked", "digest", "drawn", "form", "hidden", "inputs", "most", "prompt", "says", "seed")

    def __init__(self, request: Request, form: _Form, asked: Inquiry, seed: bytes, prompt: int, hidden: int) -> None:
        self.digest, self.inputs, self.form, self.asked, self.seed = request.digest, request.inputs, form, asked, seed
        self.prompt, self.hidden = prompt, hidden
        options = request.options
        self.drawn, self.most = bool(options.get("temperature")), options.get("max_tokens")
        self.says = form.says(asked.given)


class _Speaker:
    """One draw: what is said, and whether it is right."""

    __slots__ = ("asked", "can", "dice", "oracle", "request")

    def __init__(self, oracle: Oracle, can: Competence, asked: Inquiry, dice: _Dice, request: Request) -> None:
        self.oracle, self.can, self.asked, self.dice, self.request = oracle, can, asked, dice, request

    def solve(self) -> Any:
        """Answer a question, and nothing beside it counts."""
        return self.reply(self.can.skill)

    def answer(self) -> Any:
        """Solve it; what was thought before, or said against an attempt, counts."""
        given, can = self.asked.given, self.can
        if "rationale" in given:  # reasoning that was written before is followed
            return _form(self.request.signature).concluded(str(given["rationale"]))
        skill = can.skill
        if self.asked.path:
            return self.reply(self.finishing() if self.oracle.accepts(self.asked, self.asked.path) else 0.0)
        if "attempt" in given:
            corrected = can.critic if given.get("feedback") else can.of_a_second_thought
            skill = 1 - can.harm if self.oracle.accepts(self.asked, given["attempt"]) else corrected
        elif given.get("lessons") or given.get("notes"):
            skill += can.lesson * (1 - skill)
        return self.reply(skill)

    def finishing(self) -> float:
        """Return the skill to state the answer of a path that can be completed: what is missing is thought out unwritten.

        Whoever writes down what a finished path says makes no new mistake.
        """
        path, missing, solution = self.asked.path, 0, str(self.oracle.right(self.asked)).split()
        while missing < MOST_MISSING:
            asked = Inquiry("thoughts", self.asked.name, self.asked.output, {**self.asked.given, "path": path})
            right = self.oracle.right(asked)
            if not right or str(right[0]).split() == solution:  # what is left to think at the end, or without steps
                break
            path, missing = (*path, str(right[0])), missing + 1
        return max(self.can.of_a_step**missing, self.can.skill if missing else 0.0)

    def thought(self) -> Any:
        return self.several(1)[0]

    def thoughts(self) -> Any:
        count = self.asked.given.get("count")
        return tuple(self.several(int(count) if count else self.can.branch))

    def parts(self) -> Any:
        return self.oracle.right(self.asked) or (self.asked.question,)

    def lesson(self) -> str:
        """Return a lesson that no other is like, so that the attempt that follows it is another draw.

        Where earlier lessons are given, those make the difference and not the attempt: so models that failed in different
        ways meet the same luck again.
        """
        dice, given = self.dice, self.asked.given
        if "lessons" in given and not self.request.options.get("temperature"):
            said = "\x00".join((self.asked.question, *map(str, given["lessons"]))).encode(errors="replace")
            dice = _Dice(_sha256(self.can.seed.to_bytes(8, "big") + said).digest())
        return LESSON.format(dice.letters(LETTERS))

    def feedback(self) -> str:
        return FEEDBACK.format(self.dice.letters(LETTERS))

    def act(self) -> Any:
        said = self.reply(self.can.skill)
        return said if isinstance(said, Step) else Step(REASONING, (), str(said))

    def grade(self) -> Any:
        replies = _form(self.request.signature).graded
        if replies is None:
            raise CapabilityError(
                f"`{self.asked.name}` cannot be simulated: it grades, and returns {self.asked.output!r}"
            )
        return replies[0 if self.approves(self.asked.subject) else 1]

    def approves(self, subject: Any) -> bool:
        """Say whether a judge with the stated rates passes what it sees."""
        right = self.oracle.accepts(self.asked, subject)
        return self.dice.unit() < (self.can.passes_right if right else self.can.passes_wrong)

    def choice(self) -> Any:
        """Return the number of the candidate that is chosen, from 1."""
        candidates = tuple(self.asked.given["candidates"])
        return str(1 + self.chosen(candidates)) if candidates else "1"

    def chosen(self, candidates: tuple[Any, ...]) -> int:
        biased = self.dice.unit()
        if biased < self.can.position:
            return 0
        if biased < self.can.position + self.can.length:
            return max(range(len(candidates)), key=lambda n: (len(str(candidates[n])), -n))
        passed = [n for n, one in enumerate(candidates) if self.approves(one)]
        pool = passed or list(range(len(candidates)))
        return pool[self.dice(len(pool))]

    def preference(self) -> Any:
        pair = self.asked.given.get("answer", self.asked.given.get("attempt")), self.asked.given.get("rival")
        first = 1.0 if self.chosen(pair) == 0 else 0.0
        return _preferred(self.asked.output, first)

    def reply(self, skill: float) -> Any:
        """Return a right reply with the stated probability, else a wrong one."""
        decayed = skill * math.exp(-self.can.decay * len(self.request.message) / 4000) if self.can.decay else skill
        if self.can.heat:
            decayed -= self.can.heat * float(self.request.options.get("temperature") or 0)
        own, cause = self.dice.unit(), self.can.cause
        luck = self.common_luck() if cause and self.dice.own(_SHARES) < cause else own
        if luck < decayed:
            right = self.oracle.right(self.asked)
            if right is not None:
                return right
        wrong = self.oracle.wrong(self.asked, self.of_few)
        return self.oracle.right(self.asked) if wrong is None else wrong

    def of_few(self, n: int) -> int:
        """Return a number below n and below the number of different wrong answers."""
        return self.dice(min(n, self.can.spread))

    def common_luck(self) -> float:
        """Return the luck that all draws for one problem share; corrections share it with those of the same attempt.

        A correction is another decision than the attempt: with the luck that made an attempt wrong, none would be mended.
        """
        said = f"{self.asked.question}\x00{self.asked.path}\x00{self.request.seed}"
        if "attempt" in self.asked.given:
            said += f"\x00{self.asked.given['attempt']}"
        seed = self.can.seed.to_bytes(8, "big")
        return _Dice(hashlib.sha256(seed + said.encode(errors="replace")).digest()).unit()

    def several(self, count: int) -> list[str]:
        """Return next steps, each right with the probability of a step; two are only alike if there are no more."""
        right = list(self.oracle.right(self._for_thoughts()) or ())
        found: list[str] = []
        for luck in [
            self.dice.unit() for _ in range(count)
        ]:  # first of all, so that none depends on what another finds
            if right and luck < self.can.of_a_step:
                found.append(right[self.dice(len(right))] if count == 1 else right.pop(0))
                continue
            for _ in range(4):
                wrong = self.oracle.wrong(self._for_thoughts(), self.dice)
                if wrong is not None and wrong not in found:
                    found.append(cast("str", wrong))
                    break
        return found or [self.asked.question]

    def _for_thoughts(self) -> Inquiry:
        asked = self.asked
        return asked if asked.kind == "thoughts" else Inquiry("thoughts", asked.name, asked.output, asked.given)


def _preferred(output: Any, first: float) -> Any:
    """Return a preference for the first or the second in the type that is wanted."""
    from stratagem.core import Preference

    plain = bare(output)
    if plain is Preference:
        return Preference(first, CRITIQUE)
    if plain is bool:
        return first == 1.0
    for hint in field_hints(plain).values() if hasattr(plain, "__dataclass_fields__") else ():
        scale = grades(hint) if bare(hint) in (int, float) else None
        if scale is not None:  # from the first of the two, at its low end, to the second
            return str(scale[1] if first == 1.0 else scale[0])
    options = get_args(plain) if get_origin(plain) is not None else ()
    if options:
        return str(options[0] if first == 1.0 else options[-1])
    return "1" if first == 1.0 else "2"


_SAID: dict[Kind, Callable[[_Speaker], Any]] = {
    "answer": _Speaker.answer,
    "thought": _Speaker.thought,
    "thoughts": _Speaker.thoughts,
    "parts": _Speaker.parts,
    "lesson": _Speaker.lesson,
    "feedback": _Speaker.feedback,
    "grade": _Speaker.grade,
    "choice": _Speaker.choice,
    "preference": _Speaker.preference,
    "act": _Speaker.act,
}
