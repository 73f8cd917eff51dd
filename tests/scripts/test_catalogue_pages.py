from pathlib import Path

import pytest

from scripts import catalogue_pages


def test_stale_missing_and_superfluous_pages_are_noticed_and_repaired(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(catalogue_pages, "FOLDER", tmp_path)
    assert catalogue_pages.main([]) == 0
    assert catalogue_pages.main(["--check"]) == 0
    (tmp_path / "react.md").write_text("edited by hand")
    (tmp_path / "direct.md").unlink()
    (tmp_path / "gone.md").write_text("no longer implemented")
    assert catalogue_pages.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"docs/catalogue/{name}.md is out of date; run `make catalogue`" for name in ("direct", "gone", "react")
    ]
    assert catalogue_pages.main([]) == 0
    assert catalogue_pages.main(["--check"]) == 0
    assert not (tmp_path / "gone.md").exists()


def test_the_index_links_to_every_page() -> None:
    texts = catalogue_pages.pages()
    linked = {name for name in texts if f"({name})" in texts["index.md"]}
    assert linked == texts.keys() - {"index.md"}
    assert "self_consistency.md" in linked
    assert all(text.startswith("<!-- Generated") for text in texts.values())
