"""A mini API-Bank: an assistant that decides whether to call an API, which one, and what to do with its result."""

import ast
import json
import random
import re
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from stratagem.core import Inquiry, Json, ModelRetry, Observation, Step, Tool, ToolCall, Transcript
from stratagem.tasks._figures import figure
from stratagem.tasks._last import Found, stated
from stratagem.tasks._office import (
    ACCOUNTS,
    APIS,
    CHORES,
    DAYS,
    METRICS,
    ROOMS,
    Call,
    Office,
    Refused,
    after,
    documented,
    normalised,
    performed,
    searched,
)
from stratagem.tasks._suite import Calls, Score, Suite
from stratagem.tasks._words import PEOPLE

_REQUEST = re.compile(r"API-Request:\s*\[\s*(\w+\(.*?\))\s*\]", re.DOTALL)
_RESPONSE = re.compile(r"Response:\s*(.*)", re.DOTALL)
_NAME = re.compile(rf"\b(?:{'|'.join(PEOPLE)})\b")
_HEAD = "You assist the user of office {office}."
_TOLD = {
    1: "These APIs fit:\n{docs}\nCall them, or none.",
    2: "Search for the API that you need, read what it says, and call it.",
    3: "Search for the APIs that you need, and call them one after the other.",
}
_FORM = (
    "A call is written `API-Request: [Name(parameter='value', other=1)]`, one per line; "
    "what you say to the user after the last call is written `Response: ...`."
)


class Kind(NamedTuple):
    """A kind of request: what the user says, from which lists its words are drawn, and what is right to do."""

    level: int
    says: str
    words: dict[str, Sequence[Any]]
    right: Callable[[Office, dict[str, Any]], tuple[list[Call], str]]


def _query(name: str, parameter: str) -> Callable[[Office, dict[str, Any]], tuple[list[Call], str]]:
    def right(office: Office, given: dict[str, Any]) -> tuple[list[Call], str]:
        call = name, {parameter: given[parameter]}
        return [call], str(performed(office, *call))

    return right


def _change(name: str, *parameters: str) -> Callable[[Office, dict[str, Any]], tuple[list[Call], str]]:
    return lambda _, given: ([(name, {key: given[key] for key in parameters})], "")


def _greeted(_: Office, given: dict[str, Any]) -> tuple[list[Call], str]:
    return [], given["name"]


def _texted(_: Office, given: dict[str, Any]) -> tuple[list[Call], str]:
    return [("SendMessage", {"phone": f"555-{given['line']}", "text": given["text"]})], ""


def _free_hour(office: Office, given: dict[str, Any]) -> tuple[list[Call], str]:
    hour = office.FindFreeHour(given["day"])
    meeting = {"title": given["title"], "day": given["day"], "hour": hour}
    reminder = {"text": given["title"], "time": f"{hour}:00"}
    return [("FindFreeHour", {"day": given["day"]}), ("AddMeeting", meeting), ("AddReminder", reminder)], ""


def _same_warmth(office: Office, given: dict[str, Any]) -> tuple[list[Call], str]:
    degrees = office.QueryThermostat(given["other"])
    query: Call = "QueryThermostat", {"room": given["other"]}
    return [query, ("SetThermostat", {"room": given["room"], "degrees": degrees})], ""


def _half(office: Office, given: dict[str, Any]) -> tuple[list[Call], str]:
    balance = office.QueryBalance(given["source"])
    sum_: Call = "Calculate", {"left": balance, "operator": "/", "right": 2}
    move = {"source": given["source"], "target": given["target"], "amount": balance // 2}
    return [("QueryBalance", {"account": given["source"]}), sum_, ("TransferMoney", move)], ""


def _told_number(office: Office, given: dict[str, Any]) -> tuple[list[Call], str]:
    name = _friend(office, given["number"])
    value, phone = office.QueryHealth(given["metric"]), office.LookUpContact(name)
    calls: list[Call] = [("QueryHealth", {"metric": given["metric"]}), ("LookUpContact", {"name": name})]
    return [*calls, ("SendMessage", {"phone": phone, "text": str(value)})], ""


def _friend(office: Office, number: int) -> str:
    return sorted(office.state["phones"])[number % len(office.state["phones"])]


DEGREES, AMOUNTS, TIMES, VALUES = (
    range(16, 25),
    range(10, 100, 10),
    [f"{hour}:30" for hour in range(9, 18)],
    range(40, 120),
)
KINDS: dict[str, Kind] = {
    "greet": Kind(
        1, "I am {name}. Before we begin: what is my name?", {"name": PEOPLE}, _greeted
    ),
    "warm": Kind(
        1, "Set the {room} to {degrees} degrees, please.", {"room": ROOMS, "degrees": DEGREES},
        _change("SetThermostat", "room", "degrees"),
    ),
    "balance": Kind(1, "How much money is in {account}?", {"account": ACCOUNTS}, _query("QueryBalance", "account")),
    "remind": Kind(
        1, "Remind me to {text} at {time}.", {"text": CHORES, "time": TIMES}, _change("AddReminder", "text", "time")
    ),
    "measured": Kind(
        1, "My {metric} is {value} today. Note it.", {"metric": METRICS, "value": VALUES},
        _change("RecordHealth", "metric", "value"),
    ),
    "move": Kind(
        2, "Move {amount} from {source} to {target}.", {"amount": AMOUNTS, "source": ACCOUNTS, "target": ACCOUNTS},
        _change("TransferMoney", "source", "target", "amount"),
    ),
    "health": Kind(2, "What was my last {metric}?", {"metric": METRICS}, _query("QueryHealth", "metric")),
    "degrees": Kind(2, "How warm is the {room} set?", {"room": ROOMS}, _query("QueryThermostat", "room")),
    "book": Kind(
        2, "Put {title} into my calendar, {day} at {hour} in the evening.",
        {"title": ("dinner", "theatre", "yoga"), "day": DAYS, "hour": (17,)}, _change("AddMeeting", "title", "day", "hour"),
    ),
    "text": Kind(
        2, "Send the text {text} to 555-{line}.", {"text": ("hello", "on my way", "see you"), "line": range(1000, 1100)},
        _texted,
    ),
    "meet": Kind(
        3, "I need an hour for {title} on {day}, as early as I am free. Remind me of it when it begins.",
        {"title": ("taxes", "training", "visas"), "day": DAYS}, _free_hour,
    ),
    "match": Kind(3, "Make the {room} as warm as the {other}.", {"room": ROOMS, "other": ROOMS}, _same_warmth),
    "half": Kind(
        3, "Put half of what is in {source} into {target}.", {"source": ACCOUNTS, "target": ACCOUNTS}, _half
    ),
    "tell": Kind(
        3, "Text my last {metric}, only the number, to friend {number} of my address book in the order of the alphabet.",
        {"metric": METRICS, "number": range(1, 6)}, _told_number,
    ),
}  # fmt: skip


class ApiBank(Suite):
    """Level 1: the APIs are given, and none may be needed. Level 2: search and call. Level 3: plan several calls.

    An answer is right if the office is in the state that it should be in, and what the user asked for is in the response.
    Calls count as made in the environment, or where there is none as written in the answer's text. `decisions` reports the
    decisions of the paper one by one.
    """

    name = "api_bank"
    about = "decide on, find and call APIs of a stateful service"
    ids = ("EV04",)
    source = "arXiv:2304.08244"
    output = str
    several = True
    rewards = False
    floor = ("Response: Viktor", 0.01)

    def __init__(self, *, acting: bool = True) -> None:
        self.acting = acting  # whether tasks carry the environment

    def make(self, dice: random.Random, level: int) -> Json:
        """Return an office, and a request that changes it or asks for something in it."""
        while True:
            name = dice.choice([name for name, kind in KINDS.items() if kind.level == level])
            given = {word: dice.choice(list(words)) for word, words in KINDS[name].words.items()}
            problem = {"office": dice.randrange(10_000), "kind": name, "given": given}
            if _sensible(problem):
                return problem

    def render(self, problem: Json) -> str:
        """Return what the user says, with the documentation that the level gives."""
        kind = KINDS[problem["kind"]]
        docs = "\n".join(f"- {documented(name)}" for name in _offered(problem)) if kind.level == 1 else ""
        told = _TOLD[kind.level].format(docs=docs)
        return f"{_HEAD.format(office=problem['office'])} {told}\n{_FORM}\nUser: {kind.says.format(**problem['given'])}"

    def read(self, question: str) -> Json:
        """Return the request."""
        head = re.match(r"You assist the user of office (\d+)\.", question)
        _, user, said = question.partition("\nUser: ")
        if head is not None and user:
            for name, kind in KINDS.items():
                if found := _pattern(name).fullmatch(said):
                    given = {word: type(kind.words[word][0])(text) for word, text in found.groupdict().items()}
                    return {"office": int(head[1]), "kind": name, "given": given}
        raise ValueError(f"no request to an assistant: {question[:80]!r}")

    def solve(self, problem: Json) -> str:
        """Return the calls and the response."""
        return _written(*_right(problem))

    def right(self, problem: Json, value: Any) -> float:
        """Return 1 if the calls lead to the right state and the response says what was asked for."""
        calls, response = value
        return float(
            _says(response, _right(problem)[1])
            and after(problem["office"], calls)
            == _wanted(problem["office"], problem["kind"], *problem["given"].items())
        )

    def decisions(self, problem: Json, value: Any) -> dict[str, bool]:
        """Return the paper's decisions: whether a call is `needed`, which APIs are `chosen`, `called` rightly, `responded`.

        What there is nothing to decide about is left out: what to call where no call is needed, what to respond where nothing was asked.
        """
        calls, response = value
        wanted, says = _right(problem)
        made = [normalised(call) for call in calls]
        found = {"needed": bool(calls) == bool(wanted)}
        if wanted:
            found["chosen"] = {name for name, _ in calls} == {name for name, _ in wanted}
            found["called"] = all(normalised(call) in made for call in wanted)
        if says:
            found["responded"] = _says(response, says)
        return found

    def wrong(self, problem: Json, number: int) -> str:
        """Return the calls with the last one left out or with another argument, or a response that is wrong."""
        calls, says = _right(problem)
        if says:
            return _written(
                calls, f"{says[:-1]}{(int(says[-1]) + 1 + number % 9) % 10}" if says[-1].isdigit() else f"{says[0]}."
            )
        if number % 2 == 0:
            return _written(calls[:-1], "")
        name, arguments = calls[-1]
        key = list(arguments)[-1]
        value: Any = arguments[key]
        slip: Any = f"{value} {number}"
        if isinstance(value, int):
            slip = value + 1 + number // 2
        return _written([*calls[:-1], (name, {**arguments, key: slip})], "")

    def extract(self, text: str) -> Any:
        """Return the calls that a text writes and the response, which is the rest where it is not marked; None: nothing."""
        calls = [call for found in _REQUEST.findall(text) if (call := _parsed(found)) is not None]
        said = _RESPONSE.findall(text)
        response = (said[-1] if said else _REQUEST.sub(" ", text)).strip()
        return (tuple(calls), response) if calls or response else None

    def canonical(self, value: Any) -> Hashable:
        """Return the calls as text, and the response."""
        calls, response = value
        return json.dumps([normalised(call) for call in calls]), response.casefold()

    def score(self, question: str, text: str, calls: Calls = ()) -> Score:
        """Score the calls made in the environment, else those in the text, and the response."""
        made = _made(calls)
        found = self.found(question, text) or (((), "") if made else None)
        if found is None:
            return Score(0.0, parsed=False)
        problem, value = self.read(question), (made or found[0], found[1])
        return Score(self.right(problem, value), parsed=True, parts=self.parts(problem, value))

    def parts(self, problem: Json, value: Any) -> dict[str, float]:
        """Return each decision as a number."""
        return {name: float(good) for name, good in self.decisions(problem, value).items()}

    def environment(self, problem: Json) -> Callable[[], Any] | None:
        """Return the service, if tasks of this suite are to be acted out."""
        return partial(ApiEnvironment, problem["office"]) if self.acting else None

    def rationale(self, problem: Json) -> str:
        """Return how many calls are needed, and of which APIs."""
        calls = _right(problem)[0]
        return f"This needs {', then '.join(name for name, _ in calls)}." if calls else "This needs no call."

    def act(self, problem: Json, inquiry: Inquiry, *, right: bool, dice: Callable[[int], int]) -> Step:
        """Return the next call of somebody who knows the service, or does not."""
        steps = inquiry.given.get("steps")
        turns = [call for turn in steps for call in turn.step.calls] if isinstance(steps, Transcript) else []
        if not self.acting or not right:
            return super().act(problem, inquiry, right=right, dice=dice)
        calls, says = _right(problem)
        if KINDS[problem["kind"]].level > 1 and not turns:
            return Step("Look for an API.", (ToolCall("search_api", {"keywords": calls[0][0]}),))
        made = len(_made([(call.name, call.arguments) for call in turns]))
        if made < len(calls):
            name, arguments = calls[made]
            return Step("Call it.", (ToolCall("call_api", {"name": name, "arguments": json.dumps(arguments)}),))
        return Step("Done.", (), f"Response: {says or 'Done.'}")


class ApiEnvironment:
    """The service behind two tools: one that searches APIs, one that calls them."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._office = Office(number)

    def reset(self) -> Observation:
        """Put the service back to its start."""
        self._office = Office(self._number)
        return Observation("The service is as it was.")

    def search_api(self, keywords: str) -> str:
        """Find APIs by keywords, with their documentation."""
        return "\n".join(map(documented, searched(keywords))) or "No API fits these keywords."

    def call_api(self, name: str, arguments: str) -> str:
        """Call an API; the arguments are a JSON object by name."""
        try:
            given = json.loads(arguments)
        except ValueError:
            raise ModelRetry("the arguments are no JSON object") from None
        if not isinstance(given, dict):
            raise ModelRetry("the arguments are no JSON object")
        try:
            return json.dumps(performed(self._office, name, given))  # pyright: ignore[reportUnknownArgumentType]
        except Refused as why:
            raise ModelRetry(str(why)) from None

    def moves(self) -> tuple[Tool, ...]:
        """Return the two tools."""
        return Tool(self.search_api, effect="self"), Tool(self.call_api, effect="self")


def _right(problem: Json) -> tuple[Sequence[Call], str]:
    return _solved(problem["office"], problem["kind"], *problem["given"].items())


@lru_cache(4096)
def _solved(office: int, kind: str, *given: tuple[str, Any]) -> tuple[Sequence[Call], str]:
    return KINDS[kind].right(Office(office), dict(given))


@lru_cache(4096)
def _wanted(office: int, kind: str, *given: tuple[str, Any]) -> dict[str, Any]:
    """Return the state that an office should be in at the end."""
    return after(office, _solved(office, kind, *given)[0])


def _sensible(problem: Json) -> bool:
    """Return whether a request changes something, or asks for something, and can be done."""
    given: dict[str, Any] = problem["given"]
    pairs = (("source", "target"), ("room", "other"))
    if any(one in given and given.get(one) == given.get(other) for one, other in pairs):
        return False
    calls, says = _right(problem)
    office, before = Office(problem["office"]), Office(problem["office"]).state
    try:
        for name, arguments in calls:
            performed(office, name, arguments)
    except Refused:
        return False
    return bool(says) or office.state != before


def _offered(problem: Json) -> list[str]:
    """Return the APIs whose documentation a request of level 1 shows: the needed ones and three others."""
    needed = [name for name, _ in _right(problem)[0]]
    dice = random.Random(f"offer {problem['office']}")  # noqa: S311
    return sorted({*needed, *dice.sample(list(APIS), 3)})


def _pattern(name: str) -> re.Pattern[str]:
    parts = re.split(r"\{(\w+)\}", KINDS[name].says)
    written = (
        re.escape(part)
        if n % 2 == 0
        else f"(?P<{part}>{'|'.join(re.escape(str(one)) for one in KINDS[name].words[part])})"
        for n, part in enumerate(parts)
    )
    return re.compile("".join(written))


def _written(calls: Sequence[Call], says: str) -> str:
    lines = [
        f"API-Request: [{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})]"
        for name, arguments in calls
    ]
    return "\n".join([*lines, f"Response: {says or 'Done.'}"])


def _parsed(text: str) -> Call | None:
    """Return the call that a text writes as Python does, with literals only; None if it is none."""
    try:
        tree = ast.parse(text, mode="eval").body
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.args:
            return None
        return tree.func.id, {str(one.arg): ast.literal_eval(one.value) for one in tree.keywords}
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None


def _made(calls: Calls) -> tuple[Call, ...]:
    """Return the calls of APIs among the tool calls of a trajectory."""
    made: list[Call] = []
    for name, arguments in calls:
        try:
            given = json.loads(str(arguments.get("arguments"))) if name == "call_api" else None
        except ValueError:
            continue
        if isinstance(given, dict):
            made.append((str(arguments.get("name")), given))  # pyright: ignore[reportUnknownArgumentType]
    return tuple(made)


def _says(response: str, wanted: str) -> bool:
    """Return whether a response states what the user wants to know: a number, or the name of somebody."""
    if not wanted:
        return True
    return stated(response, _figures if wanted.isdigit() else _names) == (float(wanted) if wanted.isdigit() else wanted)


def _figures(text: str) -> list[Found]:
    words = ((*one.span(), figure(one[0])) for one in re.finditer(r"\S*[^\s.,;:!?)*]", text))
    return [Found(start, end, value) for start, end, value in words if value is not None]


def _names(text: str) -> list[Found]:
    return [Found(*one.span(), one[0]) for one in _NAME.finditer(text)]
