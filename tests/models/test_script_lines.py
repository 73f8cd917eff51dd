"""What is said about a script that is not as it should be."""

from pathlib import Path

import pytest

from stratagem.errors import ModelError, UsageError
from stratagem.models.script import ScriptModel
from stratagem.models.script_lines import _kinds

GOOD = '{"signature": "reply", "reply": "x"'


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("reply", "this is not JSON: Expecting value at character 1; a line holds one JSON object"),
        ("{", "this is not JSON: Expecting property name"),
        (GOOD + "} {}", "this is not JSON: Extra data at character 38"),
        ("[1]", r"a line must be an object, got \[1\]"),
        ('"reply"', "a line must be an object"),
        (GOOD + ', "repyl": 1}', r"a line has no key 'repyl' \(did you mean 'reply'\?\)"),
        (GOOD + ', "reply": "y"}', "the key 'reply' stands here twice"),
        (GOOD + ', "inputs": {"a": 1, "a": 2}}', "the key 'a' stands here twice"),
        (GOOD + ', "inputs": {"a": NaN}}', "NaN is no number of JSON"),
        (GOOD + ', "inputs": ["a"]}', "`inputs` must be an object"),
        (GOOD + ', "contains": ""}', "`contains` must be a text that is not empty, got ''"),
        (GOOD + ', "contains": ["a"]}', "`contains` must be a text"),
        (GOOD + ', "times": -1}', "`times` must be a whole number, 0 for always, got -1"),
        (GOOD + ', "times": 1.5}', "`times` must be a whole number"),
        (GOOD + ', "times": true}', "`times` must be a whole number"),
        (GOOD + ', "delay_s": -1}', "`delay_s` must be seconds, at least 0, got -1"),
        (GOOD + ', "delay_s": 1e999}', "`delay_s` must be seconds, at least 0, got inf"),
        (GOOD + ', "delay_s": "1"}', "`delay_s` must be seconds"),
        (GOOD + ', "error": {"kind": "Refused"}}', "`reply` and `error` exclude each other"),
        (
            '{"signature": "a", "call": {"name": "x"}, "error": {"kind": "Refused"}}',
            "`call` and `error` exclude each other",
        ),
        (
            '{"signature": "a", "reply": "x", "call": {"name": "x"}, "error": {"kind": "Refused"}}',
            "`reply` and `error` exclude each other",
        ),
        (
            '{"signature": "a", "reply": 1, "call": {"name": "x"}}',
            "a `reply` beside a `call` is the thought: it must be a text",
        ),
        ('{"signature": "a"}', "one of `reply`, `call` and `error` is missing"),
        ('{"reply": "x"}', "`signature` is missing"),
        ('{"signature": "", "reply": "x"}', "`signature` must be FILE.FUNCTION or FUNCTION, got ''"),
        ('{"signature": "a.b.c", "reply": "x"}', "`signature` must be FILE.FUNCTION or FUNCTION, got 'a.b.c'"),
        ('{"signature": 1, "reply": "x"}', "`signature` must be FILE.FUNCTION or FUNCTION, got 1"),
        ('{"signature": "a", "call": []}', "`call` must be a call, or a list with at least one"),
        ('{"signature": "a", "call": "look"}', "`call` must be an object, got 'look'"),
        ('{"signature": "a", "call": {"nam": "x"}}', r"`call` has no key 'nam' \(did you mean 'name'\?\)"),
        ('{"signature": "a", "call": [{"name": "x"}, {}]}', "`call.name` must be the name of a tool, got None"),
        ('{"signature": "a", "call": {"name": ""}}', "`call.name` must be the name of a tool, got ''"),
        ('{"signature": "a", "call": {"name": "x", "arguments": [1]}}', "`call.arguments` must be an object"),
        (
            '{"signature": "a", "error": {"kind": "RateLimit"}}',
            r"`error.kind` must be one of ModelError, Unreachable, .*, got 'RateLimit' \(did you mean 'RateLimited'\?\)",
        ),
        ('{"signature": "a", "error": {"kind": "NoAnswer"}}', "`error.kind` must be one of"),
        ('{"signature": "a", "error": {"kind": "Suspended"}}', "`error.kind` must be one of"),
        ('{"signature": "a", "error": {}}', "`error.kind` must be one of .*, got None"),
        ('{"signature": "a", "error": "Refused"}', "`error` must be an object, got 'Refused'"),
        ('{"signature": "a", "error": {"kind": "Refused", "after": 1}}', "`error` has no key 'after'"),
        ('{"signature": "a", "error": {"kind": "Refused", "message": 1}}', "`error.message` must be a text, got 1"),
        ('{"signature": "a", "error": {"kind": "Refused", "retry_after": -1}}', "`error.retry_after` must be seconds"),
        (
            '{"signature": "a", "error": {"kind": "Refused", "retry_after": 1}}',
            "`error.retry_after` is of `RateLimited` only, not Refused",
        ),
        ('{"signature": "a", "error": {"kind": "Refused"}, "usage": {}}', "an `error` costs nothing"),
        (GOOD + ', "usage": {"tokens": 1}}', "`usage` has no key 'tokens'"),
        (GOOD + ', "usage": {"prompt_tokens": -1}}', "`usage.prompt_tokens` must be at least 0, got -1"),
        (GOOD + ', "usage": {"prompt_tokens": true}}', "`usage.prompt_tokens` must be at least 0, got True"),
        (GOOD + ', "usage": {"prompt_tokens": 1.5}}', "`usage.prompt_tokens` must be at least 0"),
        (GOOD + ', "usage": {"usd": -1}}', "`usage.usd` must be at least 0, got -1"),
        (GOOD + ', "usage": 3}', "`usage` must be an object, got 3"),
        ('{"signature": "a", "reply": ' + "[" * 100_000 + "]" * 100_000 + "}", "recursion"),
    ],
)
def test_a_wrong_line_is_found_when_the_script_is_opened(tmp_path: Path, line: str, what: str) -> None:
    file = tmp_path / "s.jsonl"
    file.write_text(f"# first\n{GOOD}}}\n\n{line}\n", encoding="utf-8")
    with pytest.raises(
        UsageError, match=rf"s\.jsonl:4: {what}" if what != "recursion" else r"s\.jsonl:4: .*recursion"
    ) as caught:
        ScriptModel.open(str(file))
    assert caught.value.remedy == "Correct the line."


def test_a_file_that_cannot_be_read_is_the_callers_mistake(tmp_path: Path) -> None:
    for name in ("missing.jsonl", "", "nul\0", "~nobody-of-that-name/x"):
        with pytest.raises(UsageError, match="cannot be read") as caught:
            ScriptModel.open(str(tmp_path / name) if name != "~nobody-of-that-name/x" else name)
        assert caught.value.remedy == "Name a file of JSON lines: `script:FILE`."
    (tmp_path / "latin.jsonl").write_bytes(b'# one\n{"signature": "a", "reply": "\xfc"}\n')
    with pytest.raises(UsageError, match=r"latin\.jsonl:2: this is not UTF-8"):
        ScriptModel.open(str(tmp_path / "latin.jsonl"))


def test_a_file_may_be_named_beneath_the_users_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "s.jsonl").write_text('{"signature": "a", "reply": "x"}')
    monkeypatch.setenv("HOME", str(tmp_path))
    model = ScriptModel.open("~/s.jsonl")
    assert (model.spec, model.unspent) == (f"script:{tmp_path.resolve()}/s.jsonl", (1,))


def test_every_error_that_a_script_may_name_is_a_model_error() -> None:
    assert set(_kinds()) == {"ModelError", *(kind.__name__ for kind in ModelError.__subclasses__())}
    assert len(_kinds()) == 13
