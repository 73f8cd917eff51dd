"""Opening a session: what is granted, what is refused before anything happens, and the synchronous form."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

import stratagem
from stratagem import session
from stratagem.core import Answer, Budget, MemoryJournal, ReadOnly, Run, Task, encoded, signature, strategy, tool
from stratagem.errors import CapabilityError, UsageError
from stratagem.testing import ScriptedModel

OWN = '''"""A user's own file."""

from stratagem import Answer, Run, Task, signature, strategy, tool


@signature
def ask(question: str) -> str:
    """Ask."""
    ...


@strategy(calls="n", lower="n")
async def solve(run: Run, task: Task, *, n: int = 1) -> Answer:
    """Ask n times."""
    found = ""
    for _ in range(n):
        found = await run.ask(ask, question=task.question)
    return task.answer(found)


@tool
def fetch(what: str) -> str:
    """Fetch."""
    return f"own {what}"


async def plain(run: Run, task: Task) -> Answer:
    return task.answer("x")


nothing = 3
'''


@pytest.fixture
def own(tmp_path: Path) -> Path:
    path = tmp_path / "my file.py"
    path.write_text(OWN)
    return path


@signature
def guess(number: int) -> str:
    """Guess."""
    ...


WORLD: dict[Any, Any] = {guess: lambda number: f"g{number}"}


@strategy(calls="1")
async def one(run: Run, task: Task) -> Answer:
    """Ask once."""
    return task.answer(await run.ask(guess, number=1))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "offlin"}, "there is no model 'offlin'"),
        ({"model": ""}, "there is no model ''"),
        ({"budget": "cals=3"}, "did you mean 'calls'"),
        ({"budget": "calls=-1"}, "write calls=a whole number"),
        ({"budget": 3}, "a budget is a Budget or a text"),
        ({"roots": ["/no/such/folder"]}, "there is no folder '/no/such/folder'"),
        ({"roots": [__file__]}, "is a file: a root is a folder"),
        ({"journal": "redis:x"}, "a journal is 'memory', 'sqlite:PATH' or 'postgresql:"),
        ({"memory": "redis:x"}, "a memory is 'none' or 'sqlite:PATH'"),
        ({"policy": "always"}, "a policy begins with 'ask' or 'never'"),
        ({"repairs": -1}, "repairs must be a whole number"),
        ({"repairs": True}, "repairs must be a whole number"),
        ({"repairs": "2"}, "repairs must be a whole number"),
        ({"seed": "x"}, "seed must be a whole number"),
        ({"seed": True}, "seed must be a whole number"),
        ({"options": {"heat": 1}}, "no such option: heat"),
        ({"options": {"temperature": float("nan")}}, r"temperature must be a number in \[0, 2\], got nan"),
        ({"options": {"temperature": "hot"}}, "temperature must be"),
        ({"options": {"temperature": -1}}, "temperature must be"),
        ({"options": {"max_tokens": 0}}, "max_tokens must be"),
        ({"options": {"max_tokens": 1e9}}, "max_tokens must be"),
        ({"options": {"timeout_s": float("inf")}}, "timeout_s must be"),
        ({"options": {"stop": 3}}, "stop must be"),
        ({"options": {"mode": "loud"}}, "mode must be 'native' or 'text'"),
        ({"options": {"stop": {"a"}}}, "stop must be"),
        ({"tools": ["calculatr"]}, "there is no tool 'calculatr'; did you mean 'calculate'"),
        ({"tools": [len]}, "len is no tool: write `@tool"),
        ({"tools": [3]}, "3 is no tool"),
        ({"tools": ["no.py:fetch"]}, "there is no file"),
    ],
)
async def test_what_makes_no_sense_is_refused_when_the_session_opens(settings: Any, message: str) -> None:
    usual = {"model": ScriptedModel(WORLD), "journal": "memory", "memory": "none"}
    with pytest.raises(UsageError, match=message):
        async with session.open(**{**usual, **settings}):
            pass


async def test_a_model_that_this_installation_cannot_open_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stratagem.models._installed", lambda: False)
    with pytest.raises(CapabilityError, match="need the package aiohttp"):
        async with session.open(model="vllm:m", journal="memory", memory="none"):
            pass


async def test_nothing_is_granted_that_was_not_given(opened: Any, tmp_path: Path) -> None:
    names: list[list[str]] = []

    @strategy(calls="0")
    async def listing(run: Run, task: Task) -> Answer:
        names.append([tool.name for tool in run.tools])
        return task.answer("x")

    async with opened(WORLD) as s:
        await s.run(listing, "?")
    async with opened(WORLD, roots=[tmp_path]) as s:
        await s.run(listing, "?")
        assert all(tool.effect == "read" for tool in s._services.tools)
    assert names[0] == []
    assert "read_file" in names[1]


async def test_tools_may_be_objects_files_and_names(opened: Any, own: Path) -> None:
    @tool
    def mine() -> str:
        """Be mine."""
        return "mine"

    async with opened(WORLD, tools=(mine, f"{own}:fetch", "calculate")) as s:
        assert [tool.name for tool in s._services.tools] == ["calculate", "fetch", "mine"]
        assert s._services.tools.get("fetch").spec == f"{own}:fetch"


async def test_strategies_of_a_users_own_file_work_without_packaging(opened: Any, own: Path) -> None:
    async with opened(_any_reply()) as s:
        answer = await s.run(f"{own}:solve(n=2)", "?")
        assert (answer.text, answer.usage.calls) == ("said", 2)
        record = await s.show(answer.run_id)
        assert record.strategy == f"{own}:solve(n=2)"
        await s.resume(answer.run_id)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nobody", "there is no 'nobody' in .*; there are"),
        ("plain", "is not made by @strategy"),
        ("nothing", "is not made by @strategy"),
        ("fetch", "is not made by @strategy"),
        ("solve(m=1)", "no parameter 'm'"),
        ("solve(n=__import__('os'))", "write names and literals"),
        ("solve(n=1); import os", "invalid syntax"),
    ],
)
async def test_a_file_that_has_no_such_strategy_says_so(opened: Any, own: Path, name: str, message: str) -> None:
    async with opened(WORLD) as s:
        with pytest.raises(UsageError, match=message):
            await s.run(f"{own}:{name}", "?")


@pytest.mark.parametrize("text", ["1 / 0", "import no_such_module", "def (", "raise SystemExit(3)", "\x00"])
async def test_a_file_that_cannot_be_imported_says_so(opened: Any, tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.py"
    path.write_text(text)
    async with opened(WORLD) as s:
        for _ in range(2):  # and it is not remembered as loaded
            with pytest.raises(UsageError, match=r"bad.py' cannot be imported"):
                await s.run(f"{path}:solve", "?")


async def test_a_file_that_was_changed_is_loaded_anew(opened: Any, own: Path) -> None:
    async with opened(_any_reply()) as s:
        assert (await s.run(f"{own}:solve", "?")).usage.calls == 1
        own.write_text(OWN.replace("n: int = 1", "n: int = 3"))  # noqa: ASYNC240  (nobody waits)
        assert (await s.run(f"{own}:solve", "?")).usage.calls == 3


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("nobody", "there is no strategy or judge 'nobody'"),
        ("dirct", "did you mean 'direct'"),
        ("self_check", "names no strategy"),
        ("", "spec ''"),
        (3, "a strategy is made by @strategy"),
        (len, "a strategy is made by @strategy, or named by its spec, got len"),
    ],
)
async def test_what_is_no_strategy_is_refused(opened: Any, strategy: Any, message: str) -> None:
    async with opened(WORLD) as s:
        with pytest.raises(UsageError, match=message):
            await s.run(strategy, "?")
        assert await s.runs() == []


@pytest.mark.parametrize("task", ["", "  \n\t", Task(""), 3, None, ["?"]])
async def test_what_is_no_task_is_refused(opened: Any, task: Any) -> None:
    async with opened(WORLD) as s:
        with pytest.raises(UsageError, match=r"question is empty|a task is a Task or a question"):
            await s.run(one, task)
        assert await s.runs() == []


async def test_a_task_may_be_in_any_language_and_a_megabyte_long(opened: Any, tmp_path: Path) -> None:
    texts = ["Was ist das?", "これは何ですか", "ما هذا؟", "🧪" * 1000, "a\x00b", "lone \ud800 half", "x" * 1_000_000]
    async with opened(_any_reply(), journal=f"sqlite:{tmp_path / 'j.sqlite'}") as s:
        for number, text in enumerate(texts):
            answer = await s.run("direct", text, run_id=f"r{number}")
            assert answer.stop == "answered"
            record = await s.show(f"r{number}")
            assert record.question == text.replace("\ud800", "\ufffd")
            assert (await s.resume(f"r{number}")).text == "said"


def _any_reply() -> ScriptedModel:
    class Anything(ScriptedModel):
        def _value(self, request: Any) -> Any:
            return "said"

    return Anything({})


async def test_an_unset_temperature_is_zero(opened: Any) -> None:
    async with opened(WORLD) as s:
        await s.run(one, "?")
        assert dict(s._services.model.requests[0].options) == {"temperature": 0.0}
    async with opened(WORLD, options={"temperature": 1, "top_p": 0.5}) as s:
        await s.run(one, "?")
        assert dict(s._services.model.requests[0].options) == {"temperature": 1.0, "top_p": 0.5}


async def test_what_a_model_does_not_honour_is_left_off_or_refused(opened: Any, counting: Any) -> None:
    class Simple(counting):  # type: ignore[misc]
        def refuses(self, request: Any) -> frozenset[str]:
            return frozenset(request.options) & {"temperature", "logprobs"}

    async with opened(Simple(WORLD)) as s:
        answer = await s.run(one, "?")
        assert answer.stop == "answered"
        assert b'"dropped":["temperature"]' in (await s.show(answer.run_id)).rows[0].request
    async with opened(Simple(WORLD), strict=True) as s:
        with pytest.raises(CapabilityError, match="does not honour temperature"):
            await s.run(one, "?")
    async with opened(Simple(WORLD), options={"logprobs": True}) as s:
        with pytest.raises(CapabilityError, match="does not honour logprobs"):
            await s.run(one, "?")
        assert not s._services.model.requests


def test_the_synchronous_form_runs_a_strategy_to_its_end(tmp_path: Path) -> None:
    answer = stratagem.run(one, "?", model=ScriptedModel(WORLD), home=tmp_path, budget=Budget(calls=3))
    assert (answer.text, answer.stop, answer.usage.calls) == ("g1", "answered", 1)
    assert (tmp_path / "journal.sqlite").exists()
    with pytest.raises(UsageError, match="there is no folder"):
        stratagem.run(one, "?", roots=["/no/such"])


async def test_inside_a_loop_the_synchronous_form_names_the_other() -> None:
    with pytest.raises(UsageError, match=r"await session.run\(...\)"):
        stratagem.run(one, "?", model=ScriptedModel(WORLD))


async def test_the_home_is_made_for_the_user_alone(tmp_path: Path) -> None:
    home = tmp_path / "deep" / "home"
    async with session.open(model=ScriptedModel(WORLD), home=home) as s:
        await s.run(one, "?")
    assert home.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in home.iterdir()} == {0o600}


async def test_a_session_that_does_nothing_writes_nothing(tmp_path: Path) -> None:
    async with session.open(model=ScriptedModel(WORLD), home=tmp_path / "home"):
        pass
    assert not (tmp_path / "home").exists()


async def test_a_closed_session_is_closed(opened: Any) -> None:
    async with opened(WORLD) as s:
        pass
    await s.aclose()
    with pytest.raises(UsageError, match="the session is closed"):
        await s.run(one, "?")


async def test_a_model_and_a_journal_may_be_objects(counting: Any) -> None:
    journal, model = MemoryJournal(), counting(WORLD)
    async with session.open(model=model, journal=journal, memory="none", policy=ReadOnly(["x"])) as s:
        answer = await s.run(one, "?")
        assert len(journal.rows(answer.run_id)) == 1
        assert (await s.show(answer.run_id)).record["policy"] == "ask,x"


def test_importing_the_package_costs_no_session() -> None:
    import subprocess

    code = "import sys, stratagem; stratagem.open; print('stratagem.journals.sqlite' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


async def test_runs_of_one_session_may_go_on_at_once(opened: Any) -> None:
    async with opened(WORLD) as s:
        answers = await asyncio.gather(*(s.run(one, str(number)) for number in range(20)))
        assert len({answer.run_id for answer in answers}) == 20
        assert s.live == ()


async def test_a_runs_record_is_canonical_whatever_its_parts_are() -> None:
    @strategy(calls="0")
    async def one(run: Run, task: Task) -> Answer:
        """Answer."""
        return task.answer("1")

    @strategy(calls="0")
    async def two(run: Run, task: Task, *, n: int = 1) -> Answer:
        """Answer."""
        return task.answer("2")

    journal = MemoryJournal()
    async with session.open(
        model=ScriptedModel({}), journal=journal, memory="none", options={"persona": 'a "é"'}
    ) as opened:
        ids = [
            (await opened.run(made, Task(question, output=kind), budget=budget)).run_id
            for made in (one, two.using(n=2), one)
            for question, kind in (('a "quoted"\n question', str), ("ünï", int))
            for budget in (None, "calls=3,usd=0.5")
        ]
        records = {name: (await opened.show(name)).record for name in ids}
    for name, record in records.items():
        assert journal._runs[name].record == encoded(record)
    told = [
        ((r["strategy"] or r["shown"]).rpartition(":")[2], r["task"]["question"], r["task"].get("output"), r["budget"])
        for r in records.values()
    ]
    assert told == [
        (shown, question, kind, budget)
        for shown in ("one", "two(n=2)", "one")
        for question, kind in (('a "quoted"\n question', None), ("ünï", "int"))
        for budget in ("", "calls=3,usd=0.5")
    ]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"limits": {"opnai": {"rpm": 5}}}, "limits: there is no provider 'opnai'; did you mean 'openai'"),
        (
            {"prices": {"opnai:m": {"input_per_mtok": 1, "output_per_mtok": 1}}},
            "prices of 'opnai:m': there is no provider 'opnai'; did you mean 'openai'",
        ),
    ],
)
async def test_prices_and_limits_of_a_provider_that_there_is_not_are_refused(given: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        async with stratagem.open(journal="memory", memory="none", **given):
            pass


def test_a_lambda_in_the_place_of_a_strategy_is_told_what_makes_one() -> None:
    with pytest.raises(UsageError, match=r"made by @strategy, .* got a lambda") as refused:
        stratagem.run(lambda run, task: task.answer(""), "?")
    assert refused.value.remedy == "Write `@strategy(calls=...)` above a function of run and task, and give that."
