"""Questions that a careless reader answers wrongly: each is answered rightly or refused."""

import pytest

from tests.models.offline.conftest import Ask

ORDERS = {
    "orders.csv": "order,customer,amount,status\n101,Ann,10,open\n102,Bob,20,closed\n103,Ann,30,closed\n104,Cy,40,lost\n"
}
STAFF = {"staff.csv": "name,boss,salary,city\nAnn,Bob,10,Oslo\nBob,Cy,20,Rome\nCy,Di,30,Bonn\nDi,,40,Oslo\n"}
PEOPLE = {"people.csv": "person,mother,age,city\nAnn,Eve,10,Oslo\nBob,Ann,20,Rome\nEve,Ida,50,Bonn\nIda,Zoe,70,Bonn\n"}
HEADS = {"departments.csv": "id,name,head\n1,Tech,Bob\n2,Sales,Cy\n3,Law,Di\n"}
LANDS = {"countries.csv": "country,capital,population\nItaly,Rome,60\nFrance,Paris,67\n"}
REFUSED = "cannot answer: "


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("How many orders are open?", "1"),
        ("How many orders does Bob have?", "1"),
        ("How many orders does Ann have?", "2"),
        ("What is the total number of orders?", "4"),
        ("What is the total amount of the orders?", "100"),
        ("Which customer has the fewest orders?", "Bob (1); Cy (1)"),
        ("What is the average number of orders per customer?", REFUSED),
        ("What is the total order?", REFUSED),
        ("What is the highest number of orders?", REFUSED),
        ("Which customer has the highest order?", REFUSED),
        ("What is the order of Bob?", REFUSED),
        ("What are the top 2 customers by order?", REFUSED),
    ],
)
async def test_numbers_of_rows_are_neither_added_nor_taken_for_counts(question: str, said: str, ask: Ask) -> None:
    answer = await ask(question, ORDERS)
    assert answer.startswith(REFUSED) if said == REFUSED else answer.endswith(f"): {said}"), answer


async def test_numbers_of_rows_are_known_where_the_file_is_called_otherwise(ask: Ask) -> None:
    files = {"shop.csv": ORDERS["orders.csv"]}
    for question in (
        "How many orders are open?",
        "How many orders does Bob have?",
        "What is the total number of orders?",
    ):
        answer = await ask(question, files)
        assert answer.startswith(REFUSED), answer


async def test_amounts_that_are_called_like_the_file_are_not_taken_for_rows(ask: Ask) -> None:
    files = {"pupils.csv": "pupils,room\n20,A\n30,B\n25,C\n40,D\n"}
    for question in ("What is the total number of pupils?", "How many pupils are there?"):
        assert (await ask(question, files)).startswith(REFUSED)
    assert (await ask("What is the total pupils?", files)).endswith("): 115")


@pytest.mark.parametrize(
    "question",
    [
        "What is the salary of the boss of Cy?",
        "Who is the boss of the boss of Cy?",
        "What is the salary of Cy's boss?",
        "What is the average salary of the boss of Cy?",
        "What is the salary of the boss Cy?",
        "What is the city of the boss of Ann?",
        "What is the salary of Oslo?",
    ],
)
async def test_a_relation_is_not_read_backwards(question: str, ask: Ask) -> None:
    assert (await ask(question, STAFF)).startswith(REFUSED)


@pytest.mark.parametrize(
    "question",
    [
        "What is the average age of the mother of Ann?",
        "What is the city of the mother of Ann?",
        "What is the age of Ann's mother?",
        "What is the age of Zoe?",
        "What is the average age for Zoe?",
    ],
)
async def test_a_relative_is_another_row(question: str, ask: Ask) -> None:
    assert (await ask(question, PEOPLE)).startswith(REFUSED)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("Who is the boss of Cy?", "Di"),
        ("What is the salary of Cy?", "30"),
        ("List the names whose boss is Cy.", "Bob"),
    ],
)
async def test_a_relation_is_read_forwards(question: str, said: str, ask: Ask) -> None:
    assert (await ask(question, STAFF)).endswith(f"): {said}")


async def test_a_value_of_which_something_is_asked_names_a_row(ask: Ask) -> None:
    for question in ("Who is the head of Bob?", "What is the id of Cy?", "What is the name of Bob?"):
        assert (await ask(question, HEADS)).startswith(REFUSED)
    assert (await ask("Who is the head of Tech?", HEADS)).endswith("): Bob")
    for question in (
        "What is the population of Rome?",
        "What is the total population of Rome?",
        "What is the capital of Rome?",
    ):
        assert (await ask(question, LANDS)).startswith(REFUSED)
    assert (await ask("What is the population of Italy?", LANDS)).endswith("): 60")


async def test_who_is_no_boss_because_a_column_has_a_name_in_its_name(ask: Ask) -> None:
    files = {"staff.csv": "employee,boss_name,salary\nAnn,Bob,10\nCy,Di,30\nEd,Di,20\n"}
    assert (await ask("Who has the highest salary?", files)).startswith(REFUSED)
