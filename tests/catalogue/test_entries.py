from collections import Counter

from stratagem.catalogue import entries


def test_every_published_system_is_listed_once_with_all_its_fields() -> None:
    listed = entries()
    assert len(listed) == 519
    assert all(entry.id == number for number, entry in listed.items())
    assert all(entry.name and entry.family and entry.mechanism for entry in listed.values())
    assert Counter(entry.category for entry in listed.values()) == {
        "I": 156, "T": 108, "B": 99, "E": 86, "S": 36, "X": 25, "F": 9,
    }  # fmt: skip


def test_quotation_marks_in_a_row_are_text() -> None:
    entry = entries()["RE01"]
    assert entry.name == "Intermediate-steps / plan-first prompting (GPT-4 arithmetic probe)"
    assert '"write all intermediate steps first"' in entry.mechanism


def test_the_order_is_that_of_the_catalogue() -> None:
    assert list(entries())[:3] == ["PL01", "PL02", "PL03"]
    assert list(entries())[-1] == "P156"
