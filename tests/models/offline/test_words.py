"""Tokens, stems and the published lists."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stratagem.models.offline import words
from stratagem.models.offline.words import number, parts, root, stem, tokens

PAGE = (Path(__file__).parents[3] / "docs" / "offline.md").read_text(encoding="utf-8")


def published(title: str) -> list[str]:
    block = PAGE.partition(f"{title}\n\n```text\n")[2].partition("```")[0]
    assert block, title
    return [" ".join(entry.split()) for entry in block.split("·")]


@given(st.text(max_size=200))
def test_a_token_is_a_piece_of_the_text_at_its_place(text: str) -> None:
    last = 0
    for token in tokens(text):
        assert last <= token.start < token.end
        last = token.end
        if token.kind in ("word", "number", "date", "cmp"):
            assert token.text
    for token in tokens(text) if text.isascii() else ():
        if token.kind != "quote":
            assert text[token.start : token.end] == token.text


@given(st.text(max_size=30))
def test_stems_and_roots_are_stable(text: str) -> None:
    assert stem(text.upper()) == stem(text.upper().casefold())
    assert root(text) == root(text.casefold())
    assert parts(text) == parts(text)


def test_kinds_of_tokens() -> None:
    found = [(one.kind, one.text) for one in tokens('In 2014-03-05, temp_max >= -1,234.5% of "New York" it\'s 3rd')]
    assert found == [
        ("word", "In"), ("date", "2014-03-05"), ("mark", ","), ("word", "temp_max"), ("cmp", ">="), ("number", "-1,234.5"),
        ("mark", "%"), ("word", "of"), ("quote", "New York"), ("word", "it"), ("word", "3rd"),
    ]  # fmt: skip


def test_singular_and_plural_are_one_and_different_words_are_not() -> None:
    for one, many in (("city", "cities"), ("size", "sizes"), ("cache", "caches"), ("photo", "photos"), ("menu", "menus"),
                      ("taxi", "taxis"), ("class", "classes"), ("key", "keys"), ("price", "prices")):  # fmt: skip
        assert stem(one) == stem(many), one
    for one, other in (("city", "cite"), ("number", "numb"), ("price", "pric"), ("sun", "sunny"), ("rain", "rainy")):
        assert stem(one) != stem(other), one


def test_numbers_are_read_with_their_commas_and_as_words() -> None:
    assert [number(text) for text in ("1,234", "3.50", "\u22124", "three", "many")] == [1234, 3.5, -4, 3, None]


def test_the_page_lists_exactly_the_operations_comparisons_and_fillers() -> None:
    assert sorted(published("Operations over tables:")) == sorted(" ".join(phrase) for phrase in words.OPERATIONS)
    assert sorted(published("Comparisons:")) == sorted(" ".join(phrase) for phrase in words.COMPARISONS)
    fillers = {
        word for entry in published("Words that change nothing in a question about a table:") for word in entry.split()
    }
    assert fillers == words.ARTICLES | words.COPULAS | words.JOINERS | words.PLACERS | words.FILLERS
    things = published("column or the table's name, or after `in the`):")
    assert [set(entry.split()) for entry in things] == [words.STANDING, words.CONTAINERS]
    units = {word for entry in published("Units, as columns and questions may spell them:") for word in entry.split()}
    assert units == set(words.UNITS)
    dating = published(
        "Words of which the name of a column of dates may be made, beside the table's own, so that it can be left out:"
    )
    assert set(dating[0].split()) == words.DATING
    short = {tuple(entry.split()) for entry in published("Two spellings of one word in names of columns:")}
    assert short == set(words.SHORT.items())


def test_there_are_about_sixty_operation_words() -> None:
    assert len({word for phrase in words.OPERATIONS for word in phrase}) <= 60


def test_nothing_in_the_package_knows_a_strategy_a_signature_or_a_tool_by_name() -> None:
    from stratagem.tools.builtin import names

    root_ = Path(words.__file__).parents[2]
    code = "\n".join(path.read_text(encoding="utf-8") for path in Path(words.__file__).parent.glob("*.py"))
    strategies = [path.stem for path in (root_ / "strategies").rglob("*.py") if not path.stem.startswith("_")]
    judges = [path.stem for path in (root_ / "judges").glob("*.py") if not path.stem.startswith("_")]
    signatures = [
        f"{path.stem}.{name}"
        for folder in ("strategies", "judges")
        for path in (root_ / folder).rglob("*.py")
        for name in re.findall(r"@signature.*\ndef (\w+)\(", path.read_text(encoding="utf-8"))
    ]
    assert min(len(strategies), len(judges), len(signatures)) > 0
    known = [name for name in (*names(), *judges, *signatures) if name not in ("calculate", "checked", "now")]
    known += [name for name in strategies if name not in ("direct",)]
    assert [name for name in known if re.search(rf"(?<![\w.]){re.escape(name)}(?!\w)", code)] == []
    assert "signature.name" not in code
    assert not re.search(r"\.name == [\"']", code)
