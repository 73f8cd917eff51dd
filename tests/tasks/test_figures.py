"""Which number, and which yes or no, is taken for the answer of a free reply, and which is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stratagem.tasks._figures import figure, number, verdict


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("12", 12), ("It is 12.", 12), ("6 + 6 = 12", 12), ("2+3=5", 5), ("**12**", 12), ("#### 42", 42), ("#### 1,072", 1072),
        ("$1,234.50", 1234.5), ("1,234,567.", 1234567), ("-5", -5), ("−5", -5), ("-$5", -5), ("$-5", -5), ("+5", 5),
        (".5", 0.5), ("The answer is .5", 0.5), ("1/2", 0.5), ("Answer: -1/2.", -0.5), ("\\boxed{\\frac{1}{2}}", 0.5),
        ("\\boxed{-\\dfrac{3}{4}}", -0.75), ("$\\boxed{1{,}200}$", 1200), ("It costs $5$.", 5), ("\\(5\\)", 5),
        ("1.2e5", 120000), ("5e-1", 0.5), ("5 million", 5e6), ("1.5 thousand.", 1500), ("two dozen or 24", None),
        ("50%", 50), ("50 %", 50), ("50\\%", 50), ("12cm", 12), ("30°", 30), ("5 €", 5), ("5€", 5),
        ("Step 3: 12", 12), ("a) 4 b) 5", 5), ("6 apples in 5 days", 5), ("Answer: 4\nStep 3", 4), ("12\n12", 12), ("<answer>12</answer>", 12), ("x = 12", 12),
        ("* 12", 12), ("• 12", 12), ("1. 12", 12), ("The answer would be 12", 12), ("That would be 12.", 12),
        ("We get 6 + 6 = 12 apples so the answer is 12.\nI like 3.", 12), ("The answer is 3. No: the answer is 4", 4),
    ],
)  # fmt: skip
def test_what_is_a_number_is_read(text: str, found: float | None) -> None:
    assert number(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "", "none", "10-5", "10–5", "3 - 5", "10 minus 5", "2024-12-5", "2024-01-05", "x2", "H3", "sqrt(3)", "√3", "10^2", "10³",
        "1:2", "1 1/2", "1.2 × 10^5", "1.2 × 10", "5 × x", "$5k", "5M", "5th", "1.234.567", "1 234 567", "1'234'567", "0,5", "12,3",
        "1/0", "1e999", "-$-5", "9" * 400, "12 or 13", "13 or 12", "between 12 and 13", "12 to 13", "11, 12, 13", "11\n12\n13",
        "5 out of 50", "- 12", "Answer:\n- 12\n- 13", "5 * 12", "Answer:\n1. 12\n2. 13", "½", "≠ 12", "!= 12", "x!=12", "x>=12", "<12", "> 12", "less than 12",
    ],
)  # fmt: skip
def test_a_part_of_a_number_is_no_number(text: str) -> None:
    assert number(text) is None


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("The answer is not 12", None), ("It isn't 12.", None), ("It isn’t 12.", None), ("13 (not 12)", None),
        ("12 is not the answer", None), ("12 is wrong.", None), ("A wrong answer is 12", None), ("A popular answer was: 12", None),
        ("It is not:\n12", None), ("Anything but\n12", None), ("It is never\n\n12", None), ("not \\boxed{12}", None), ("rather than\n12", None),
            ("12?", None), ("Is it 12 apples?", None),
        ("It is not 5, it is 6.", 6), ("There are not 4 but 12", 12), ("He did not sell any, so 12 remain.", 12),
        ("It is not 5.\n6", 6), ("Answer: 13. I am not sure.", 13),
    ],
)  # fmt: skip
def test_a_number_that_is_denied_is_not_stated(text: str, found: float | None) -> None:
    assert number(text) == found


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_is_read_as_it_is_written(value: float) -> None:
    found = figure(repr(value))
    assert found is not None
    assert found == number(f"The answer is {value!r}.")
    assert float(found) == value


@given(st.integers(-(10**300), 10**300))
def test_whole_numbers_are_read_exactly(value: int) -> None:
    assert figure(str(value)) == number(f"The answer is {value:,}.") == value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("9007199254740993", 9007199254740993), ("9007199254740993.0", 9007199254740993), ("1e23", 10**23),
        ("9007199254740993.5", None),  # as a float it is whole, and that is not what was written
        ("0.99999999999999999999", None), ("1e-999999999", None), ("1e999999999", None), ("0e5", 0), ("2.3 million", 2300000),
        ("12345678901234567 thousand", 12345678901234567000), ("1.1 dozen", 13.2), ("9007199254740993/1", 9007199254740993),
        ("1" * 5000 + "/" + "1" * 5000, None), ("." + "0" * 400 + "1", None),
    ],
)  # fmt: skip
def test_what_a_float_does_not_hold_is_not_rounded(text: str, found: float | None) -> None:
    assert number(text) == found


@given(st.text(max_size=80))
def test_any_text_is_read_without_an_error(text: str) -> None:
    assert number(text) is None or isinstance(number(text), float)
    assert verdict(text) in (None, True, False)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("yes", True), ("No.", False), ("It is true.", True), ("That is false", False), ("I say no", False),
        ("Yes, no doubt.", True), ("It is not true.", None), ("The answer is not yes", None), ("No, yes is wrong", None),
        ("It is not:\nyes", None), ("no idea", None), ("", None), ("Yes. Or no.", False), ("Is it true?", None),
    ],
)  # fmt: skip
def test_which_yes_or_no_is_stated(text: str, found: bool | None) -> None:
    assert verdict(text) is found
