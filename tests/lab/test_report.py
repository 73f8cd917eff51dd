"""How a report looks: text, figures with equal bytes, and one page that loads nothing."""

import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import pytest

from stratagem import lab
from stratagem.errors import UsageError
from stratagem.lab import _figure, _page, _text


class Outline(HTMLParser):
    """What a page is made of: its tags, their attributes, and whether every tag is closed."""

    VOID = frozenset({"meta", "br", "hr", "img", "path", "use", "rect", "line"})

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def outline(page: str) -> Outline:
    made = Outline()
    made.feed(page)
    assert made.open == []
    return made


def test_the_winner_is_told_how_it_is_run_if_its_name_does_not_say_it() -> None:
    settings = {"model": "sim:skill=0.7", "items": 20, "processes": 1}
    report = lab.compare("word_problems", "direct", budget="calls=1/15", **settings)
    best = max(report.rows, key=lambda row: row["accuracy"])
    assert (best["strategy"], best["budget"]) == ("self_consistency(k)", "calls=15")
    said = (
        "self_consistency(k) at calls=15 is run by `stratagem run QUESTION --strategy 'self_consistency(n=15)' --budget calls=15`, "
        "and `--output` where the answer is no text; it stops where its budget ends"
    )
    assert said in str(report).splitlines()
    assert "self_consistency(n=15)" in report.html()
    other = lab.compare("word_problems", "direct,self_consistency(n=15)", budget="calls=15", **settings)
    assert "is run by" not in str(other)
    checked = lab.compare(
        "game24", "best_of_n(n=2,judge=checked)", model="sim:skill=0.3", budget="calls=20", items=20, processes=1
    )
    best = max(checked.rows, key=lambda row: row["accuracy"])
    assert (best["baseline"], best["needs"]) == (True, ["checker"])
    assert "is run by" not in str(checked)  # a question alone has no checker
    with pytest.raises(UsageError, match="write names and literals") as caught:
        lab.compare("word_problems", "self_consistency(k)", budget="calls=15", **settings)
    assert (
        caught.value.remedy
        == "A report says below its rows how `self_consistency(k)` is run: k is what the budget paid for."
    )


def test_equal_reports_give_equal_figures(report: lab.Report) -> None:
    svg, png = report.figure(), report.figure("png", dpi=80)
    assert svg == report.figure("svg")
    assert png == report.figure("png", dpi=80) != report.figure("png", dpi=100)
    assert svg.startswith(b"<?xml")
    assert png.startswith(b"\x89PNG")
    assert b"<text" in svg  # text stays text
    assert b"simulated" in svg
    assert not re.search(rb"20\d\d-\d\d-\d\d|Matplotlib v", svg)


def test_every_curve_has_colour_marker_and_dash_of_its_own() -> None:
    looks = [_figure.style(number, baseline=False) for number in range(8)]
    assert len({(one["color"], one["marker"], one["linestyle"]) for one in looks}) == 8
    assert len({one["color"] for one in looks}) == len({one["marker"] for one in looks}) == 8


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (one / 12.92 if one <= 0.03928 else ((one + 0.055) / 1.055) ** 2.4 for one in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize(("colours", "paper"), [(_figure.COLOURS, "#ffffff"), (_figure.DARK, "#111316")])
def test_text_in_every_colour_can_be_read_on_its_page(colours: tuple[str, ...], paper: str) -> None:
    for colour in colours:
        low, high = sorted((luminance(colour), luminance(paper)))
        assert (high + 0.05) / (low + 0.05) >= 4.5


def test_within_a_page_the_figure_has_the_colours_of_the_page(report: lab.Report) -> None:
    page = report.html()
    drawn = page[page.index("<svg") : page.index("</svg>")]
    assert not re.search(r"(?<!,)#(ffffff|16191d|e2e5e9|0072b2|000000)", drawn)
    assert "stroke: var(--c0,#0072b2)" in drawn
    assert "fill: var(--text,#16191d)" in drawn
    assert all(f"--c{number}:{colour};" in page for number, colour in enumerate(_figure.DARK))
    assert 'aria-label="Accuracy against budget, one curve per strategy.' in drawn
    assert "var(--" not in report.figure("svg").decode()  # a file by itself has colours of its own


def test_names_beside_curves_do_not_cover_one_another() -> None:
    ends = [(0.5, "a", ""), (0.51, "b", ""), (0.5, "c", ""), (0.99, "d", ""), (1.0, "e", "")]
    placed = _figure.apart(ends)
    assert {name for _, name, _ in placed} == set("abcde")
    assert all(two[0] - one[0] > 0.05 for one, two in pairwise(placed))
    assert placed[-1][0] == pytest.approx(1.0)
    assert _figure.apart([(0.2, "alone", "")]) == [(0.2, "alone", "")]


def test_budgets_stand_where_their_numbers_are() -> None:
    assert _figure._places(["tokens=2000", "tokens=8000", "tokens=2000"]) == {
        "tokens=2000": 2000.0,
        "tokens=8000": 8000.0,
    }
    assert _figure._places(["calls=5,tokens=100", "calls=5,tokens=200"])["calls=5,tokens=200"] == 200.0
    assert _figure._places([""]) == {"": 1.0}


def test_a_figure_that_does_not_exist_is_refused(report: lab.Report) -> None:
    with pytest.raises(UsageError, match="svg or png"):
        report.figure("pdf")
    with pytest.raises(UsageError, match="dpi"):
        report.figure("png", dpi=5000)


def test_the_page_is_one_file_without_script_that_loads_nothing(report: lab.Report) -> None:
    page = report.html()
    made = outline(page)
    assert "script" not in made.tags
    assert not [value for name, value in made.attributes if name in ("src", "srcset", "data", "action", "poster")]
    links = [value for name, value in made.attributes if name.endswith("href")]
    assert all(value and value.startswith("#") for value in links)
    assert not [name for name, _ in made.attributes if name.startswith("on")]
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in page
    assert not re.search(r"@import|url\((?!#)", page)
    assert {"details", "summary", "svg", "table", "main"} <= set(made.tags)
    assert ("role", "img") in made.attributes
    assert len(page) < 150_000


def test_each_table_of_a_page_has_a_caption_and_says_what_its_heads_are_of(report: lab.Report) -> None:
    page = report.html()
    tables = re.findall(r"<table>.*?</table>", page, re.DOTALL)
    assert len(tables) >= 3
    for table in tables:
        assert re.match(r"<table><caption>[^<]+</caption><thead><tr>", table)
        head, _, body = table.partition("</thead>")
        assert not re.search(r'<th(?!ead| scope="col"[ >])', head)
        assert not re.search(r"<th[^>]*></th>", head)
        assert [row.count('<th scope="row"') for row in body.split("<tr>")[1:]] == [1] * body.count("<tr>")
    assert '<th scope="row">self_consistency(n=3)</th>' in tables[0]
    # What scrolls by itself can be reached without a mouse, and says what it is.
    assert page.count('role="region" aria-label="') == len(tables) == page.count('<div class="wide"')


def test_the_page_says_what_the_report_says(report: lab.Report) -> None:
    page = report.html()
    assert "simulated" in report.title
    assert page.count(report.title) >= 2
    assert "self_consistency(n=3)" in page
    assert "unresolved" in page
    assert all(item["id"] in page for item in report.items)
    assert "&quot;made_with&quot;" in page


def test_a_hostile_question_is_text(report: lab.Report) -> None:
    from copy import copy

    hostile = copy(report)
    hostile.__dict__["items"] = [{**report.items[0], "question": "<script>alert(1)</script>\u202e\x1b[31m"}]
    page = hostile.html()
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x1b" not in page


def test_a_long_table_is_cut_and_says_where_the_rest_is(report: lab.Report, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_page, "MOST_ITEMS", 5)
    page = report.html()
    assert "7 more are in the JSON lines beside this file" in page
    assert report.items[4]["id"] in page
    assert report.items[5]["id"] not in page.partition("<h2>Items</h2>")[2].partition("<h2>Manifest</h2>")[0]


def test_a_notebook_shows_figure_rows_and_tests(report: lab.Report) -> None:
    bundle = report._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html"}
    made = outline(bundle["text/html"])
    assert "script" not in made.tags
    assert "svg" in made.tags
    assert "on the Pareto front" in bundle["text/plain"]
    assert len(bundle["text/html"]) < 200_000
    assert repr(report) == f"Report({report.title!r}, rows=10, items=12)"


def test_text_marks_baselines_and_the_front(report: lab.Report) -> None:
    text = str(report)
    assert re.search(r"^\s*\*?~ +self_consistency\(k\) +tokens=700", text, re.MULTILINE)
    assert "none shows another item's question or key" in text
    assert re.search(r"direct +tokens=700 +0\.\d{3} +0\.\d{3} to", text)


def test_the_document_is_json_that_every_reader_reads(report: lab.Report) -> None:
    text = json.dumps(report.plain(), allow_nan=False)
    assert json.loads(text) == report.plain()


def test_a_budget_that_lets_nobody_ask_is_named_and_who_asked_nothing_is_on_no_front(valid: Any) -> None:
    report = lab.compare("game24", "direct", budget="tokens=10/3000", items=3, processes=1, baselines=False)
    assert [one["budget"] for one in report.pareto] == ["tokens=3000"]
    assert [(one["kind"], one["items"], one["reason"]) for one in report.failures] == [
        ("budget", 3, "no call was possible at tokens=10")
    ]
    said = "! no call was possible at tokens=10: direct"
    assert [line for line in str(report).splitlines() if "no call" in line] == [said]
    assert f'<p class="soft">{said}</p>' in report.html()
    assert re.search(r"^    direct +tokens=10 ", str(report), re.MULTILINE)
    assert re.search(r"^\* +direct +tokens=3000 ", str(report), re.MULTILINE)
    valid(report.plain(), "compare")


def test_how_many_differences_are_resolved_stands_before_them(report: lab.Report) -> None:
    resolved, n = sum(one["verdict"] != "unresolved" for one in report.tests), len(report.tests)
    lines = str(report).splitlines()
    at = lines.index(f"{resolved} of {n} differences resolved")
    assert lines[at + 1].startswith("self_consistency(n=3) less direct at tokens=700: ")
    assert f"<p>{resolved} of {n} differences resolved</p>" in report.html()
    assert _text.resolved_line([{"verdict": "direct"}]) == "1 of 1 difference resolved"


def test_too_few_items_for_a_verdict_are_called_so() -> None:
    few = lab.compare("game24", "direct,self_consistency(n=3)", items=2, processes=1, baselines=False)
    assert [_text.verdict(one) for one in few.tests] == ["unresolved (too few items for any verdict)"]
    known = {"verdict": "unresolved", "detectable": 0.424}
    assert _text.verdict(known) == "unresolved (42 points would have been noticed with 80 %)"


def test_a_title_stands_once_above_the_rows_and_long_cells_are_broken(report: lab.Report) -> None:
    page = report.html()
    drawn = page[page.index("<svg") : page.index("</svg>")]
    assert report.title not in drawn.replace(f". {report.title}. ", "")  # but for who cannot see the figure
    assert report.title in report.figure("svg").decode()
    assert "td.w{overflow-wrap:anywhere;" in page
    (broken,) = set(re.findall(r"<td([^>]*)>unresolved \(", page))
    assert broken == ' class="w"'
    assert "<td>tokens=700</td>" in page
