"""The model by the types of what it is asked: what it returns, and what it refuses."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

import stratagem
from stratagem.core import (
    Book,
    Budget,
    MemoryJournal,
    Observation,
    Preference,
    Role,
    Run,
    Services,
    Signature,
    Step,
    StoredRun,
    Tools,
    Transcript,
    Usage,
    Verdict,
    World,
    signature,
    tool,
)
from stratagem.errors import NoAnswer
from stratagem.models import open_model
from stratagem.models.offline import OfflineModel
from stratagem.strategies import autonomous_agent, direct, react
from stratagem.tools.builtin import builtin

FOUND = "[a.md:12] The pump is serviced every 6 weeks."
STEPS = Transcript().then(Step("read"), Observation("   12  The pump is serviced every 6 weeks."))


@signature
def move(question: str, steps: Transcript, tools: Tools) -> Step:
    """Do something."""
    ...


@signature
def cut(goal: str, notes: tuple[str, ...], tools: Tools) -> tuple[str, ...]:
    """Cut it."""
    ...


@signature
def merge(question: str, notes: tuple[str, ...], findings: tuple[str, ...]) -> str:
    """Merge it."""
    ...


@signature
def pick(question: str, texts: Annotated[tuple[str, ...], Role("passages")]) -> str:
    """Pick it."""
    ...


@signature
def grade(question: str, answer: str, steps: Transcript) -> Verdict:
    """Grade it."""
    ...


@signature
def agree(question: str, attempt: str, findings: tuple[str, ...]) -> bool:
    """Agree or not."""
    ...


@dataclass(frozen=True)
class Marks:
    good: bool
    why: str


@dataclass(frozen=True)
class Thought:
    rationale: str
    answer: str


@signature
def mark(question: str, answer: str, steps: Transcript) -> Marks:
    """Mark it."""
    ...


@signature
def reason(question: str) -> Thought:
    """Reason."""
    ...


@signature
def write(question: str) -> str:
    """Write."""
    ...


@signature
def reflect(question: str, attempt: str, feedback: str, steps: Transcript) -> str:
    """Reflect."""
    ...


@signature
def prefer(question: str, answer: str, rival: str, steps: Transcript) -> Preference:
    """Prefer."""
    ...


@signature
def judge_pair(question: str, answer: str, rival: str, steps: Transcript) -> bool:
    """Judge."""
    ...


@signature
def rate(question: str, answer: str) -> Verdict:
    """Rate without evidence."""
    ...


@signature
def claims(question: str, answer: str) -> tuple[str, ...]:
    """List the claims."""
    ...


@signature
def count(question: str, findings: tuple[str, ...]) -> int:
    """Count."""
    ...


def started(tools: Tools | None = None) -> Run:
    journal = MemoryJournal()
    journal.create(StoredRun("run"))
    services = Services(OfflineModel(), journal=journal, tools=tools or Tools())
    return Run.start(World(services, Book(journal, "run", [], [])), (Budget(),))


async def test_a_step_looks_before_it_answers(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The pump is serviced every 6 weeks.\n")
    tools = Tools(builtin([tmp_path]))
    step = await started(tools).ask(move, question="How often is the pump serviced?", steps=Transcript(), tools=tools)
    assert [call.name for call in step.calls] == ["list_files"]
    assert step.thought == "first look which files there are"
    assert step.answer is None


async def test_a_goal_is_cut_into_parts() -> None:
    goal = "How many rooms are there, and what is the mean price?"
    parts = await started().ask(cut, goal=goal, notes=("advice",), tools=Tools())
    assert parts == ("How many rooms are there?", "What is the mean price?")


async def test_findings_are_merged_and_passages_quoted() -> None:
    run = started()
    assert await run.ask(merge, question="q", notes=(), findings=(f"How often?: {FOUND}",)) == FOUND
    question = "How often is the pump serviced?"
    said = await run.ask(pick, question=question, texts=("It rained.", "The pump is serviced every 6 weeks."))
    assert said == "[passage 2] The pump is serviced every 6 weeks."


async def test_an_answer_is_graded_by_its_support() -> None:
    run = started()
    assert await run.ask(grade, question="q", answer=FOUND, steps=STEPS) == Verdict(True, 1.0, "")
    wrong = FOUND.replace("6", "7")
    verdict = await run.ask(grade, question="q", answer=wrong, steps=STEPS)
    assert (verdict.passed, verdict.score) == (False, 0.0)
    assert verdict.feedback == "not supported: 'The pump is serviced every 7 weeks.', '7'"
    assert await run.ask(agree, question="q", attempt=FOUND, findings=("The pump is serviced every 6 weeks.",)) is True
    assert await run.ask(agree, question="q", attempt=wrong, findings=("The pump is serviced every 6 weeks.",)) is False
    assert await run.ask(mark, question="q", answer="nothing", steps=STEPS) == Marks(
        False, "not supported: the answer holds neither a quote nor a number that could be checked"
    )


REFUSED: list[tuple[Signature[..., Any], dict[str, Any]]] = [
    (reason, {"question": "What is 2 + 2?"}),
    (write, {"question": "Write a poem."}),
    (reflect, {"question": "q", "attempt": "a", "feedback": "f", "steps": STEPS}),
    (prefer, {"question": "q", "answer": "a", "rival": "b", "steps": STEPS}),
    (judge_pair, {"question": "q", "answer": FOUND, "rival": "b", "steps": STEPS}),
    (rate, {"question": "q", "answer": FOUND}),
    (claims, {"question": "q", "answer": FOUND}),
    (count, {"question": "q", "findings": (FOUND,)}),
    (merge, {"question": "  ", "notes": (), "findings": ("x",)}),
    (merge, {"question": "q", "notes": (FOUND,), "findings": ()}),
    (move, {"question": "q", "steps": Transcript(), "tools": Tools()}),
    (cut, {"goal": " ", "notes": (), "tools": Tools()}),
]


@pytest.mark.parametrize(("asked", "inputs"), REFUSED, ids=lambda value: getattr(value, "name", None))
async def test_anything_else_is_refused_with_the_reason(asked: Signature[..., Any], inputs: dict[str, Any]) -> None:
    with pytest.raises(NoAnswer, match=r"^cannot answer: .*; .*|^cannot answer: "):
        await started().ask(asked, **inputs)


async def test_it_costs_nothing_and_takes_any_soft_option(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("The pump is serviced every 6 weeks.\n")
    options = {"temperature": 0.7, "top_p": 0.9, "seed": 3, "effort": "high"}
    model = open_model("offline")
    assert isinstance(model, OfflineModel)
    assert model.capabilities.free
    async with stratagem.open(
        model="offline", roots=[tmp_path], memory="none", journal="memory", options=options, budget="tokens=1,usd=0.01"
    ) as session:
        answer = await session.run(react, "How often is the pump serviced?")
    assert answer.text == "[a.md:1] The pump is serviced every 6 weeks."
    used = answer.usage
    assert (used.tokens, used.usd, used.calls > 0) == (0, 0, True)
    assert isinstance(used, Usage)


async def test_equal_requests_get_equal_answers(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("city,price\nBonn,2\nKiel,3\n")
    (tmp_path / "a.md").write_text("The pump is serviced every 6 weeks.\n")
    said: list[tuple[str, str]] = []
    for _ in range(2):
        async with stratagem.open(model="offline", roots=[tmp_path], memory="none", journal="memory") as session:
            for question in ("How often is the pump serviced, and what is the mean price?", "Who is the pump?"):
                answer = await session.run(autonomous_agent, question)
                said.append((answer.text, answer.reason))
    assert said[:2] == said[2:]
    assert said[0][0].count("\n") == 1


async def test_the_text_protocol_comes_to_the_same_answer(tmp_path: Path) -> None:
    (tmp_path / "b.csv").write_text("city,price\nBonn,2\nKiel,3\n")
    options = {"mode": "text"}
    async with stratagem.open(
        model="offline", roots=[tmp_path], memory="none", journal="memory", options=options
    ) as session:
        answer = await session.run(react, "What is the mean price?")
    assert answer.text.endswith("mean of price (2 of 2 rows): 2.5")


async def test_a_strategy_that_only_asks_ends_without_an_answer() -> None:
    async with stratagem.open(model="offline", memory="none", journal="memory") as session:
        answer = await session.run(direct, "What is the capital of France?")
    assert (answer.stop, answer.text) == ("no_answer", "")
    assert answer.reason.startswith("cannot answer: it does not know how to make str from question")


@tool
def broken(path: str) -> str:
    """Describe the columns of a table.

    Args:
        path: the file.
    """
    raise ValueError("no")


async def test_tools_that_fail_lead_to_a_refusal() -> None:
    async with stratagem.open(model="offline", tools=[broken], memory="none", journal="memory") as session:
        answer = await session.run(react, "What is the mean price?")
    assert answer.stop == "no_answer"
