"""Which questions are expressions, and which only hold numbers."""

import pytest

from stratagem.models.offline.arithmetic import expression
from tests.models.offline.conftest import Ask

SUMS = {
    "What is 15% of 80?": "15% of 80",
    "17 * 23": "17 * 23",
    "What's (3+4)/2?": "(3 + 4) / 2",
    "Calculate 12 divided by 4": "12 / 4",
    "What is 12 multiplied by 4?": "12 * 4",
    "how much is 7 plus 8 minus 2?": "7 + 8 - 2",
    "What is the result of 1,000 times 3?": "1,000 * 3",
    "Compute 2 to the power of 10.": "2 ** 10",
    "2^10 =": "2^10",
    "What is the square root of 16?": "sqrt(16)",
    "What is 20 percent of 50?": "20% of 50",
    "7 × 8": "7 × 8",
    "5 - 3": "5 - 3",
}
NONE = (
    "What is 42?",
    "What is the price of 3 of 4 items?",
    "2014-03-05",
    "What is x + 1?",
    "How many rooms are over 5?",
    "What is 5 of 10?",
    "",
    "?",
    "What is 3 apples plus 4 apples?",
)


@pytest.mark.parametrize("question", SUMS)
def test_an_expression_is_found(question: str) -> None:
    assert expression(question) == SUMS[question]


@pytest.mark.parametrize("question", NONE)
def test_anything_else_is_no_expression(question: str) -> None:
    assert expression(question) is None


async def test_the_calculator_computes_it_exactly(ask: Ask) -> None:
    assert await ask("What is 15% of 80?", {}) == "[calculate: 15% of 80 = 12] 15% of 80 = 12"
    assert await ask("What is the square root of 16?", {}) == "[calculate: sqrt(16) = 4] sqrt(16) = 4"
    assert await ask("What is 2 to the power of 10?", {}) == "[calculate: 2 ** 10 = 1024] 2 ** 10 = 1024"
    assert await ask("2^10 =", {}) == "[calculate: 2^10 = 1024] 2^10 = 1024"


async def test_what_cannot_be_calculated_is_refused(ask: Ask) -> None:
    assert (await ask("What is 1 / 0?", {})).startswith("cannot answer: `calculate` failed: ")
    assert (await ask("What is 9 ** 9 ** 9 ** 9?", {})).startswith("cannot answer: `calculate` failed: ")
