"""The book of a run: what recorded effects have cost, by scope."""

from hypothesis import given
from hypothesis import strategies as st

from stratagem.core import Row, Usage
from stratagem.core._book import Held, calls_of, within
from stratagem.core._budget import Need, need_of

PATHS = ("", "a", "a/b", "a/b/c", "a/bc", "map[0]", "map[0]/a", "map[1]", "map[10]")


def row(path: str, kind: str, active: int, prompt: int | None, *, failed: bool) -> Row:
    usage = None if prompt is None else Usage(1, 1, prompt, 2, usd=0.5)
    return Row(0, kind, path, b"", 0, 0, active, 1, usage, b"", b"", failed)  # pyright: ignore[reportArgumentType]


ROWS = st.lists(
    st.builds(
        row,
        st.sampled_from(PATHS),
        st.sampled_from(["model", "model", "tool", "intent"]),
        st.integers(0, 50),
        st.none() | st.integers(0, 9),
        failed=st.booleans(),
    ),
    max_size=12,
)


@given(ROWS, st.sampled_from((*PATHS, "map", "nowhere")))
def test_a_scope_holds_what_was_spent_in_and_below_it(rows: list[Row], scope: str) -> None:
    inside = [row for row in rows if within(row.path, scope)]
    spent = [need_of(row.usage, calls_of(row)) for row in inside if row.kind == "model"]
    held = Held(rows)
    assert held.of(scope) == Need(*(sum(one[place] for one in spent) for place in range(4)))
    assert held.since(scope) == min((row.active for row in inside), default=None)


def test_what_is_recorded_later_is_not_held() -> None:
    rows = [row("a", "model", 5, 7, failed=False)]
    held = Held(rows)
    rows.append(row("a", "model", 3, 7, failed=False))
    assert (held.of("").calls, held.of("a").calls, held.since("a")) == (1, 1, 5)
