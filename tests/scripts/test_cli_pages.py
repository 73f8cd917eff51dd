from pathlib import Path

import pytest

from scripts import cli_pages
from stratagem.cli import VERBS


def test_a_stale_page_is_noticed_and_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cli_pages, "PAGE", tmp_path / "cli.md")
    assert cli_pages.main(["--check"]) == 1
    assert capsys.readouterr().out == "docs/cli.md is out of date; run `python scripts/cli_pages.py`\n"
    assert cli_pages.main([]) == 0
    assert cli_pages.main(["--check"]) == 0


def test_the_page_in_the_manual_is_up_to_date() -> None:
    assert cli_pages.main(["--check"]) == 0


def test_every_verb_option_and_status_is_described() -> None:
    text = cli_pages.page()
    for verb in VERBS:
        assert f"\n## {verb}\n\n`stratagem {verb} [OPTIONS]" in text
    for part in (
        "| `--strategy SPEC` |", "| `--tool NAME\\|FILE.py:FN` |", "| `--drop-damaged` |", "| 141 |", "| `STRATAGEM_ROOT` |",
        "| `--limit N` | At most so many. | `20` |",
    ):  # fmt: skip
        assert part in text, part
