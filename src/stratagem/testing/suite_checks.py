"""What every task suite must pass, ours and those of other packages.

`check_suite(suite)` runs all checks and raises `AssertionError` for what does not hold. One test per check says more:
`@pytest.mark.parametrize("check", CHECKS)` over `def test_my_suite(check): check(MySuite())`. A comparison runs the same checks
on a few items of its level before it asks a model.
"""

from stratagem.tasks._checks import (
    CHECKS,
    ITEMS,
    JUNK,
    a_letter_of_the_key_is_no_answer,
    a_number_beside_the_key_is_wrong,
    a_public_checker_agrees_with_the_scorer,
    answers_of_others_score_at_their_true_rate,
    check_suite,
    equal_seeds_give_equal_items,
    every_item_can_be_solved,
    random_text_scores_nothing,
    steps_lead_where_they_say,
    the_constant_answer_is_published,
    the_oracle_tells_right_from_wrong,
    the_order_of_options_has_no_effect,
    the_question_says_all,
    the_task_has_no_key,
    what_is_no_answer_scores_nothing,
    what_is_no_question_is_not_read,
    who_names_many_answers_has_named_none,
    wrong_answers_are_wrong,
)

__all__ = [
    "CHECKS",
    "ITEMS",
    "JUNK",
    "a_letter_of_the_key_is_no_answer",
    "a_number_beside_the_key_is_wrong",
    "a_public_checker_agrees_with_the_scorer",
    "answers_of_others_score_at_their_true_rate",
    "check_suite",
    "equal_seeds_give_equal_items",
    "every_item_can_be_solved",
    "random_text_scores_nothing",
    "steps_lead_where_they_say",
    "the_constant_answer_is_published",
    "the_oracle_tells_right_from_wrong",
    "the_order_of_options_has_no_effect",
    "the_question_says_all",
    "the_task_has_no_key",
    "what_is_no_answer_scores_nothing",
    "what_is_no_question_is_not_read",
    "who_names_many_answers_has_named_none",
    "wrong_answers_are_wrong",
]
