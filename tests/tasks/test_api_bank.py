"""The mini API-Bank: its service, its three decisions, and who gets how far."""

import inspect
import json
import random
from collections import defaultdict

import pytest

import stratagem
from stratagem.models.simulated import SimulatedModel
from stratagem.strategies import react
from stratagem.tasks._office import (
    ACCOUNTS,
    APIS,
    CHORES,
    DAYS,
    HOURS,
    METRICS,
    ROOMS,
    Office,
    Refused,
    performed,
    searched,
)
from stratagem.tasks._words import PEOPLE
from stratagem.tasks.api_bank import AMOUNTS, DEGREES, KINDS, TIMES, VALUES, ApiBank

BANK = ApiBank()


def test_there_are_at_least_twelve_apis_and_four_kinds_of_request_per_level():
    assert len(APIS) >= 12
    assert all(sum(kind.level == level for kind in KINDS.values()) >= 4 for level in (1, 2, 3))


async def played(skill, level, n=25):
    model = SimulatedModel(f"sim:skill={skill}", BANK.oracle())
    right, decided = 0.0, defaultdict[str, list[bool]](list)
    async with stratagem.open(model=model, journal="memory") as session:
        for item in BANK.items(n, seed="play", level=level):
            answer = await session.run(react.using(max_steps=8), BANK.task(item.question))
            calls = [(call.name, call.arguments) for turn in answer.steps for call in turn.step.calls]
            right += BANK.score(item.question, answer.text, calls).right
            value = BANK.extract(answer.text) or ((), "")
            made = tuple((a["name"], json.loads(a["arguments"])) for name, a in calls if name == "call_api")
            for decision, good in BANK.decisions(BANK.read(item.question), (made or value[0], value[1])).items():
                decided[decision].append(good)
    return right / n, {name: sum(found) / len(found) for name, found in decided.items()}


@pytest.mark.works("EV04")
@pytest.mark.parametrize("level", [1, 2, 3])
async def test_who_knows_gets_everything_right_and_who_does_not_nearly_nothing(level):
    right, decisions = await played(1.0, level)
    assert right == 1
    assert decisions == {"needed": 1, "chosen": 1, "called": 1} | ({"responded": 1} if level < 3 else {})
    guessed, decisions = await played(0.0, level)
    assert guessed <= 0.04
    assert decisions["called"] < 1


@pytest.mark.works("EV04")
@pytest.mark.parametrize("level", [1, 2, 3])
def test_a_random_agent_gets_nearly_nothing_right(level):
    dice = random.Random(5)
    words = {
        "text": [*CHORES, "hello", "see you"], "time": TIMES, "title": ["dinner", "theatre", "yoga", "taxes"], "day": DAYS,
        "hour": HOURS, "room": ROOMS, "degrees": DEGREES, "account": ACCOUNTS, "source": ACCOUNTS, "target": ACCOUNTS,
        "amount": AMOUNTS, "name": PEOPLE, "phone": [f"555-{n}" for n in range(1000, 1100)], "metric": METRICS, "value": VALUES,
        "left": range(100), "right": range(1, 100), "operator": ["+", "-"],
    }  # fmt: skip
    right, decided = 0.0, defaultdict[str, list[float]](list)
    for item in BANK.items(300, seed="random", level=level):
        said: list[str] = []
        for name in dice.choices(list(APIS), k=dice.randrange(3)):
            parameters = list(inspect.signature(APIS[name]).parameters)[1:]
            said.append(
                f"API-Request: [{name}({', '.join(f'{p}={dice.choice(list(words[p]))!r}' for p in parameters)})]"
            )
        score = BANK.score(item.question, "\n".join([*said, f"Response: {dice.choice([*PEOPLE, *range(15, 100)])}"]))
        right += score.right / 300
        for name, good in score.parts.items():
            decided[name].append(good)
    assert set(decided) == {"needed", "chosen", "called"} | ({"responded"} if level < 3 else set())
    shares = {name: sum(found) / len(found) for name, found in decided.items() if name != "needed"}
    assert right <= 0.02
    assert max(shares.values()) <= 0.1, shares


def test_what_there_is_nothing_to_decide_about_is_no_part():
    kinds = {
        BANK.read(one.question)["kind"]: one for level in (1, 2, 3) for one in BANK.items(60, seed="kinds", level=level)
    }
    parts = {kind: tuple(BANK.score(one.question, one.key).parts) for kind, one in kinds.items()}
    assert parts["greet"] == ("needed", "responded")
    assert parts["warm"] == parts["tell"] == ("needed", "chosen", "called")
    assert parts["balance"] == ("needed", "chosen", "called", "responded")


@pytest.mark.works("EV04")
def test_calls_are_compared_by_name_and_normalised_arguments():
    problem = next(BANK.read(i.question) for i in BANK.items(60, level=1) if "degrees, please" in i.question)
    room, degrees = problem["given"]["room"], problem["given"]["degrees"]
    said = f"API-Request: [SetThermostat(degrees='{degrees}.0', room=' {room} ')]\nResponse: done"
    value = BANK.extract(said)
    assert BANK.right(problem, value) == 1
    assert BANK.decisions(problem, value)["called"]
    assert not BANK.decisions(problem, ((("SetThermostat", {"room": room, "degrees": degrees + 1}),), ""))["called"]


@pytest.mark.works("EV04")
def test_what_changes_the_service_is_checked_by_its_state():
    """The same call twice leaves the same state; a call that undoes the right one does not."""
    item = next(i for i in BANK.items(60, level=1) if "degrees, please" in i.question)
    request = item.key.splitlines()[0]
    assert BANK.score(item.question, f"{request}\n{request}").right == 1
    room = BANK.read(item.question)["given"]["room"]
    assert BANK.score(item.question, f"{request}\nAPI-Request: [SetThermostat(room='{room}', degrees=7)]").right == 0


def test_a_call_with_code_in_it_is_no_call():
    assert BANK.extract("API-Request: [SetThermostat(room=open('x').read(), degrees=20)]") is None
    assert BANK.extract("API-Request: [__import__('os').system('x')]") is None
    assert BANK.extract("API-Request: [Calculate(left=[1][0], operator='+', right=1)]\nResponse: 2") == ((), "2")


def test_the_search_finds_apis_by_what_they_do():
    assert "TransferMoney" in searched("move money between accounts")
    assert searched("zzz") == []


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("Fly", {}, "no API 'Fly'"),
        ("SetThermostat", {"room": "attic", "degrees": 20}, "no room 'attic'"),
        ("SetThermostat", {"room": "hall", "degrees": "warm"}, "'warm' is no number"),
        ("SetThermostat", {"room": "hall"}, r"it is SetThermostat\(room: str, degrees: int\)"),
        ("TransferMoney", {"source": "savings", "target": "holiday", "amount": 10**9}, "savings has"),
        ("Calculate", {"left": 1, "operator": "/", "right": 0}, "cannot be computed"),
    ],
)
def test_what_cannot_be_done_is_refused_with_the_reason(name, arguments, said):
    with pytest.raises(Refused, match=said):
        performed(Office(1), name, arguments)
