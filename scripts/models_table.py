"""Write and check the table of what models honour in `docs/manual/models.md`.

python scripts/models_table.py            write it
python scripts/models_table.py --check    say whether it is out of date
"""

import sys
from pathlib import Path

from stratagem.models.hosted_table import HOSTED, NO_MODEL, HostedRow
from stratagem.models.table import ROWS, Row

PAGE = Path(__file__).resolve().parent.parent / "docs" / "manual" / "models.md"
HEADER = "| spec | tools | schema | seed | log-probabilities | draws | images | `effort` | thoughts go back | cache | tested |"
STREAMED = ("anthropic", "google", "responses")  # dialects of the fault server that stream
WIRE, BODIES = "streams and faults", "bodies, whole replies"


def _has(name: str, fields: frozenset[str]) -> str:
    return "yes" if name in fields else "no"


def _of_server(row: Row) -> list[str]:
    """Return the cells of an OpenAI-compatible server."""
    effort = "some" if row.reasoning else _has("effort", row.fields)
    return [
        f"`{row.prefix}:`", _has("tools", row.fields), row.schema, _has("seed", row.fields),
        "some" if row.reasoning else _has("logprobs", row.fields), "at once" if row.native_n else "one by one",
        "yes" if row.media else "no", effort, f"`{row.thoughts}`" if row.thoughts else "no", "the server's", WIRE,
    ]  # fmt: skip


def _of_provider(row: HostedRow) -> list[str]:
    """Return the cells of a provider with a form of its own."""
    some = row.unschemed != NO_MODEL and row.schema == "constrained"
    return [
        f"`{row.prefix}:`", _has("tools", row.fields), f"{row.schema}{', some' if some else ''}",
        _has("seed", row.fields), _has("logprobs", row.fields), "one by one",
        "yes" if row.media else "no", "some" if row.thinks != NO_MODEL else "no", "yes",
        "marked" if row.marked else "the provider's", WIRE if row.prefix in STREAMED else BODIES,
    ]  # fmt: skip


def table() -> str:
    """Return the table."""
    rows = [*map(_of_server, ROWS.values()), *map(_of_provider, HOSTED.values())]
    rule = "|".join("---" for _ in rows[0])
    return "\n".join([HEADER, f"|{rule}|", *(f"| {' | '.join(row)} |" for row in rows)]) + "\n"


def main(arguments: list[str]) -> int:
    text = PAGE.read_text("utf-8")
    before, header, after = text.partition(HEADER + "\n")
    if not header:
        print(f"{PAGE.name} has no table {HEADER!r}")
        return 1
    rest = after.partition("\n\n")[2]
    wanted = f"{before}{table()}\n{rest}"
    if arguments == ["--check"]:
        if text != wanted:
            print("the table in docs/manual/models.md is out of date; run `make catalogue`")
        return int(text != wanted)
    PAGE.write_text(wanted, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
