from hypothesis import given
from hypothesis import strategies as st

from stratagem.memory.words import FUNCTION_WORDS, query_of, words_of


def test_case_accents_and_compatibility_forms_do_not_count() -> None:
    assert words_of("RÖNTGEN ﬁle Straße №\uff15 Ёлка") == ["rontgen", "file", "strasse", "no5", "елка"]
    assert words_of("Ro\u0308ntgen") == words_of("R\u00f6ntgen")


def test_everything_but_letters_digits_and_marks_separates_words() -> None:
    assert words_of('docs/manual.md:42 "exit_code" AND NOT 3.5% x\x00y') == [
        "docs", "manual", "md", "42", "exit", "code", "and", "not", "3", "5", "x", "y",
    ]  # fmt: skip
    assert words_of("¿a—b?\ud800c") == ["a", "b", "c"]


def test_invisible_characters_do_not_hide_a_word() -> None:
    assert words_of("pass\u200bword\u00ad \u202eleft\u2069 naïve") == ["password", "left", "naive"]


def test_vowel_signs_belong_to_their_word() -> None:
    assert words_of("हिन्दी में") == ["हिन्दी", "में"]


def test_scripts_without_spaces_are_indexed_in_pairs_and_the_last_character_alone() -> None:
    assert words_of("天気予報") == ["天気", "気予", "予報", "報"]
    assert words_of("雨 ดี 서울에서") == ["雨", "ดี", "ี", "서울", "울에", "에서", "서"]
    assert query_of("天気予報") == [("天気", False), ("気予", False), ("予報", False)]
    assert query_of("雨") == [("雨", True)]


def test_a_long_run_counts_by_its_beginning() -> None:
    assert words_of("a" * 1000 + " é" + "b" * 1000) == ["a" * 64, "e" + "b" * 63]


def test_a_query_looks_for_words_and_their_beginnings() -> None:
    assert query_of("Seattle cities") == [("seattle", False), ("seatt", True), ("cities", False), ("citi", True)]
    assert query_of("code codes") == [("code", False), ("code", True), ("codes", False)]
    assert query_of("exit 4711 a4711b run") == [
        ("exit", False), ("exit", True), ("4711", False), ("a4711b", False), ("run", False),
    ]  # fmt: skip


def test_function_words_count_only_where_there_is_nothing_else() -> None:
    assert query_of("What is the dew?") == [("dew", False)]
    assert query_of("To be or not to be") == [("not", False)]
    assert query_of("who are you") == [("who", False), ("are", False), ("you", False)]


def test_a_query_without_words_looks_for_nothing() -> None:
    assert query_of("") == query_of(' "*" — ¿? \ud800\x00') == []


def test_a_very_long_query_counts_by_its_first_and_last_words() -> None:
    found = query_of(" ".join(f"{number}" for number in range(1000)))
    assert [word for word, _ in found] == [str(number) for number in (*range(100), *range(900, 1000))]


def test_function_words_are_words_as_the_analyser_writes_them() -> None:
    assert words_of(" ".join(sorted(FUNCTION_WORDS))) == sorted(FUNCTION_WORDS)


@given(st.text())
def test_words_hold_nothing_that_an_index_could_read_as_syntax(text: str) -> None:
    for word in words_of(text):
        assert word
        assert not any(char.isspace() or (char.isascii() and not char.isalnum()) for char in word)
        assert word == word.lower() or not word.isascii()


@given(st.text())
def test_every_word_of_a_text_is_found_by_asking_with_the_text(text: str) -> None:
    words = words_of(text)
    asked = query_of(text)
    assert bool(words) == bool(asked)
    assert all(any(word.startswith(start) if begins else word == start for word in words) for start, begins in asked)
