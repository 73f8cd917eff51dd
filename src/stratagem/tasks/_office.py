"""A small service with a state: what the APIs of the mini API-Bank read and change.

An office is made from a number, so that a question that names the number says all of it, and an agent that sees only the
number knows nothing.
"""

import inspect
import random
import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from fractions import Fraction
from functools import cache
from typing import Any

from stratagem.core import Json
from stratagem.tasks._words import PEOPLE

DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday")
ROOMS = ("bedroom", "hall", "kitchen", "office", "studio")
ACCOUNTS = ("checking", "holiday", "savings")
METRICS = ("pulse", "steps", "weight")
TITLES = ("budget", "design", "hiring", "planning", "review", "safety")
CHORES = ("call the plumber", "feed the cat", "pay the rent", "return the books", "water the plants")
HOURS = range(9, 18)

Call = tuple[str, Mapping[str, Any]]


class Refused(ValueError):
    """An API refuses a call, with a sentence that says why."""


class Office:
    """The service. Public methods are APIs; their docstrings are their documentation."""

    def __init__(self, number: int) -> None:
        dice = random.Random(f"office {number}")  # noqa: S311
        meetings = {title: [dice.choice(DAYS), dice.choice(HOURS)] for title in dice.sample(TITLES, 3)}
        self.state: dict[str, Any] = {
            "reminders": {chore: f"{dice.choice(HOURS)}:00" for chore in dice.sample(CHORES, 2)},
            "meetings": meetings,
            "rooms": {room: dice.randint(15, 25) for room in ROOMS},
            "accounts": {account: 10 * dice.randint(20, 90) for account in ACCOUNTS},
            "health": {metric: dice.randint(50, 99) for metric in METRICS},
            "phones": {name: f"555-{dice.randint(1000, 9999)}" for name in dice.sample(PEOPLE, 6)},
            "sent": [],
        }

    def AddReminder(self, text: str, time: str) -> str:  # noqa: N802
        """Remind the user of something at a time such as 14:00."""
        self.state["reminders"][text] = time
        return "added"

    def DeleteReminder(self, text: str) -> str:  # noqa: N802
        """Delete the reminder with exactly that text."""
        del self.state["reminders"][_known(self.state["reminders"], text, "reminder")]
        return "deleted"

    def QueryReminders(self) -> dict[str, str]:  # noqa: N802
        """Return all reminders with their times."""
        return dict(self.state["reminders"])

    def AddMeeting(self, title: str, day: str, hour: int) -> str:  # noqa: N802
        """Put a meeting into the calendar: a day of the week, an hour from 9 to 17."""
        if day not in DAYS or hour not in HOURS:
            raise Refused(f"there are no meetings on {day} at {hour}")
        if [day, hour] in self.state["meetings"].values():
            raise Refused(f"{day} at {hour} is taken")
        self.state["meetings"][title] = [day, hour]
        return "added"

    def CancelMeeting(self, title: str) -> str:  # noqa: N802
        """Take a meeting out of the calendar."""
        del self.state["meetings"][_known(self.state["meetings"], title, "meeting")]
        return "cancelled"

    def QueryMeetings(self, day: str) -> dict[str, int]:  # noqa: N802
        """Return the meetings of a day of the week with their hours."""
        return {title: hour for title, (on, hour) in self.state["meetings"].items() if on == day}

    def FindFreeHour(self, day: str) -> int:  # noqa: N802
        """Return the first hour of a day, from 9 on, at which there is no meeting."""
        taken = set(self.QueryMeetings(day).values())
        return next(hour for hour in HOURS if hour not in taken)

    def SetThermostat(self, room: str, degrees: int) -> str:  # noqa: N802
        """Set the temperature of a room in degrees Celsius, from 5 to 30."""
        if not 5 <= degrees <= 30:
            raise Refused(f"{degrees} degrees are not possible")
        self.state["rooms"][_known(self.state["rooms"], room, "room")] = degrees
        return "set"

    def QueryThermostat(self, room: str) -> int:  # noqa: N802
        """Return the temperature that a room is set to, in degrees Celsius."""
        return self.state["rooms"][_known(self.state["rooms"], room, "room")]

    def QueryBalance(self, account: str) -> int:  # noqa: N802
        """Return the balance of a bank account."""
        return self.state["accounts"][_known(self.state["accounts"], account, "account")]

    def TransferMoney(self, source: str, target: str, amount: int) -> str:  # noqa: N802
        """Move an amount of money from one of the user's bank accounts to another."""
        accounts = self.state["accounts"]
        source, target = _known(accounts, source, "account"), _known(accounts, target, "account")
        if not 0 < amount <= accounts[source]:
            raise Refused(f"{source} has {accounts[source]}")
        accounts[source] -= amount
        accounts[target] += amount
        return "transferred"

    def LookUpContact(self, name: str) -> str:  # noqa: N802
        """Return the telephone number of a person in the address book."""
        return self.state["phones"][_known(self.state["phones"], name, "contact")]

    def SendMessage(self, phone: str, text: str) -> str:  # noqa: N802
        """Send a text message to a telephone number."""
        self.state["sent"].append([phone, text])
        return "sent"

    def RecordHealth(self, metric: str, value: int) -> str:  # noqa: N802
        """Record a measurement of the user's body: pulse, steps or weight."""
        self.state["health"][_known(self.state["health"], metric, "measurement")] = value
        return "recorded"

    def QueryHealth(self, metric: str) -> int:  # noqa: N802
        """Return the last measurement of pulse, steps or weight."""
        return self.state["health"][_known(self.state["health"], metric, "measurement")]

    def Calculate(self, left: float, operator: str, right: float) -> float:  # noqa: N802
        """Compute with two numbers; the operator is one of + - * /."""
        a, b = Fraction(str(left)), Fraction(str(right))
        if operator not in ("+", "-", "*", "/") or (operator == "/" and b == 0):
            raise Refused(f"{left} {operator} {right} cannot be computed")
        made = {"+": a + b, "-": a - b, "*": a * b}.get(operator)
        value = a / b if made is None else made
        return int(value) if value.denominator == 1 else float(value)


def _known(table: Mapping[str, Any], name: str, kind: str) -> str:
    if name not in table:
        raise Refused(f"there is no {kind} {name!r}; there are {', '.join(table)}")
    return name


APIS: dict[str, Callable[..., Any]] = {
    name: method for name, method in vars(Office).items() if inspect.isfunction(method) and name[0].isupper()
}


def documented(name: str) -> str:
    """Return one line about an API: its parameters and what it does."""
    parameters = list(inspect.signature(APIS[name]).parameters.values())[1:]
    kinds = ", ".join(f"{one.name}: {one.annotation.__name__}" for one in parameters)
    return f"{name}({kinds}): {inspect.getdoc(APIS[name])}"


def searched(keywords: str) -> list[str]:
    """Return the names of the three APIs whose documentation shares most words with some keywords."""
    wanted = set(_words(keywords))
    scored = {name: len(wanted & set(_words(f"{_spaced(name)} {inspect.getdoc(APIS[name])}"))) for name in APIS}
    return [name for name in sorted(APIS, key=lambda name: (-scored[name], name)) if scored[name]][:3]


def performed(office: Office, name: str, arguments: Mapping[str, Any]) -> Any:
    """Call an API; `Refused` says why it cannot be done."""
    if name not in APIS:
        raise Refused(f"there is no API {name!r}")
    kinds = _kinds(name)
    if set(arguments) != set(kinds):
        raise Refused(f"it is {documented(name)}")
    given = {one: normal(kind, arguments[one]) for one, kind in kinds.items()}
    return APIS[name](office, **given)


@cache
def _kinds(name: str) -> Mapping[str, type]:
    """Return the parameters of an API, with their types."""
    return {one.name: one.annotation for one in list(inspect.signature(APIS[name]).parameters.values())[1:]}


def normal(kind: type, value: Any) -> Any:
    """Return an argument in the one form in which it is compared: whole numbers as such, words without outer space."""
    if kind is str:
        return " ".join(str(value).split())
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise Refused(f"{value!r} is no number") from None
    return int(number) if number.is_integer() else number


def normalised(call: Call) -> Json:
    """Return a call as it is compared; one that no API takes as it is."""
    name, arguments = call
    if name not in APIS:
        return [name, dict(arguments)]
    kinds = _kinds(name)
    try:
        return [name, {key: normal(kinds.get(key, str), value) for key, value in sorted(arguments.items())}]
    except Refused:
        return [name, dict(arguments)]


def after(number: int, calls: Sequence[Call]) -> dict[str, Any]:
    """Return the state of an office after some calls; one that is refused changes nothing."""
    office = Office(number)
    for name, arguments in calls:
        kept = deepcopy(office.state)
        try:
            performed(office, name, arguments)
        except Refused:
            office.state = kept
    return office.state


def _spaced(name: str) -> str:
    return re.sub(r"(?<!^)(?=[A-Z])", " ", name)


_COMMON = frozenset(
    ("a", "an", "and", "at", "in", "is", "it", "of", "on", "or", "the", "to", "with", "user", "such", "as", "from")
)


def _words(text: str) -> list[str]:
    return [word.rstrip("s") for word in re.findall(r"[a-z]+", text.lower()) if word not in _COMMON]
