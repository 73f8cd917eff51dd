"""Values are to their users what frozen dataclasses are."""

import copy
import dataclasses
import inspect
import pickle

import pytest

from stratagem.core import (
    Act,
    Answer,
    Draw,
    Example,
    Execution,
    Label,
    Observation,
    Preference,
    Step,
    Task,
    ToolCall,
    Usage,
    Verdict,
)
from stratagem.core._canonical import plain
from stratagem.core._signature import Signature
from stratagem.core._value import Value, replace

CALL = ToolCall("look", {"at": ["a", {"b": 1}]})
VALUES = [
    Act("", (CALL,)),
    Answer("42", 42, 0.5, ("a.md:1",), label=Label({"user"})),
    Draw("a", "A", (-0.5,), "stop"),
    Example("2 + 2?", "4"),
    Execution("out", value={"a": [1]}, timed_out=True),
    Observation("seen", True, [1], ("a.md:2",), Label({"tool:x"})),
    Preference(0.25, "close"),
    Step("hm", (CALL,), None),
    Task("why?", notes=("short",), output=int),
    Verdict(True, 1.0),
]
named = pytest.mark.parametrize("value", VALUES, ids=lambda value: type(value).__name__)


def test_every_kind_of_value_is_tried_here():
    kinds = {kind.__name__ for kind in Value.__subclasses__() if kind.__module__.startswith("stratagem.core")}
    assert kinds - {type(value).__name__ for value in VALUES} == {"Card", "Within"}


@named
def test_a_value_cannot_be_changed(value):
    name = value.__match_args__[0]
    before = getattr(value, name)
    for change in (
        lambda: setattr(value, name, before),
        lambda: setattr(value, "new", 1),
        lambda: delattr(value, name),
    ):
        with pytest.raises(AttributeError, match=rf"a {type(value).__name__} is immutable"):
            change()
    assert getattr(value, name) is before


@named
def test_dataclasses_sees_the_parameters_of_init_as_fields(value):
    parameters = inspect.signature(type(value)).parameters.values()
    seen = dataclasses.fields(value)
    assert [field.name for field in seen] == [parameter.name for parameter in parameters]
    assert [field.default for field in seen] == [
        dataclasses.MISSING if parameter.default is parameter.empty else parameter.default for parameter in parameters
    ]
    assert set(inspect.get_annotations(type(value))) <= {field.name for field in seen}
    assert all(field.type == inspect.get_annotations(type(value)).get(field.name, field.type) for field in seen)
    assert dataclasses.is_dataclass(value)


@named
@pytest.mark.parametrize("how", [replace, dataclasses.replace, copy.copy, copy.deepcopy])
def test_a_copy_is_equal_and_another_object(value, how):
    made = how(value)
    assert made is not value
    assert type(made) is type(value)
    assert made == value
    assert repr(made) == repr(value)
    assert all(getattr(made, name) == getattr(value, name) for name in value.__match_args__)


@named
def test_a_value_survives_pickling(value):
    assert pickle.loads(pickle.dumps(value)) == value


@named
def test_another_value_in_any_compared_field_makes_another_value(value):
    for field in dataclasses.fields(value):
        other = dataclasses.replace(value, **{field.name: "something else"})
        assert (other == value) is not field.compare, field.name
        if field.compare:
            assert replace(value, **{field.name: "something else"}) == other


def test_replacing_what_is_no_field_is_refused():
    with pytest.raises(TypeError, match="colour"):
        replace(Verdict(True, 1.0), colour="red")


def test_equal_values_have_one_hash_and_values_of_other_kinds_differ():
    assert hash(Step("a", (CALL,))) == hash(Step("a", (ToolCall("look", {"at": ("a", {"b": 1})}),)))
    assert len({Step("a"), Step("a"), Act("a"), Step("b")}) == 3
    assert Step("a") != Act("a")
    assert Step("a") != "a"


def test_what_is_not_compared_enters_neither_equality_nor_digest():
    assert Observation("a", result=[1], label=Label({"user"})) == Observation("a")
    assert hash(Answer("a", label=Label({"user"}))) == hash(Answer("a"))
    assert [field.name for field in dataclasses.fields(Observation) if not field.compare] == ["result", "label"]
    assert [field.name for field in dataclasses.fields(Answer) if not field.compare] == ["label", "counts"]


def test_a_value_is_written_with_its_fields():
    assert repr(Verdict(True, 0.5)) == "Verdict(passed=True, score=0.5, feedback='')"
    assert repr(Step("a", (CALL,))) == f"Step(thought='a', calls=({CALL!r},), answer=None)"
    assert (
        repr(Observation("a", label=Label({"user"}))) == "Observation(text='a', failed=False, result=None, sources=())"
    )
    assert repr(Act()) == "Act(thought='', calls=(), answer=None)"


def test_values_are_matched_by_place_and_by_name():
    match Step("hm", (CALL,)):
        case Step(thought, (ToolCall(name="look"),), answer=None):
            assert thought == "hm"
        case _:
            pytest.fail("no match")


def test_the_form_that_enters_a_digest_is_that_of_a_dataclass():
    @dataclasses.dataclass(frozen=True)
    class Verdict:
        passed: bool
        score: float
        feedback: str = ""
        note: str = dataclasses.field(default="", compare=False)

    form = {"$": "Verdict", "passed": True, "score": 0.5, "feedback": "so"}
    assert plain(Verdict(True, 0.5, "so", "unseen")) == form
    assert plain(VALUES[-1]) == {"$": "Verdict", "passed": True, "score": 1.0, "feedback": ""}
    assert plain((Example("q", "a"),)) == [{"$": "Example", "question": "q", "answer": "a", "rationale": None}]


def test_a_signature_reads_a_value_as_it_reads_a_dataclass():
    def grade(answer: str) -> Verdict:
        """Grade it."""
        ...

    made = Signature(grade)
    assert made.format == "fields"
    read = made.parse(made.write(Verdict(True, 0.5, "so")))
    assert read == Verdict(True, 0.5, "so")


def test_pydantic_validates_a_value_as_a_dataclass():
    from stratagem.core._schema import converted, schema_of

    assert converted(dict[str, Verdict], {"a": {"passed": True, "score": 0.5}}) == {"a": Verdict(True, 0.5)}
    assert schema_of(dict[str, Verdict])["$defs"]["Verdict"]["required"] == ["passed", "score"]
    with pytest.raises(ValueError, match="score"):
        converted(dict[str, Verdict], {"a": {"passed": True}})


def test_a_dataclass_may_extend_a_value():
    @dataclasses.dataclass(frozen=True)
    class Grade(Verdict):
        mark: str = "C"

    made = Grade(True, 0.5, "", mark="B")
    assert repr(made).endswith("Grade(passed=True, score=0.5, feedback='', mark='B')")
    assert replace(made, score=1.0) == dataclasses.replace(made, score=1.0) == Grade(True, 1.0, "", "B")
    assert made != Verdict(True, 0.5)
    assert plain(made) == {"$": "Grade", "passed": True, "score": 0.5, "feedback": "", "mark": "B"}
    with pytest.raises(AttributeError):
        made.mark = "A"  # pyright: ignore[reportAttributeAccessIssue]
    assert not dataclasses.is_dataclass(Value)


def test_what_nobody_confirmed_is_marked_as_a_bound_wherever_it_is_told() -> None:
    counted = Usage(1, 1, 1, 0, usd=0.25)
    assert (counted.size, counted.money) == ("1 token", "$0.25")
    bounded = counted + Usage(1, 1, 1_000, 20, usd=None, estimated=True)
    assert (bounded.size, bounded.money) == ("≤ 1,021 tokens", "≤ $0.25 + 1 call of unknown price")
    assert Usage(1, 1, 3, 2, usd=0.5, estimated=True).money == "≤ $0.5"
    assert Usage(1, 1, 3, 2, estimated=True).money == "no charge"
    assert (
        Answer("4", usage=bounded).cost()
        == "answered · 2 calls · ≤ 1,021 tokens · ≤ $0.25 + 1 call of unknown price · 0.0 s"
    )
