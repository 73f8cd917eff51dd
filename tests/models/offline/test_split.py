"""Sub-questions: made of the question's own words, each understandable alone."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.models.offline.split import MOST, parts_of

SPLIT = {
    "What is the mean price? How many rooms are there?": ("What is the mean price?", "How many rooms are there?"),
    "How many orders are there, and what is the total price?": (
        "How many orders are there?", "What is the total price?",
    ),
    "How many orders are there and how many customers are there?": (
        "How many orders are there?", "How many customers are there?",
    ),
    "List the cities, then count the orders in Bonn.": ("List the cities?", "Count the orders in Bonn."),
    "What is the mean and the maximum of wind in 2013?": (
        "What is the mean of wind in 2013?", "What is the maximum of wind in 2013?",
    ),
    "What are the minimum, mean and maximum price?": (
        "What is the minimum price?", "What is the mean price?", "What is the maximum price?",
    ),
    "When was it built?\nWho built the mill?": ("When was it built?", "Who built the mill?"),
    "Which city has the highest rent and which city has the lowest rent?": (
        "Which city has the highest rent?", "Which city has the lowest rent?",
    ),
    "Who built the mill and who built the dam?": ("Who built the mill?", "Who built the dam?"),
    "How many rows are there and in which city is the highest rent?": (
        "How many rows are there?", "In which city is the highest rent?",
    ),
    "How many rooms are there, and list the cities.": ("How many rooms are there?", "List the cities."),
    "What does code 4 mean; what does code 5 mean?": ("What does code 4 mean?", "What does code 5 mean?"),
}  # fmt: skip

WHOLE = (
    "How many orders are from Kiel and Bonn?",
    "How many orders have price over 5 and city Kiel?",
    "Which city has the highest price and what is its rent?",
    "What is the mean price and how does it compare with the median?",
    "How many houses are there in Bonn and whose rent is over 5?",
    "How many houses are there in Bonn and where rent is over 5?",
    "Which house has the highest rent in Bonn and which has 3 rooms?",
    "List the houses which are in Bonn and which Anna bought.",
    "How many people who live in Bonn and who own a car are there?",
    "How many days are there when it rained and when the wind blew?",
    "List the city and name of the houses",
    "What is the mean and count of price?",
    "How many houses are there with 3 rooms and how?",
    "Who built the mill and when did they do that?",
    "Prices are high. What is the mean price?",
    'What does "and what is next" mean?',
    "How many days had rain and snow?",
    "What is the red and blue price?",
    "Write a poem and list the cities",
    "One of 1.5 and 2.5.",
    "日本語の質問",
)


@pytest.mark.parametrize("question", SPLIT)
def test_a_question_is_cut_where_a_new_one_begins(question: str) -> None:
    assert parts_of(question) == SPLIT[question]


@pytest.mark.parametrize("question", WHOLE)
def test_what_cannot_stand_alone_is_not_cut(question: str) -> None:
    assert parts_of(question) == (question,)


def test_there_are_at_most_six_parts_and_nothing_is_lost() -> None:
    question = " ".join(f"What is the price of item{number}?" for number in range(9))
    parts = parts_of(question)
    assert len(parts) == MOST
    assert " ".join(parts) == question


@given(st.text(alphabet="abc ?.!,;\n\"'and whtislx0", max_size=200))
def test_parts_hold_only_words_of_the_question_on_one_line_each(question: str) -> None:
    parts = parts_of(question)
    assert len(parts) <= MOST
    known = set(re.findall(r"\w+", question.casefold())) | {"is", "was"}
    assert all(set(re.findall(r"\w+", part.casefold())) <= known for part in parts)
    assert not any("\n" in part for part in parts)


def test_a_megabyte_is_no_question() -> None:
    assert len(parts_of("what and " * 120_000)) == 1
