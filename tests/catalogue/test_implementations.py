import json
from collections.abc import Callable
from typing import Annotated, Any, Literal

import pytest

from stratagem.catalogue import find, implementations
from stratagem.catalogue._implementations import parameter
from stratagem.core import Count, Judge, Operation, Positive, Share, Strategy, Temperature, Within
from stratagem.errors import UsageError
from stratagem.strategies import react, self_consistency


def setting(**given: Any) -> dict[str, Any]:
    return {"min": None, "max": None, "choices": None, **given}


def by_length(text: str) -> int:
    return len(text)


@pytest.mark.parametrize(
    ("hint", "default", "expected"),
    [
        (Positive, 10, setting(type="int", default=10, min=1)),
        (Count, 0, setting(type="int", default=0, min=0)),
        (Share, 0.5, setting(type="float", default=0.5, min=0, max=1)),
        (Temperature, 1.0, setting(type="float", default=1.0, min=0, max=2)),
        (bool, True, setting(type="bool", default=True)),
        (str, "a", setting(type="str", default="a")),
        (Literal["a", "b"], "a", setting(type="str", default="a", choices=["a", "b"])),
        (Literal[1, 2], 2, setting(type="int", default=2, choices=[1, 2])),
        (Positive | None, None, setting(type="int | None", default=None, min=1)),
        (Annotated[float, Within(-1, 1)], 0.0, setting(type="float", default=0.0, min=-1, max=1)),
        (Strategy, react, setting(type="strategy", default="react")),
        (Strategy, react.using(max_steps=3), setting(type="strategy", default="react(max_steps=3)")),
        (Strategy | None, None, setting(type="strategy | None", default=None)),
        (Judge, react, setting(type="judge", default="react")),
        (Operation[str], None, setting(type="operation", default=None)),
        (tuple[Strategy, ...], (react, react), setting(type="tuple[strategy, ...]", default=["react", "react"])),
        (Callable[[str], int], by_length, setting(type="function", default=f"{__name__}:by_length")),
    ],
)
def test_a_setting_is_described_as_data(hint: Any, default: Any, expected: dict[str, Any]) -> None:
    found = parameter(hint, default)
    assert found == expected
    assert json.loads(json.dumps(found)) == found


def test_a_strategy_is_listed_with_all_that_its_card_says() -> None:
    made = next(one for one in implementations() if one["name"] == "self_consistency")
    card = self_consistency.card
    assert made["kind"] == "strategy"
    assert made["ids"] == ["RE07"]
    assert made["family"] == "sampling"
    assert made["paper"] == "arXiv:2203.11171"
    assert made["module"] == "stratagem.strategies.sampling.self_consistency"
    assert list(made["parameters"]) == list(card.defaults)
    assert made["parameters"]["n"] == setting(type="int", default=10, min=1)
    assert (made["calls"], made["lower"]) == (card.calls, card.lower)
    assert made["needs"] == []
    assert len(made["deviations"]) >= 1


def test_judges_and_features_are_listed_after_the_strategies() -> None:
    kinds = [one["kind"] for one in implementations()]
    assert kinds == sorted(kinds, key=["strategy", "judge"].index if set(kinds) <= {"strategy", "judge"} else _rank)
    feature = next(one for one in implementations() if one["ids"] == ["IN04"])
    assert (feature["kind"], feature["family"], feature["parameters"]) == ("feature", "core", {})


def _rank(kind: str) -> int:
    return {"strategy": 0, "judge": 1}.get(kind, 2)


def test_the_list_is_json_with_the_keys_of_the_contract() -> None:
    listed = implementations()
    assert json.loads(json.dumps(listed)) == listed
    keys = {
        "name",
        "kind",
        "ids",
        "family",
        "paper",
        "module",
        "parameters",
        "calls",
        "lower",
        "needs",
        "deviations",
        "tests",
    }
    assert all(set(one) == keys for one in listed)
    assert len({one["name"] for one in listed}) == len(listed)


def test_an_entry_is_found_by_id_in_any_case_with_what_implements_it() -> None:
    entry, found = find("re07")
    assert entry is not None
    assert entry.name == "Self-Consistency (SC)"
    assert [one["name"] for one in found] == ["self_consistency"]


def test_an_implementation_is_found_by_name() -> None:
    entry, found = find("self_consistency")
    assert entry is not None
    assert [one["name"] for one in found] == ["self_consistency"]


def test_what_implements_no_entry_is_found_by_name_and_not_listed() -> None:
    for name in ("best_of_n", "self_check"):
        entry, found = find(name)
        assert entry is None
        assert [(one["name"], one["ids"]) for one in found] == [(name, [])]
        assert name not in {one["name"] for one in implementations()}


def test_an_entry_that_nothing_implements_is_found_too() -> None:
    entry, found = find("FM01")
    assert entry is not None
    assert found == []


@pytest.mark.parametrize(("text", "near"), [("self_consistancy", "self_consistency"), ("RE077", "RE07")])
def test_an_unknown_name_gets_the_nearest(text: str, near: str) -> None:
    with pytest.raises(UsageError, match=f"did you mean '{near}'"):
        find(text)


@pytest.mark.parametrize("text", ["", "qqqqqqqqqq", "💥"])
def test_a_name_unlike_all_gets_no_suggestion(text: str) -> None:
    with pytest.raises(UsageError, match=r"neither an id nor a name '.*'$"):
        find(text)
