"""The error tree: what each error keeps, and that it is the same after it was recorded."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem import errors
from stratagem.errors import (
    BudgetExhausted,
    Diverged,
    ModelError,
    NoAnswer,
    RateLimited,
    StratagemError,
    Suspended,
    UnparsedReply,
    UsageError,
    record,
    revive,
)

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, StratagemError)]
TEXT = st.text(max_size=20)
MODELS = [kind for kind in KINDS if issubclass(kind, ModelError) and kind is not UnparsedReply]
PLAIN = [
    kind for kind in KINDS if kind not in (UnparsedReply, BudgetExhausted, Diverged, NoAnswer) and kind not in MODELS
]

ERRORS = st.one_of(
    st.builds(lambda kind, text, remedy: kind(text, remedy=remedy), st.sampled_from(PLAIN), TEXT, st.none() | TEXT),
    st.builds(
        lambda kind, text, **facts: kind(text, **facts), st.sampled_from(MODELS), TEXT, provider=TEXT,
        status=st.none() | st.integers(100, 599), request_id=st.none() | TEXT, attempts=st.integers(1, 9),
        tries=st.lists(TEXT, max_size=3), remedy=st.none() | TEXT,
    ),
    st.builds(
        lambda text, after, attempts: RateLimited(text, retry_after=after, attempts=attempts), TEXT,
        st.none() | st.floats(0, 1e6), st.integers(1, 9),
    ),
    st.builds(UnparsedReply, TEXT, TEXT),
    st.builds(BudgetExhausted, TEXT, st.floats(0, 1e9), TEXT),
    st.builds(Diverged, TEXT, TEXT, TEXT, st.lists(TEXT, max_size=3).map(tuple)),
    st.builds(NoAnswer, TEXT),
)  # fmt: skip


def facts(error: StratagemError) -> dict[str, Any]:
    found = {name: value for name, value in vars(error).items() if name != "complaint"}
    return {"type": type(error), "text": str(error), "remedy": error.remedy, **found}


@given(ERRORS)
def test_an_error_is_the_same_after_it_was_recorded(error: StratagemError) -> None:
    again = revive(json.loads(json.dumps(record(error))))
    kept, expected = facts(again), facts(error)
    for name in ("status", "request_id", "provider"):  # what is empty is as good as not said
        assert (kept.pop(name, None) or None) == (expected.pop(name, None) or None)
    assert kept == expected


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_error_has_a_remedy_that_is_a_sentence(kind: type[StratagemError]) -> None:
    assert kind.remedy.endswith(".")
    assert kind.__doc__


def test_errors_of_your_own_are_recorded_as_the_nearest_of_ours() -> None:
    class Flaky(RateLimited):
        def form(self) -> list[Any]:
            return ["something", "else", {"of": "mine"}]

    again = revive(record(Flaky("slow down", attempts=3)))
    assert (type(again), str(again), again.attempts) == (RateLimited, "slow down", 3)  # pyright: ignore[reportAttributeAccessIssue]

    class Mine(StratagemError):
        def __init__(self, code: int) -> None:
            super().__init__(f"code {code}")

    again = revive(record(Mine(7)))
    assert (type(again), str(again)) == (StratagemError, "code 7")


def test_an_error_of_a_newer_version_is_still_one_of_ours() -> None:
    again = revive(["Unheard", "of", {}])
    assert type(again) is StratagemError
    assert "Unheard" in str(again)


def test_the_tree_is_the_contracts() -> None:
    assert issubclass(UsageError, ValueError)
    assert not issubclass(Suspended, Exception)
    assert {kind.__name__ for kind in KINDS if kind.__bases__ == (StratagemError,)} == {
        "BudgetExhausted", "CapabilityError", "ConcurrentUse", "JournalError", "ModelError", "NoAnswer", "PolicyDenied",
        "SandboxError", "TimedOut", "ToolError",
    }  # fmt: skip
    assert {kind.__name__ for kind in MODELS} == {
        "ModelError", "Unreachable", "RateLimited", "Unavailable", "NoReply", "CutReply", "BadReply", "Rejected",
        "ContextTooLong", "NotAuthorised", "ScriptMiss", "Refused",
    }  # fmt: skip


def test_a_rate_limit_says_after_how_many_seconds_one_may_ask_again() -> None:
    assert RateLimited("slow down").retry_after is None
    told = RateLimited("slow down", retry_after=2.5, status=429)
    assert record(told) == ["RateLimited", "slow down", {"status": 429, "retry_after": 2.5}]
    again = revive(record(told))
    assert isinstance(again, RateLimited)
    assert (again.retry_after, again.status) == (2.5, 429)
    assert record(RateLimited("slow down")) == ["RateLimited", "slow down", {}]


def test_a_failed_trajectory_is_handed_over() -> None:
    assert NoAnswer("gave up", steps="the steps").steps == "the steps"
    assert str(BudgetExhausted("calls", 3, "part")) == "budget exhausted: calls limit of 'part' is 3"


def test_what_a_script_lacks_says_in_every_traceback_what_to_do() -> None:
    import traceback

    shown = traceback.format_exception_only(errors.ScriptMiss("no line is left", remedy="Record it again."))
    assert [line.strip() for line in shown] == ["stratagem.errors.ScriptMiss: no line is left", "Record it again."]
    assert errors.ScriptMiss("no line is left").__notes__ == [errors.ScriptMiss.remedy]
