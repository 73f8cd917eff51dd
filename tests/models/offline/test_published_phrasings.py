"""Every phrasing that `docs/offline.md` publishes for tables, and the questions beside them that are refused."""

import pytest

from tests.models.offline.conftest import Ask

HOUSES = """\
house_name,city,rent_eur,rooms,builtOn,heated,agent
Alma,Bonn,900,3,2001-05-04,yes,Ito Vale
Bruno,Kiel,700,2,2003-06-01,no,Ito Vale
Cleo,Bonn,1200,5,2003-07-09,yes,Mara Quist
Dora,Ulm,700,2,2010-01-31,yes,Mara Quist
Emil,Kiel,950,4,2010-12-01,no,Ito Vale
Frida,Ulm,,3,2015-08-20,yes,
"""

VISITS = """\
day,guide,guests
2012-12-30,Ann,3
2013-01-05,Bob,9
2013-01-06,Ann,4
2013-02-01,Ann,5
2014-05-04,Bob,1
"""

DATED = {
    "How many visits are there in 2013?": "3",
    "How many visits are there in January 2013?": "2",
    "How many visits are there before 2013?": "1",
    "How many visits are there after 2013?": "1",
    "How many visits are there since February 2013?": "2",
    "How many visits are there until 2013-01-05?": "2",
    "How many visits are there between 2012 and 2013?": "4",
    "How many visits are there on 4 May 2014?": "1",
    "How many visits are there on May 4, 2014?": "1",
    "How many days were there in 2013?": "3",
    "In 2013, which guide has the most visits?": "Ann (2)",
    "In 2013, what was the total number of guests?": "18",
    "When was the highest number of guests?": "2013-01-05 (guests 9)",
    "On which day was the lowest number of guests?": "2014-05-04 (guests 1)",
    "What is the earliest day?": "2012-12-30",
    "What is the mean number of guests per guide in 2013?": "Bob: 9; Ann: 4.5",
}

ANSWERED = {
    "How many houses are there?": "6",
    "How many houses are there in Bonn?": "2",
    "Count the houses with rent over 800.": "3",
    "What is the number of records with city Kiel?": "2",
    "What is the total number of houses in Ulm?": "2",
    "How many houses are there per city?": "Bonn: 2; Kiel: 2; Ulm: 2",
    "For each city, how many houses are there?": "Bonn: 2; Kiel: 2; Ulm: 2",
    "What is the mean rent?": "890",
    "What is the average rent in Bonn?": "1050",
    "What is the average number of rooms of the houses in Kiel?": "3",
    "What is the total rent of the houses in Kiel or Ulm?": "2350",
    "What is the sum of the rooms?": "19",
    "What is the median rent?": "900",
    "What's the highest rent in Kiel?": "950",
    "What is the lowest rent_eur?": "700",
    "What is the average rent per city?": "Bonn: 1050; Kiel: 825; Ulm: 700",
    "For each city, what is the total number of rooms?": "Bonn: 8; Kiel: 6; Ulm: 5",
    "Which house has the highest rent?": "Cleo (rent_eur 1200)",
    "Which house has the lowest rent?": "Bruno; Dora (rent_eur 700)",
    "What is the city of the house with the highest rent?": "Bonn (rent_eur 1200)",
    "Who has the highest rent?": "Cleo (rent_eur 1200)",
    "Which city has the highest average rent?": "Bonn (1050)",
    "Which city has the lowest total rent?": "Ulm (700)",
    "Which agent has the most houses?": "Ito Vale (3)",
    "Which agent has the fewest houses?": "Mara Quist (2)",
    "What is the most common agent?": "Ito Vale (3)",
    "Which cities are there?": "Bonn; Kiel; Ulm",
    "Which 2 houses have the highest rent?": "Cleo (1200); Emil (950)",
    "What are the top 2 houses by rent?": "Cleo (1200); Emil (950)",
    "List the two houses with the highest rent.": "Cleo (1200); Emil (950)",
    "List the houses in Kiel.": "Bruno; Emil",
    "Show all cities with more than 2 rooms.": "Bonn; Kiel; Ulm",
    "Name the houses whose city is Ulm.": "Dora; Frida",
    "How many different agents are there?": "2",
    "What is the rent of Alma?": "900",
    "What is the rent of \"Alma\"?": "900",
    "How many rooms does Cleo have?": "5",
    "Who is the agent of Dora?": "Mara Quist",
    "When was Alma built on?": "2001-05-04",
    "How many houses with a rent of at most 900 are there?": "3",
    "How many houses with fewer than 4 rooms are there?": "4",
    "How many houses with at least 4 rooms are there?": "2",
    "How many houses have exactly 2 rooms?": "2",
    "How many houses are there with rooms between 3 and 4?": "3",
    "How many houses are there where rent >= 900?": "3",
    "How many houses are there where city is not Bonn?": "4",
    "How many houses are there whose house name contains \"r\"?": "3",
    "How many houses are there where rent is empty?": "1",
    "How many houses are heated?": "4",
    "How many houses are not heated?": "2",
    "How many houses are there with city = ulm and rent under 800?": "1",
    "How many houses were built on 2003-06-01?": "1",
    "How many houses were built on in 2003?": "2",
    "How many houses were built on before 2010?": "3",
    "How many houses with built on after 2010 are there?": "1",
    "How many houses were built on since December 2010?": "2",
    "How many houses were built on in July 2003?": "1",
    "How many houses are there whose built on is between 2003 and 2010?": "4",
    "How many houses were built on on 4 May 2001?": "1",
    "Please tell me the average rent in Bonn": "1050",
    "How many houses in houses.csv are in Bonn?": "2",
}  # fmt: skip

REFUSED = {
    "What is the rent?": "of which row",
    "What is the average size?": "did not understand 'size'",
    "How many houses are there in Köln?": "did not understand 'Köln'",
    "How many old houses are there?": "did not understand 'old'",
    "What is the average city?": "it is text",
    "Which city has an average rent over 800?": "a computed value is not compared",
    "How many houses are there in Bonn and with city Kiel?": "two values of one column",
    "How many houses are there where agent is not Ito Vale?": "has empty cells",
    "What is the mean rent in Bonn and Kiel?": "together or one by one",
    "How many houses were built on in March?": "of which year",
    "How many houses are there in 2003?": "name the column, such as 'builtOn'",
    "When was the highest rent?": "there is no one column of dates",
    "Which 2 houses have the lowest rooms per city?": "did not understand",
    "Which 3 houses have the highest rent in Kiel?": "only 2 rows",
    "Which 2 houses have the lowest rooms and which 3 the highest?": "did not understand",
    "List the top 4 houses by rent.": "tie at place 4",
    "How many rooms are there?": "whether the rows or the values",
    "What is the rent in Kiel?": "with different values",
    "Which agent has the most rent?": "highest total",
    "What is the average rent and the average rooms?": "did not understand",
    "How many houses are neither in Bonn nor in Kiel?": "did not understand",
    "What percentage of the houses is in Bonn?": "did not understand",
    "How many houses have more rooms than Alma?": "did not understand",
    "What is the average rent of houses with more than 90 m rooms?": "does not say that it is in 'm'",
    "Is the average rent over 800?": "",
    "How many houses are there from Bonn without Alma?": "did not understand 'without'",
    "What is the average rent limit?": "did not understand 'limit'",
    "What is the rent of its agent?": "did not understand 'its'",
    "What is the average rent by city and agent?": "did not understand",
    "Which house has the second highest rent?": "did not understand",
    "What is the double of the rent of Alma?": "did not understand 'double'",
}


@pytest.mark.parametrize("question", ANSWERED)
async def test_a_published_phrasing_is_answered(question: str, ask: Ask) -> None:
    answer = await ask(question, {"houses.csv": HOUSES})
    assert answer.startswith("[houses.csv: rows "), answer
    assert answer.partition("): ")[2] == ANSWERED[question], answer


FLIGHTS = """\
flight,airline,seats,delay_minutes
LH1,Alpha,120,5
LH1,Alpha,98,0
EW7,Beta,180,35
"""


async def test_a_column_that_is_called_like_the_rows_is_not_taken_for_them(ask: Ask) -> None:
    files = {"flights.csv": FLIGHTS}
    ambiguous = await ask("How many flights are there?", files)
    assert "count of rows / distinct of flight" in ambiguous or "distinct of flight / count of rows" in ambiguous
    assert (await ask("What is the average delay of the flights?", files)).endswith(": 13.3333333333")
    assert (await ask("Which flight has the highest delay?", files)).endswith(": EW7 (delay_minutes 35)")
    assert (await ask("How many different flights are there?", files)).endswith(": 2")
    single = {"planes.csv": "plane,seats\nA,3\nB,4\n"}
    assert (await ask("How many planes are there in planes.csv?", single)).endswith("count of rows (2 of 2 rows): 2")


async def test_plural_questions_list_and_both_at_once_is_not_one_of_them(ask: Ask) -> None:
    files = {"flights.csv": FLIGHTS}
    assert (await ask("What are the airlines?", files)).endswith(": Alpha; Beta")
    assert (await ask("What are the seats of LH1?", files)).endswith(": 120; 98")
    assert (await ask("How many rows are Alpha and Beta?", files)).startswith("cannot answer: ")
    assert (await ask("How many rows are there for Alpha and Beta?", files)).endswith(": 3")


@pytest.mark.parametrize("question", DATED)
async def test_a_date_needs_no_column_where_rows_are_days_or_events(question: str, ask: Ask) -> None:
    answer = await ask(question, {"visits.csv": VISITS})
    assert answer.partition("): ")[2] == DATED[question], answer


@pytest.mark.parametrize("question", REFUSED)
async def test_what_is_not_understood_is_refused_with_the_reason(question: str, ask: Ask) -> None:
    answer = await ask(question, {"houses.csv": HOUSES})
    assert answer.startswith("cannot answer: "), answer
    assert REFUSED[question] in answer
