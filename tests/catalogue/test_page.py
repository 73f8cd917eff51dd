import pytest

from stratagem.catalogue import describe, implementations, page
from stratagem.catalogue._page import _link


def test_a_page_has_what_a_reader_decides_by() -> None:
    text = describe("self_consistency")
    lines = text.splitlines()
    assert lines[0] == "# self_consistency"
    assert [line for line in lines if line.startswith("## ")] == [
        "## Parameters", "## Returns", "## Raises", "## Cost", "## Fails when", "## Paper, code, ours", "## The algorithm",
    ]  # fmt: skip
    assert "- RE07: Self-Consistency (SC)" in lines
    assert "- Paper: [arXiv:2203.11171](https://arxiv.org/abs/2203.11171)" in lines
    assert "- Truth it uses: nothing" in lines
    assert (
        "At most `n * sampler` model calls, at least `n * sampler`; with the defaults at most 10, at least 10." in lines
    )
    assert any(line.startswith("| `n` | int | `10` | 1 or more | number of samples") for line in lines)


def test_the_algorithm_is_shown_without_its_docstring() -> None:
    text = describe("RE07")
    code = text.split("```py\n")[1].split("```")[0]
    assert code.startswith("@strategy(")
    assert '"""' not in code
    compile(code, "page", "exec")


def test_a_feature_is_described_by_its_module() -> None:
    lines = describe("IN04").splitlines()
    assert lines[0] == "# structured_output"
    assert "- Kind: feature, family `core`" in lines
    assert "- Source: `stratagem.core._signature`" in lines


def test_a_baseline_has_a_page_without_an_entry() -> None:
    lines = describe("best_of_n").splitlines()
    assert lines[0] == "# best_of_n"
    assert "- Paper: [arXiv:2110.14168](https://arxiv.org/abs/2110.14168)" in lines
    assert [line for line in lines if line.startswith("- Kind")] == ["- Kind: strategy, family `sampling`"]


def test_an_entry_without_implementation_says_so() -> None:
    assert describe("FM01").endswith("Not implemented in this version.\n")
    assert "Class T: training method." in describe("fm01")


def test_every_page_is_markdown_that_ends_with_a_line() -> None:
    for made in implementations():
        text = page(made)
        assert text.startswith(f"# {made['name']}\n")
        assert text.endswith("\n")
        assert not text.endswith("\n\n")
        assert text.count("```") % 2 == 0
        assert all(line.count("|") - line.count("\\|") == 6 for line in text.splitlines() if line.startswith("| "))


@pytest.mark.parametrize(
    ("paper", "shown"),
    [
        ("arXiv:2210.03629", "[arXiv:2210.03629](https://arxiv.org/abs/2210.03629)"),
        ("doi:10.1/x", "[doi:10.1/x](https://doi.org/10.1/x)"),
        ("Weng 2023", "Weng 2023"),
    ],
)
def test_a_paper_becomes_a_link_where_it_has_an_address(paper: str, shown: str) -> None:
    assert _link(paper) == shown
