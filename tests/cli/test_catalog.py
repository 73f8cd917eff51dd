"""`stratagem catalog`: pages and lists."""

import re
from typing import Any

from stratagem.catalogue import describe, implementations


def test_a_page_is_found_by_id_and_by_name(cli: Any) -> None:
    page = cli("catalog", "RE07").stdout
    assert page == describe("RE07").rstrip() + "\n"
    assert cli("catalog", "self_consistency").stdout == page
    assert cli("catalog", "re07").stdout == page
    for heading in ("# self_consistency", "## Cost", "## Fails when", "## Paper, code, ours"):
        assert f"{heading}\n" in page


def test_what_is_not_implemented_says_so(cli: Any) -> None:
    result = cli("catalog", "RP09")
    assert result.exit_code == 0
    assert "Not implemented in this version." in result.stdout
    assert cli.json("catalog", "RP09") == []


def test_the_list_has_a_line_for_each(cli: Any) -> None:
    rows = [re.split(" {2,}", line) for line in cli("catalog").stdout.splitlines()]
    assert [row[0] for row in rows] == [made["name"] for made in implementations()]
    assert ["self_consistency", "strategy", "sampling", "RE07", "Self-Consistency (SC)"] in rows


def test_the_json_is_a_bare_list(cli: Any, valid: Any) -> None:
    document = cli.json("catalog")
    valid(document, "catalog")
    assert document == implementations()
    (one,) = cli.json("catalog", "RE07")
    assert one["name"] == "self_consistency"


def test_filters(cli: Any) -> None:
    assert {one["name"] for one in cli.json("catalog", "--family", "sampling")} == {"self_consistency"}
    assert {one["name"] for one in cli.json("catalog", "--kind", "feature")} == {
        "chat_templates", "structured_output", "trace_replay",
    }  # fmt: skip
    assert cli.json("catalog", "--kind", "engine") == []
    assert [one["name"] for one in cli.json("catalog", "--text", "SELF-consist")] == ["self_consistency"]
    assert cli.json("catalog", "--family", "sampling", "--kind", "feature") == []


def test_a_word_also_finds_what_is_not_implemented(cli: Any) -> None:
    lines = cli("catalog", "--text", "multi-agent debate").stdout.splitlines()
    assert any(
        re.fullmatch(r"-  not implemented  \S+  RP09  Multi-agent debate \(Du et al\.\)", line) for line in lines
    )
    result = cli("catalog", "--text", "no such word anywhere")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "nothing like that is in the catalogue\n")
