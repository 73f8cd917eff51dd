"""The page about comparing lists the suites and the parameters of `sim:` that there are."""

import pkgutil
from dataclasses import fields

from stratagem import tasks
from stratagem.models._competence import _RANGES, Competence
from stratagem.tasks import suite
from stratagem.tasks._suite import EXAMPLES
from tests.docs.test_tables import rows

PAGE = "docs/manual/comparing.md"


def test_the_manual_lists_every_suite_and_how_many_items_it_has() -> None:
    listed = rows(PAGE, "| suite | about | items of level 1, 2, 3 |")
    names = [row[0].strip("`| ") for row in listed]
    assert names == sorted(info.name for info in pkgutil.iter_modules(tasks.__path__) if info.name[0] != "_")
    for name, row in zip(names, listed, strict=True):
        made = suite(name)
        counts = ", ".join(f"{made.sizes[level] - EXAMPLES:,}" for level in made.levels) if made.sizes else "no end"
        assert [one.strip("| ") for one in row[1:]] == [made.about, counts]


def test_the_manual_lists_every_parameter_of_a_simulated_model() -> None:
    listed = rows(PAGE, "| parameter | default | range | meaning |")
    assert [row[0].strip("`| ") for row in listed] == [field.name for field in fields(Competence)]
    for field, row in zip(fields(Competence), listed, strict=True):
        low, high = _RANGES[field.name]
        assert row[2] == ("at least 0" if high > 1e7 else f"{low:,.0f} to {high:,.0f}")
        if field.default is not None:
            assert row[1] == f"{field.default:g}"
