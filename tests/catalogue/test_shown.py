import pytest

from stratagem.catalogue import _shown, mirror


def test_a_module_is_tested_where_its_path_says() -> None:
    assert mirror("stratagem.strategies.sampling.self_consistency") == (
        "tests/strategies/sampling/test_self_consistency.py"
    )
    assert mirror("stratagem.judges.self_check") == "tests/judges/test_self_check.py"
    assert mirror("stratagem.core._signature") == "tests/core/test_signature.py"


def test_of_several_tests_of_one_id_a_modules_own_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = {"RE17": ["tests/judges/test_a.py::test_x", "tests/judges/test_b.py::test_y"], "RE18": ["t.py::z"]}
    monkeypatch.setattr(_shown, "shown", lambda: nodes)
    assert _shown.tests(["RE17"], "stratagem.judges.b") == {"RE17": "tests/judges/test_b.py::test_y"}
    assert _shown.tests(["RE17"], "stratagem.judges.c") == {"RE17": "tests/judges/test_a.py::test_x"}
    assert _shown.tests(("RE18", "RE19"), "stratagem.judges.b") == {"RE18": "t.py::z"}
