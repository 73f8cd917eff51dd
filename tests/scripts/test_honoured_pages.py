from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from scripts import honoured_pages
from scripts.honoured_pages import KINDS, Kind, page
from stratagem.models.table import ROWS


def cells(text: str, models: str) -> dict[str, str]:
    """Return a row of the page by the names of its columns."""
    lines = [[one.strip() for one in line.strip("|").split(" | ")] for line in text.splitlines() if line[:1] == "|"]
    return dict(zip(lines[0], next(line for line in lines if line[0] == models), strict=True))


def test_the_page_is_written_where_it_is_out_of_date(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(honoured_pages, "PAGE", tmp_path / "honoured.md")
    assert honoured_pages.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/manual/honoured.md is out of date; run `make catalogue`\n"
    assert honoured_pages.main([]) == 0
    assert honoured_pages.main(["--check"]) == 0


def test_the_page_of_the_manual_is_fresh() -> None:
    assert honoured_pages.main(["--check"]) == 0


def test_every_provider_has_a_row_that_says_what_its_row_says() -> None:
    text = page()
    for prefix, row in ROWS.items():
        found = cells(text, f"`{prefix}:`")
        assert (found["provider"], found["schema"]) == (row.title, row.schema)
        told = {"tools": "tools", "log-probabilities": "logprobs", "seed": "seed", "stop": "stop", "effort": "effort"}
        assert {name: found[column] == "yes" for column, name in told.items()} == {
            name: name in row.fields for name in told.values()
        }
        assert (found["n"] == "yes", found["images"] == "yes") == (row.native_n, bool(row.media))
    plain = cells(text, "`openai:` (`--base-url`)")
    assert (plain["schema"], plain["seed"], plain["tested"]) == ("advisory", "-", "wire")


def test_rows_of_another_kind_say_themselves_how_they_were_tested() -> None:
    row: Any = SimpleNamespace(
        title="Far", fields=frozenset({"tools", "temperature"}), schema="none", media=frozenset({"application/pdf"}),
        thinking="sent back", cache="marked, counted", tested="bodies",
    )  # fmt: skip
    text = page([*KINDS, Kind("Far ones", {"far": row}, {})])
    found = cells(text, "`far:`")
    assert [found[name] for name in ("temperature, top_p", "images", "n", "thinking", "cache", "tested")] == [
        "temperature", "-", "-", "sent back", "marked, counted", "bodies"
    ]  # fmt: skip
    assert "| bodies | request bodies compared" in text
    assert "| bodies |" not in page()


def test_models_that_reason_are_told_apart() -> None:
    assert "whose names match `(o\\d|gpt-5)` reason before they answer" in page()
