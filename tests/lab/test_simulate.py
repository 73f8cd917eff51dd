"""Sweeps over simulated competence: where a strategy pays."""

import json

import pytest

from stratagem import lab
from stratagem.errors import UsageError
from stratagem.lab._simulate import varied


@pytest.fixture(scope="module")
def sweep() -> lab.Sweep:
    # With a judge that is always right best-of-n is hard to beat; a judge of the task's own makes no mistake and costs nothing.
    return lab.simulate(
        "best_of_n(n=40, judge=checked)", "game24", "skill=0.1/0.9", model="sim:judge=0.5", budget="calls=20", items=60,
        processes=1, seed=3,
    )  # fmt: skip


def test_ranges_and_lists_of_values_are_read() -> None:
    assert varied("skill=0.5:0.95:10").values == (0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
    assert varied("spread=1:3:3").values == (1.0, 2.0, 3.0)
    assert varied("cause=0/0.5").values == (0.0, 0.5)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("skill=0.5:0.9", "no range"), ("skill=a:b:3", "no range"), ("skill", "no range"), ("skill=0.5:0.9:1", "from 2 to"),
        ("skill=0.1/0.1", "twice"), ("skil=0.1/0.2", "skil"), ("skill=0.5:1.5:3", "skill must be"),
    ],
)  # fmt: skip
def test_what_cannot_be_varied_is_refused(text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        varied(text)


def test_other_models_and_too_many_parameters_are_refused() -> None:
    with pytest.raises(UsageError, match="only a simulated model has a competence"):
        lab.simulate("direct", "game24", "skill=0.1/0.2", model="offline")
    with pytest.raises(UsageError, match="vary one parameter, or two"):
        lab.simulate("direct", "game24", ["skill=0.1/0.2", "skill=0.3/0.4"])
    with pytest.raises(UsageError, match="more than 400"):
        lab.simulate("direct", "game24", ["skill=0:1:30", "judge=0:1:30"])


def test_every_point_has_the_strategy_and_the_best_baseline(sweep: lab.Sweep) -> None:
    assert [one["skill"] for one in sweep.grid] == [0.1, 0.9]
    assert all(one["gain"] == pytest.approx(one["accuracy"] - one["baseline_accuracy"], abs=1e-6) for one in sweep.grid)
    assert all(one["gain_interval"][0] <= one["gain"] <= one["gain_interval"][1] for one in sweep.grid)
    assert {row["skill"] for row in sweep.rows} == {0.1, 0.9}
    assert all("model" not in row for row in sweep.rows)


def test_a_sweep_says_where_it_pays_and_that_it_is_simulated(sweep: lab.Sweep) -> None:
    assert "simulated" in sweep.title
    assert sweep.grid[1]["verdict"] == "unresolved"
    assert "unresolved at" in sweep.summary()[0]
    assert "best_of_n(k, checked)" in str(sweep)
    assert sweep.manifest["vary"] == {"skill": [0.1, 0.9]}
    json.dumps(sweep.plain(), allow_nan=False)


def test_a_sweep_is_drawn_alike_every_time_in_one_page_without_script(sweep: lab.Sweep) -> None:
    assert sweep.figure() == sweep.figure()
    assert sweep.figure("png", dpi=60).startswith(b"\x89PNG")
    page = sweep.html()
    assert "<script" not in page
    assert "default-src 'none'" in page
    assert "<svg" in sweep._repr_mimebundle_()["text/html"]


def test_two_parameters_make_a_map() -> None:
    sweep = lab.simulate(
        "self_consistency(n=3)", "word_problems", ["skill=0.2/0.8", "cause=0/1"], items=8, budget="calls=3", processes=1
    )
    assert [(one["skill"], one["cause"]) for one in sweep.grid] == [(0.2, 0.0), (0.2, 1.0), (0.8, 0.0), (0.8, 1.0)]
    assert b"gain over the best baseline" in sweep.figure()


def test_a_parameter_that_changes_nothing_for_the_strategy_is_named() -> None:
    given = {"items": 4, "budget": "calls=3", "processes": 1}
    still = lab.simulate("direct", "word_problems", ["critic=0.1/0.9", "skill=0.2/0.9"], **given)
    assert still.idle == ["critic"]
    assert still.summary()[-1] == "critic makes no difference to direct"
    assert "critic makes no difference to direct" in still.html()


def test_where_it_pays_at_one_value_that_is_said_once_and_worse_is_called_so_everywhere(
    sweep: lab.Sweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = sweep.grid
    monkeypatch.setitem(vars(sweep), "grid", [{**first, "verdict": "pays"}, {**second, "verdict": "costs"}])
    assert (
        sweep.summary()[0]
        == "calls=20: pays at 1, is worse at 1, unresolved at 0 of 2 points; skill where it pays: 0.1"
    )
    assert [row[-1] for row in sweep.table()] == ["verdict", "pays", "is worse"]
    monkeypatch.setitem(vars(sweep), "grid", [{**first, "verdict": "pays"}, {**second, "verdict": "pays"}])
    assert sweep.summary()[0].endswith("; skill where it pays: 0.1 to 0.9")
