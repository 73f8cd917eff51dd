"""The critical path, read off the places of calls; and virtual time."""

import asyncio
from types import SimpleNamespace
from typing import Any

from stratagem.core import Reply, Sample
from stratagem.lab import compare
from stratagem.lab._virtual import VirtualClock, VirtualLoop, run_virtually
from stratagem.lab._watch import Seen, Watched, Witness, waves
from stratagem.models import open_model
from stratagem.models.simulated import SimulatedModel


def asking(message: str) -> Any:
    """Return a request."""
    head, asked = SimpleNamespace(instruction="Go on."), SimpleNamespace(name="goes_on")
    return SimpleNamespace(message=message, signature=asked, head=head, steps=None, repair=())


def shown(*messages: str) -> list[str]:
    """Return the lines that are kept of some prompts."""
    witness = Witness()
    for message in messages:
        witness.sees(asking(message))
    return list(witness.lines)


def test_lines_have_the_number_of_replies_that_were_heard_before_and_grown_ones_of_each_part() -> None:
    chain, witness = "A: " + "thought " * 20, Witness()
    for message, reply in (("Q", "one"), (f"Q\n{chain}one", "two"), (f"Q\n{chain}one two", "two"), ("other", "three")):
        witness.sees(asking(message))
        witness.hears(Reply((Sample(reply),)))
    assert witness.lines == {"Q": 0, "Go on.": 0, f"{chain}one two": 2, "other": 2}
    assert witness.grown == {f"{chain}one two": [(len(f"{chain}one"), 1)]}
    assert list(witness.said) == ["one", "two", "three"]


def test_a_line_that_goes_on_is_kept_once_at_its_longest() -> None:
    chain = "A: " + "thought " * 20
    said = shown(
        f"Q\n{chain}one", f"Q\n{chain}one Wait, two", f"Q\n{chain}one Wait, two Wait, three", f"Q\n{chain}other"
    )
    assert said == ["Q", "Go on.", f"{chain}one Wait, two Wait, three", f"{chain}other"]


def test_a_line_is_kept_if_its_last_word_goes_on() -> None:
    chain = "A: " + "thought " * 20
    assert shown(f"{chain}make 2", f"{chain}make 24") == [f"{chain}make 2", "Go on.", f"{chain}make 24"]
    assert shown("short", "short and longer") == ["short", "Go on.", "short and longer"]


def row(*paths: str) -> list[Seen]:
    """Return calls that were answered one after the other."""
    return [Seen(path, 2 * number + 1, 2 * number + 2) for number, path in enumerate(paths)]


def test_calls_of_one_strand_stand_in_a_row() -> None:
    assert waves([]) == 0
    assert waves(row("a", "a", "a/b", "a/b#2", "a")) == 5


def test_branches_stand_side_by_side_whatever_the_order_of_their_answers() -> None:
    assert waves(row(*[f"vote/map[{n}]/chain" for n in range(10)])) == 1
    assert waves(row("map[0]", "map[1]", "map[1]", "map[0]/x", "map#2[0]", "pool[1]", "pool[2]")) == 2 + 1 + 1


def test_branches_within_branches_count_along_the_longest() -> None:
    assert waves(row("map[0]/map[0]", "map[0]/map[1]", "map[0]", "map[key]/map[0]", "")) == 3


def test_draws_of_one_sample_overlap_and_are_one_wave() -> None:
    assert waves([Seen("a", 1, 5), Seen("a", 2, 4), Seen("a", 3, 6), Seen("a", 7, 8)]) == 2


def test_virtual_time_passes_without_waiting_and_side_by_side() -> None:
    loop = VirtualLoop()
    clock = VirtualClock(loop)

    async def main() -> tuple[float, bool]:
        await asyncio.gather(asyncio.sleep(3600), asyncio.sleep(7200))
        try:
            async with clock.limit(5):
                await asyncio.sleep(10)
        except TimeoutError:
            return loop.time(), True
        return loop.time(), False

    try:
        assert run_virtually(main(), loop) == (7205.0, True)
        assert clock.stamp() == 7_205_000_000
    finally:
        loop.close()


def test_no_item_of_a_comparison_costs_more_tokens_than_its_budget() -> None:
    model = "sim:skill=0.4,words=200,longest=5000"
    made = compare("word_problems", "self_consistency(n=40)", model=model, budget="tokens=2000", items=6, processes=1)
    assert {row["strategy"]: row["tokens_per_item"] <= 2000 for row in made.rows if not row["baseline"]} == {
        "self_consistency(n=40)": True
    }
    assert max(row["tokens_per_item"] for row in made.rows) <= 2000


def test_no_item_of_a_comparison_costs_more_money_than_its_budget() -> None:
    model = "sim:skill=0.4,words=200,longest=5000,price=0.7"
    made = compare("word_problems", "self_consistency(n=40)", model=model, budget="usd=0.0014", items=6, processes=1)
    spent = [tokens * 0.7e-6 for item in made.items for tokens in item["tokens"]]
    assert 0.0010 < max(spent) <= 0.0014


def test_what_only_some_models_have_is_there_when_they_are_watched() -> None:
    model: Any = open_model("openai:gpt-4o-mini|vllm:m")
    watched: Any = Watched(model)
    assert (watched.keeps_time, watched.models, watched.capabilities) == (True, model.models, model.capabilities)
    assert not hasattr(Watched(SimulatedModel("sim:", None)), "learn")
