import pytest

from scripts import lock

PROJECT = {
    "project": {"dependencies": ["click >=8.2"]},
    "dependency-groups": {"dev": ["pytest>=9", "ruff"], "docs": ["z==1"]},
}
WANTED = ["click>=8.2", "pytest>=9", "ruff"]
GOOD = f"# Written by hand\n# wanted: {lock.digest(WANTED)}\nclick==8.3\npytest==9.1\nruff==1\nidna==3\n"
INSTALLED = {"click": "8.3", "pytest": "9.1", "ruff": "1", "other": "5"}


def test_direct_requirements_are_the_packages_own_and_those_of_the_group() -> None:
    assert lock.wanted(PROJECT, ("dev",)) == WANTED
    assert lock.wanted(PROJECT, ("docs",)) == ["z==1"]


def test_a_lock_that_fits_has_no_complaint() -> None:
    assert lock.complaints(GOOD, WANTED, INSTALLED) == []


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("wanted: ", "wanted: 0", "it was made for other requirements than pyproject.toml has"),
        ("ruff==1\n", "", "ruff is not in it"),
        ("pytest==9.1", "pytest==8.4", "pytest>=9 does not allow 8.4"),
        ("click==8.3", "click==8.4", "click 8.3 is installed, not 8.4"),
        ("idna==3\n", "idna @ https://example.org/idna.whl\n", "it names an index, a file or an option"),
        ("idna==3\n", "--index-url x\n", "it names an index, a file or an option"),
    ],
)
def test_a_lock_that_does_not_fit_is_noticed(old: str, new: str, complaint: str) -> None:
    assert complaint in lock.complaints(GOOD.replace(old, new), WANTED, INSTALLED)


def test_a_missing_lock_is_noticed() -> None:
    assert "click>=8.2 is not in it" in lock.complaints("", WANTED, INSTALLED)
