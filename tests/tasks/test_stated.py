"""What is taken for the answer of a free reply, and what is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.tasks._stated import announced, phrase, short

CAPITAL = "What is the capital of France?"
RIVER = "Which river flows through Rome?"


@pytest.mark.parametrize(
    ("question", "text", "found"),
    [
        (CAPITAL, "Paris", "paris"),
        (CAPITAL, "The capital is Paris.", "paris"),
        (CAPITAL, "The capital of France is **Paris**.", "paris"),
        (CAPITAL, "Paris is the capital of France.", "paris"),
        (CAPITAL, "It's Paris", "paris"),
        (CAPITAL, "It isn’t Paris", "isn't paris"),
        (CAPITAL, 'It is "Paris"!', "paris"),
        (CAPITAL, "France lies in Europe. Its capital is Paris.", "paris"),
        (CAPITAL, "Rome?\nNo.\nAnswer: Paris", "paris"),
        (CAPITAL, "**Answer:** Paris\nI hope that this helps.", "paris"),
        (CAPITAL, "Final answer:\n\n  Paris", "paris"),
        (CAPITAL, "So the answer is Paris.", "paris"),
        (CAPITAL, "The answer is Rome. No: the answer is Paris.", "paris"),
        (CAPITAL, "$\\boxed{Paris}$ it is", "paris"),
        (CAPITAL, "Answer: Rome, or rather \\boxed{Paris}", "paris"),
        (CAPITAL, "An answer would be long.", "answer would be long"),
        (CAPITAL, "not Paris", "not paris"),
        (CAPITAL, "The capital is not Paris.", "capital is not paris"),
        (CAPITAL, "Paris is not the capital.", "paris is not the capital"),
        (CAPITAL, "Either Paris or Rome.", "either paris or rome"),
        (CAPITAL, "Paris, Rome, Berlin", "paris rome berlin"),
        (CAPITAL, "The capital of France", "the capital of france"),  # nothing is left, so all is kept: it is no key
        (CAPITAL, "", None),
        (CAPITAL, " \n ?! \n", None),
        (RIVER, "The Tiber flows through Rome.", "tiber"),
        (RIVER, "the Tiber", "tiber"),
        ("Which is older, Rome or Paris?", "Rome", "rome"),
        ("Which is older, Rome or Paris?", "Rome or Paris", "rome or paris"),
        ("Where was Pushkin shot?", "In St. Petersburg", "in st petersburg"),
        ("What city never sleeps?", "New York City", "new york"),
        (CAPITAL, "We think that the answer is Paris.", "paris"),
        (CAPITAL, "It is not Rome, so the answer is Paris.", "paris"),
        (CAPITAL, "### Final answer\nParis", "paris"),
        (CAPITAL, "Rome is in Italy.\nParis", "paris"),
        (CAPITAL, "Paris.\nParis", "paris"),
        (CAPITAL, "\\boxed{\\text{Paris}}", "paris"),
        (CAPITAL, "So the answer is $\\boxed{\\textbf{Paris}}$", "paris"),
        ("How much is a half of it?", "\\boxed{\\frac{1}{2}}", "1/2"),
        ("How much is it?", "It is .5", ".5"),
        ("What was the score?", "3–1", "3-1"),
        (CAPITAL, "- Paris", "paris"),
        (CAPITAL, "* Paris", "paris"),
        (CAPITAL, "• **Paris**", "paris"),
        (CAPITAL, "1. Paris", "paris"),
        (CAPITAL, "1) The capital is Paris.", "paris"),
        (CAPITAL, "The capital is:\n- Paris", "paris"),
        (CAPITAL, "Answer:\n- Paris\nI hope that this helps.", "paris"),
        (CAPITAL, "2. Paris", "2 paris"),  # the second of what?
        ("How cold is it?", "- 5 degrees", "- 5 degrees"),  # a minus, or not
        (CAPITAL, "The capital city is Paris", "paris"),
        (CAPITAL, "The capital city of France is Paris.", "paris"),
        (CAPITAL, "The name of the capital city would be Paris.", "paris"),
        (CAPITAL, "Paris is the capital city of France.", "paris"),
        (CAPITAL, "The answer would be Paris", "paris"),
        (CAPITAL, "The correct answer should be: Paris", "paris"),
        (CAPITAL, "That would be Paris", "paris"),
        (CAPITAL, "That'd be Paris", "paris"),
        (CAPITAL, "It’s Paris", "paris"),
        (CAPITAL, "The largest city is Paris", "largest city is paris"),
        (CAPITAL, "The capital city is not Paris", "capital city is not paris"),
        (CAPITAL, "The answer would be Paris or Rome", "paris or rome"),
        ("Which song is it?", "The King Is Dead", "king is dead"),  # a noun that the question has not, by itself, is no subject
    ],
)  # fmt: skip
def test_what_a_reply_states(question: str, text: str, found: str | None) -> None:
    said = phrase(question, text)
    assert (said and said.casefold()) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("A wrong answer is Paris.", "wrong answer is Paris"),
        ("A popular but incorrect answer was: Paris", "popular but incorrect answer was Paris"),
        ("Some people say the answer is Paris", "Some people say the answer is Paris"),
        ("One might think the answer: Paris", "One might think the answer Paris"),
        ("It is not \\boxed{Paris}", "not \\boxed{Paris}"),
        ("It isn't Paris", "isn't Paris"),
        ("It ain’t Paris", "ain't Paris"),
        ("It dont be Paris", "dont be Paris"),
        ("A popular answer was:\nParis", None),
        ("It is not:\nParis", None),
        ("It is not\n\nParis", None),
        ("Anything but\nParis", None),
        ("All but\nParis", None),
        ("These are wrong: Rome, Bonn,\nParis", None),
        ("Each of the following is incorrect.\nParis", None),
        ("The answer is certainly not the following city. Paris.", None),
        ("London. Vienna. Paris.", None),
        ("Answer: London. Vienna. Paris.", None),
        ("London\nVienna\nParis", None),
        ("1. London\n2. Vienna\n3. Paris", None),
        ("- London\n- Vienna\n- Paris", None),
        ("Paris\nLondon", None),
        ("Is it Paris?", None),
        ("Lyon is the capital rather than\nParis", None),
        ("Instead of\nParis", None),
        ("London? Vienna? Paris!", None),
        ("It is not:\n- Paris", None),
        ("Answer:\n- Paris\n- Rome", None),
        ("Answer:\n1. Rome\n2. Paris", None),
        ("- The beautiful city of Rome\n- The even more beautiful city of Paris", None),
        ("The answer would not be Paris", "answer would not be Paris"),
        ("The wrong answer would be Paris", "wrong answer would be Paris"),
        ("- not Paris", "not Paris"),
    ],
)
def test_what_is_denied_or_listed_or_asked_is_not_stated(text: str, found: str | None) -> None:
    assert phrase(CAPITAL, text) == found


def test_a_denial_in_the_question_is_not_left_off() -> None:
    assert phrase("Which gas giant isn't Saturn?", "It isn't Jupiter.") == "isn't Jupiter"
    assert phrase("Which is not a planet, Pluto or Mars?", "Not Mars") == "Not Mars"
    assert phrase("Which is not a planet, Pluto or Mars?", "Pluto is not a planet.") == "Pluto is not a planet"


@pytest.mark.parametrize(
    ("question", "text", "found"),
    [
        ("How many meters are 5 kilometers?", "5000 meters", "5000"),
        ("How many meters are 5 kilometers?", "5000", "5000"),
        ("How many meters are 5 kilometers?", "5 kilometers are 5000 meters.", "5000"),
        ("How many meters are 5 kilometers?", "5000 kilometers", "5000 kilometers"),
        ("How many meters are 5 kilometers?", "5 5000 meters", "5 5000"),
        ("How many meters are two kilometers?", "two thousand kilometers", "two thousand kilometers"),
        ("How many apples and how many pears?", "5 pears", "5 pears"),
        ("How hot is 0 Celsius in degrees Fahrenheit?", "32 degrees Celsius", "32 degrees Celsius"),
        ("How cold is it in degrees, above or below zero?", "It is 60 degrees above zero.", "60 degrees above zero"),
        ("How much is it up or down?", "It is up 5", "up 5"),
        ("How much is it up or down by?", "down by 5", "down by 5"),
        ("How much USD is EUR 5?", "EUR 6", "EUR 6"),
        ("In what year was Rome founded?", "Rome was founded in 753 BC", "753 BC"),
        ("How much is -5 plus 3?", "-5 plus 3 is −2 units", "-2 units"),
        ("How many hours has a day?", "A day has 24 hours.", "24"),
    ],
)  # fmt: skip
def test_what_a_number_counts_is_not_left_off(question: str, text: str, found: str) -> None:
    assert phrase(question, text) == found


@pytest.mark.parametrize(
    ("question", "text", "found"),
    [
        ("What is the capital of Australia, Sydney or Canberra?", "Canberra", "canberra"),
        ("What is the capital of Australia, Sydney or Canberra?", "It is Canberra.", "canberra"),
        ("What is the capital of Australia, Sydney or Canberra?", "The capital is Canberra.", "canberra"),
        ("What is the capital of Australia, Sydney or Canberra?", "Canberra, not Sydney.", "canberra not sydney"),
        ("What is the capital of Australia, Sydney or Canberra?", "It is Sydney or Canberra.", "sydney or canberra"),
        ("What is the capital of Australia, Sydney or Canberra?", "Sydney. Canberra.", None),
        ("Which is larger, the Sun or the Moon?", "the Sun", "sun"),
        ("Which is larger, the Sun or the Moon?", "Sun", "sun"),
        ("Which is larger, the Sun or the Moon?", "The Sun is larger.", "sun"),
        ("Which is larger, the Sun or the Moon?", "The Sun is smaller.", "sun is smaller"),
        ("Which is larger, the Sun or the Moon?", "The Sun is larger than the Moon.", "sun is larger than the moon"),
        ("Is the Sun larger or smaller than the Moon?", "The Sun is larger than the Moon.", "larger"),
        ("Is the Sun larger or smaller than the Moon?", "The Moon is larger than the Sun.", "moon is larger than the sun"),
        ("Who wrote it: Emily Bronte, Charlotte Bronte or Anne Bronte?", "Emily Bronte wrote it.", "emily bronte"),
        ("Who wrote it: Emily Bronte, Charlotte Bronte or Anne Bronte?", "Emily", "emily"),
        ("Which is older, York or New York?", "New York is older.", "new york"),
        ("Which is older, York or New York?", "York", "york"),
        ("Is it more or less than half?", "It is less than half.", "less"),
        ("Did the north or the south win?", "the north", "north"),
        ("Is Rome or Paris older?", "Rome is older.", "rome"),
        ("Is the answer Yes or No or Maybe?", "Maybe", "maybe"),
    ],
)  # fmt: skip
def test_of_several_options_the_only_one_that_is_named_is_stated(question: str, text: str, found: str | None) -> None:
    said = phrase(question, text)
    assert (said and said.casefold()) == found


def test_where_answers_begin_with_a_number_it_is_no_mark_of_a_list() -> None:
    assert phrase("When is Labour Day?", "1. May", numbered=True) == "1 May"
    assert phrase("When is Labour Day?", "1. May") == "May"


@given(st.text(max_size=60), st.text(max_size=40))
def test_the_key_is_always_right_by_itself_and_when_it_is_announced(question: str, key: str) -> None:
    one_line = " ".join(key.split())
    if "answer" in one_line.lower() or "boxed" in one_line:
        return
    said = phrase(question, one_line)
    assert said == phrase(question, f"Let me think.\nAnswer: {one_line}") or said is None


@given(st.text(max_size=200))
def test_any_text_is_read_without_an_error(text: str) -> None:
    announced(text)
    found = phrase("What?", text)
    assert found is None or found == " ".join(found.split())


def test_sentences_and_long_texts_are_no_short_answers() -> None:
    assert short(["Paris", "the Tiber", "in St. Petersburg"])
    assert not short(["Paris", "All men are mortal."])
    assert not short(["a b c d e f g"])
