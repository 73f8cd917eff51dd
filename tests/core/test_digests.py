"""Places and digests: what a recorded call is found by. Golden files freeze both."""

import base64
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import (
    Attachment,
    Content,
    Marked,
    Observation,
    Row,
    Run,
    Sample,
    Step,
    Task,
    ToolCall,
    Tools,
    Transcript,
    signature,
    tool,
)
from stratagem.errors import Diverged, UnparsedReply, UsageError
from stratagem.testing import Raw, scripted, tape_of

GOLDEN = Path(__file__).parent / "golden"
WRITE = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode


@dataclass(frozen=True)
class Solved:
    thinking: str
    answer: Annotated[int, Marked("The answer is", end=".")]


@signature
def guess(question: str, notes: tuple[str, ...] = ()) -> str:
    """Guess."""
    ...


@signature
def solve(question: str) -> Solved:
    """Q: {question}
    A:"""
    ...


@signature(format="json", examples=("[1]",), stop=("\n\n",))
def grade(question: str) -> tuple[int, ...]:
    """Grade."""
    ...


@signature
def act(question: str, steps: Transcript, tools: Tools) -> Step:
    """Act."""
    ...


@signature
def reflect(question: str, steps: Transcript) -> str:
    """Reflect."""
    ...


@tool
def look(where: str, deep: bool = False) -> str:
    """Look somewhere.

    Args:
        where: the place.
    """
    return f"seen {where}"


LONG = "a long question that is referred to when it is asked again, and not stored a second time"
WORLD: dict[Any, Any] = {
    guess: lambda question, notes: f"g {question}",
    solve: lambda question: Solved("Because.", 7),
    grade: lambda question: (1, 2),
    act: lambda question, steps: Step("Hm.", (ToolCall("look", {"where": str(len(steps))}),)),
    reflect: lambda question, steps: "I looked.",
}


async def everything(run: Run) -> None:
    """Ask in all ways that the format knows."""
    await run.ask(guess, question="?", notes=())
    await run.ask(guess, question=LONG, notes=("é", "e\u0301"))
    await run.using(temperature=0.5, stop=("x",), persona="You are terse.").ask(guess, question=LONG, notes=())
    await run.sample(solve, 2, question="1 + 6?")
    await run.ask(grade, question=LONG)
    steps = Transcript()
    for _ in range(2):
        step = await run.ask(act, question=LONG, steps=steps, tools=run.tools)
        steps = steps.then(step, *[await run.call(call) for call in step.calls])
    side = steps.then(Step("by hand", (ToolCall("look", {"where": "x", "deep": True}),)), Observation("by hand", True))
    await run.using(mode="text").ask(act, question=LONG, steps=side, tools=run.tools)
    await run.ask(act, question=LONG, steps=steps.then(Step(answer="other")), tools=run.tools)
    await run.ask(reflect, question=LONG, steps=steps)


# Paths


async def test_the_paths_are_those_that_were_frozen() -> None:
    async def leaf(run: Run, item: Any) -> None:
        await run.ask(guess, question=str(item))
        async with run.scope("draft") as part:
            await part.ask(guess, question="d")

    run = scripted(WORLD)
    await run.ask(guess, question="root")
    for _ in range(2):
        await run.map(leaf, range(2))
    await run.map(leaf, ["a b", "é", "x#2"], key=str)
    async with run.pool(leaf) as pool:
        pool.start(0)
        pool.start(1)
        assert [item async for item, _ in pool] == [0, 1]
    for name in ("draft", "draft", "map"):
        async with run.scope(name) as part:
            await part.map(leaf, [0])
    await run.map(leaf, [0])
    paths = list(dict.fromkeys(asked.path for asked in run.ledger))
    assert paths == (GOLDEN / "paths.txt").read_text("utf-8").splitlines()


@pytest.mark.parametrize("name", ["", "a/b", "a[0]", "]", "a#2", "#"])
async def test_a_scope_name_that_could_be_another_path_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="scope's name"):
        async with scripted(WORLD).scope(name):
            pass


@pytest.mark.parametrize("key", ["", "a/b", "a[0]"])
async def test_a_key_that_could_be_another_path_is_refused(key: str) -> None:
    async def leaf(run: Run, item: str) -> None: ...

    with pytest.raises(UsageError, match="key"):
        await scripted(WORLD).map(leaf, [key], key=str)


# Digests


async def test_the_digests_are_those_that_were_frozen() -> None:
    run = scripted(WORLD, tools=(look,))
    await everything(run)
    found = [f"{asked.signature.name} {asked.request.digest.hex()}" for asked in run.ledger]
    found += [f"{row.kind} {row.digest.hex()}" for row in tape_of(run).rows if row.kind != "model"]
    assert found == (GOLDEN / "digests.txt").read_text("utf-8").splitlines()


async def test_what_the_journal_keeps_of_a_request_is_what_was_frozen() -> None:
    run = scripted(WORLD, tools=(look,))
    await everything(run)
    found = [row.request + b" -> " + row.result for row in tape_of(run).rows]
    assert found == (GOLDEN / "rows.txt").read_bytes().split(b"\n")[:-1]


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


class Rebuilt:
    """Works the digests of model calls out from the rows alone, from the beginning each time, by another encoder."""

    def __init__(self, rows: list[Row]) -> None:
        self.rows = {row.seq: row for row in rows}
        self.forms = {row.seq: json.loads(row.request) for row in rows}

    def digest(self, seq: int) -> bytes:
        form = self.forms[seq]
        head = sha(b"h", WRITE({**self.head(seq), "signature": ""}).encode())
        steps = sha(b"t")
        if "steps" in form:
            for turn in self.turns(seq):
                steps = sha(b"c", steps, sha(b"u", WRITE(turn).encode()))
        extra = bytes(32)
        if "repair" in form or "attached" in form:
            blobs = [[name, kind, len(data), sha(b"b", data).hex()] for name, kind, data in self.attached(seq)]
            extra = sha(b"x", WRITE([blobs, form.get("repair", [])]).encode())
        return sha(b"q", head, steps, extra, self.message(seq).encode())

    def head(self, seq: int) -> Any:
        head = self.forms[seq]["head"]
        return self.head(head) if isinstance(head, int) else head

    def message(self, seq: int) -> str:
        message = self.forms[seq]["message"]
        return self.message(message) if isinstance(message, int) else message

    def attached(self, seq: int) -> list[tuple[str, str, bytes]]:
        found: list[tuple[str, str, bytes]] = []
        for name, kind, said in self.forms[seq].get("attached", ()):
            whole = said if isinstance(said, str) else self.forms[said[0]]["attached"][said[1]][2]
            found.append((name, kind, base64.b64decode(whole)))
        return found

    def turns(self, seq: int) -> list[Any]:
        earlier, length, *new = self.forms[seq]["steps"]
        turns = self.turns(earlier)[:length] if length else []
        return turns + [[self.step(step), [self.seen(one) for one in seen]] for step, seen in new]

    def step(self, said: Any) -> Any:
        if not isinstance(said, int):
            return said
        native = self.head(said)["native"]
        return act.parse(Sample.of(json.loads(self.rows[said].result)), native=native).plain()

    def seen(self, said: Any) -> Any:
        if not isinstance(said, int):
            return said
        form = json.loads(self.rows[said].result)
        return [form["text"], form.get("failed", False)]


def assert_rebuilt(rows: list[Row]) -> int:
    rebuilt = Rebuilt(rows)
    models = [row for row in rows if row.kind == "model"]
    for row in models:
        assert rebuilt.digest(row.seq) == row.digest, row
    return len(models)


async def test_every_digest_can_be_rebuilt_from_the_rows_alone() -> None:
    run = scripted(WORLD, tools=(look,))
    await everything(run)
    assert assert_rebuilt(tape_of(run).rows) == 11


async def test_rows_refer_to_what_earlier_rows_have() -> None:
    run = scripted(WORLD, tools=(look,))
    await everything(run)
    forms = [json.loads(row.request) for row in tape_of(run).rows if row.kind == "model"]
    messages = [form["message"] for form in forms if isinstance(form["message"], str) and LONG in form["message"]]
    assert len(messages) == len(set(messages)) == 6
    assert sum(isinstance(form["head"], dict) for form in forms) == 7
    assert [form["steps"] for form in forms if "steps" in form][1] == [-1, 0, [6, [7]]]


IMAGE = Attachment("a.png", "image/png", bytes(range(256)) * 20)


def with_images(text: str, *attachments: Attachment) -> Content:
    return Content(text, attachments)


async def look_at_images(run: Run) -> None:
    """Ask about attachments: the same again, under another name, several, in a sample, in a conversation, repaired."""
    same, small = Attachment("b.png", "image/png", IMAGE.data), Attachment("é", "text/plain", b"")
    for question in (with_images("?", IMAGE), with_images("?", small, same, IMAGE), with_images(LONG, IMAGE)):
        await run.ask(guess, question=question, notes=())
    await run.sample(solve, 2, question=with_images("1 + 6?", small))
    steps = Transcript()
    for _ in range(2):
        step = await run.ask(act, question=with_images("?", IMAGE), steps=steps, tools=run.tools)
        steps = steps.then(step, *[await run.call(call) for call in step.calls])
    with pytest.raises(UnparsedReply):
        await run.ask(grade, question=with_images("?", IMAGE))


async def test_what_is_attached_can_be_rebuilt_and_is_stored_once() -> None:
    for native in (True, False):
        run = scripted({**WORLD, grade: lambda question: Raw("none")}, tools=(look,), repairs=1, native=native)
        await look_at_images(run)
        rows = tape_of(run).rows
        assert assert_rebuilt(rows) == 9
        whole = base64.b64encode(IMAGE.data)
        assert sum(row.request.count(whole) for row in rows) == 1
        forms = [json.loads(row.request) for row in rows if b'"attached"' in row.request]
        assert [[said if isinstance(said, list) else len(said) for *_, said in form["attached"]] for form in forms] == [
            [len(whole)], [0, [0, 0], [0, 0]], [[0, 0]], [[1, 0]], [[1, 0]], [[0, 0]], [[0, 0]], [[0, 0]], [[0, 0]],
        ]  # fmt: skip


async def test_a_resumed_run_stores_what_is_attached_where_its_own_rows_need_it() -> None:
    run = scripted({**WORLD, grade: lambda question: Raw("none")}, tools=(look,))
    await look_at_images(run)
    whole = tape_of(run).rows
    for done in range(len(whole)):
        again = scripted({**WORLD, grade: lambda question: Raw("none")}, tools=(look,), tape=tape_of(run).upto(done))
        await look_at_images(again)
        assert [row.digest for row in tape_of(again).rows] == [row.digest for row in whole]
        assert_rebuilt(tape_of(again).rows)


async def test_a_replay_that_is_shown_something_else_says_what_differs() -> None:
    run = scripted(WORLD)
    for text in ("?", LONG):
        await run.ask(guess, question=with_images(text, IMAGE))
    again = scripted(WORLD, tape=tape_of(run), replaying=True)
    await again.ask(guess, question=with_images("?", IMAGE))
    with pytest.raises(Diverged) as caught:
        await again.ask(guess, question=with_images(LONG, Attachment("a.png", "image/png", b"other")))
    assert caught.value.differs == ("attached",)
    assert len(str(caught.value)) < 2000  # the bytes themselves are not shown
    again = scripted(WORLD, tape=tape_of(run), replaying=True)
    await again.ask(guess, question=with_images("?", IMAGE))
    with pytest.raises(Diverged) as caught:
        await again.ask(guess, question=with_images(f"{LONG}!", IMAGE))
    assert caught.value.differs == ("message",)


async def test_a_nested_program_with_repairs_and_branches_can_be_rebuilt() -> None:
    bad: dict[Any, Any] = {**WORLD, solve: lambda question: Raw("I cannot say")}

    async def branch(run: Run, number: int) -> None:
        steps = other = Transcript()
        step = Step()
        for turn in range(3):
            step = await run.ask(act, question=f"{LONG} {number % 2}", steps=steps, tools=run.tools)
            steps = steps.then(step, *[await run.call(call) for call in step.calls])
            if turn == 1:
                other = steps
        await run.ask(act, question=LONG, steps=other.then(Step("again", step.calls)), tools=run.tools)
        await run.ask(act, question=LONG, steps=Transcript(), tools=run.tools)

    for native in (True, False):
        run = scripted(bad, tools=(look,), repairs=2, native=native)
        await run.map(branch, range(4), width=3)
        for _ in range(2):
            with pytest.raises(Exception, match="does not fit"):
                await run.ask(solve, question=LONG)
        assert assert_rebuilt(tape_of(run).rows) == 4 * 5 + 2 * 3


async def test_a_resumed_run_refers_only_to_rows_of_its_own() -> None:
    run = scripted(WORLD, tools=(look,))
    await everything(run)
    whole = tape_of(run).rows
    for done in range(len(whole)):
        again = scripted(WORLD, tools=(look,), tape=tape_of(run).upto(done))
        await everything(again)
        assert [row.digest for row in tape_of(again).rows] == [row.digest for row in whole]
        assert_rebuilt(tape_of(again).rows)


@given(st.lists(st.tuples(st.integers(0, 20), st.booleans(), st.sampled_from("abc")), min_size=1, max_size=12))
async def test_any_tree_of_conversations_can_be_rebuilt(plan: list[tuple[int, bool, str]]) -> None:
    run = scripted(WORLD, tools=(look,))
    views = [Transcript()]
    for parent, asked, word in plan:
        steps = views[parent % len(views)]
        if asked:
            step = await run.ask(act, question=word, steps=steps, tools=run.tools)
            views.append(steps.then(step, *[await run.call(call) for call in step.calls]))
        else:
            views.append(steps.then(Step(word), Observation(word)))
    for view in views:
        await run.ask(act, question="end", steps=view, tools=run.tools)
    assert_rebuilt(tape_of(run).rows)


# What a digest distinguishes


async def test_equal_requests_have_one_digest_whatever_was_asked_before() -> None:
    first, second = scripted(WORLD), scripted(WORLD)
    await first.using(temperature=1).ask(guess, question="a")
    await first.using(temperature=1.0).ask(guess, question="b")
    await second.using(temperature=1.0).ask(guess, question="b")
    assert first.ledger[1].request.digest == second.ledger[0].request.digest


async def test_a_signature_of_another_name_with_equal_words_has_the_same_digest() -> None:
    def guess(question: str, notes: tuple[str, ...] = ()) -> str:
        """Guess."""
        ...

    other = signature(guess)
    other.name = "elsewhere.guess"
    run = scripted({**WORLD, other: lambda question, notes: "o"})
    await run.ask(globals()["guess"], question="a")
    await run.ask(other, question="a")
    assert run.ledger[0].request.digest == run.ledger[1].request.digest
    assert [asked.request.occurrence for asked in run.ledger] == [0, 1]


async def test_attachments_are_part_of_the_digest() -> None:
    def asked(data: bytes, name: str = "a.png") -> Content:
        return Content("?", (Attachment(name, "image/png", data),))

    run = scripted(WORLD)
    for question in ("?", Content("?"), asked(b"1"), asked(b"1"), asked(b"2"), asked(b"1", "b.png")):
        await run.ask(guess, question=question)
    digests = [one.request.digest for one in run.ledger]
    assert digests[0] == digests[1]
    assert digests[2] == digests[3]
    assert len(set(digests)) == 4


async def test_each_of_these_is_another_request() -> None:
    run = scripted(WORLD, tools=(look,))
    options: list[dict[str, Any]] = [
        {}, {"temperature": 0.0}, {"temperature": 1.0}, {"top_p": 0.5}, {"max_tokens": 5}, {"stop": ("a",)}, {"seed": 1},
        {"effort": "high"}, {"logprobs": True}, {"persona": "p"},
    ]  # fmt: skip
    for one in options:
        await run.using(**one).ask(guess, question="?")
    for words in ("é", "e\u0301", " ?"):
        await run.ask(guess, question=words)
    for mode in ("native", "text"):
        await run.using(mode=mode).ask(act, question="?", steps=Transcript(), tools=run.tools)
    await run.ask(act, question="?", steps=Transcript(), tools=Tools())
    await run.ask(act, question="?", steps=Transcript().then(Step("x")), tools=Tools())
    digests = [one.request.digest for one in run.ledger]
    assert len(set(digests)) == len(digests) == len(options) + 7


async def test_a_lone_surrogate_in_an_input_is_replaced_and_not_refused() -> None:
    run = scripted(WORLD)
    await run.ask(guess, question="a\ud800b", notes=())
    assert "a\ufffdb" in run.ledger[0].text
    assert "a\ufffdb".encode() in tape_of(run).rows[0].request
    task = Task("a\ud800b")
    assert task.question == "a\ud800b"
