"""`stratagem runs`: which are listed, in which order."""

import re
import time
from typing import Any

import pytest

from stratagem.cli.runs import _age, instant


@pytest.fixture
def three(cli: Any, script: Any) -> list[str]:
    """Three runs, oldest first: one answered, one refused, one at the end of its budget."""
    refused = script({"signature": "direct.answer", "error": {"kind": "Refused", "message": "no"}})
    reasons = script(*({"signature": "chain_of_thought.reason", "reply": "So. The answer is 3."} for _ in range(3)))
    made = [
        cli.json("run", "Capital of France?", "--strategy", "direct", "--model", script("Paris")),
        cli.json("run", "Capital of Spain?", "--strategy", "direct", "--model", refused),
        cli.json("run", "How many?", "--strategy", "self_consistency(n=3)", "--model", reasons, "--budget", "calls=1"),
    ]
    return [document["run"]["id"] for document in made]


def ids(cli: Any, *words: object) -> list[str]:
    return [run["id"] for run in cli.json("runs", *words)["runs"]]


def test_newest_first_with_how_they_stand(cli: Any, three: list[str]) -> None:
    rows = [re.split(" {2,}", line) for line in cli("runs").stdout.splitlines()]
    assert [row[1] for row in rows] == three[::-1]
    assert [(row[0], row[2]) for row in rows] == [("!", "budget"), ("✗", "refused"), ("✓", "answered")]
    assert [row[-2:] for row in rows] == [
        ["self_consistency(n=3)", "How many?"], ["direct", "Capital of Spain?"], ["direct", "Capital of France?"],
    ]  # fmt: skip
    assert re.fullmatch(r"\d s ago", rows[0][3])
    assert rows[2][4] == "1 call"


def test_filters(cli: Any, three: list[str]) -> None:
    assert ids(cli, "capital") == [three[1], three[0]]
    assert ids(cli, three[2][:6]) == [three[2]]
    assert ids(cli, "--strategy", "direct") == [three[1], three[0]]
    assert ids(cli, "--strategy", "direct", "SPAIN") == [three[1]]
    assert ids(cli, "--state", "finished") == three[::-1]
    assert ids(cli, "--state", "failed") == []
    assert ids(cli, "--since", "1h") == three[::-1]
    assert ids(cli, "--since", "2100-01-01") == []


def test_more_than_the_limit_says_how_to_see_them(cli: Any, three: list[str], valid: Any) -> None:
    document = cli.json("runs", "--limit", "2")
    valid(document, "runs")
    assert [run["id"] for run in document["runs"]] == [three[2], three[1]]
    assert document["next"] == "stratagem runs --limit 4"
    assert cli("runs", "--limit", "2").stderr == "there are more: stratagem runs --limit 4\n"
    assert cli.json("runs", "--limit", "3")["next"] is None


def test_no_run_is_no_error(cli: Any) -> None:
    result = cli("runs")
    assert (result.exit_code, result.stdout) == (0, "")
    assert result.stderr == "no run yet: begin one with `stratagem run`\n"
    assert cli("runs", "nothing").stderr == "no such run\n"


@pytest.mark.parametrize(
    ("since", "seconds"), [("45s", 45), ("30m", 1800), ("12h", 43_200), ("2d", 172_800), ("1w", 604_800)]
)
def test_an_age_counts_back_from_now(since: str, seconds: int) -> None:
    assert time.time() - instant(since) / 1e6 == pytest.approx(seconds, abs=5)


def test_a_date_is_in_utc_unless_it_says_otherwise() -> None:
    assert instant("1970-01-02") == 86_400_000_000
    assert instant("1970-01-02T01:00+01:00") == 86_400_000_000
    assert instant("") == 0


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0 s ago"), (0.4, "0 s ago"), (59.5, "59 s ago"), (60, "1 min ago"), (7199, "1 h ago"), (172_801, "2 d ago")],
)
def test_an_age_is_told_in_its_largest_unit(monkeypatch: pytest.MonkeyPatch, seconds: float, words: str) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    assert _age(int((1_000_000.0 - seconds) * 1e6)) == words
