"""`Value`: to its users a frozen dataclass, without the half millisecond that each of those costs to declare.

Rule 1: the parameters of `__init__`, which each kind writes by hand, are the fields; their defaults are the fields'.
Rule 2: what `dataclasses` wants to know is worked out when it asks, so nothing here imports it. `fields`, `replace`
        and `is_dataclass`, and the libraries that look at dataclasses, see what they would see of one.
"""

from collections.abc import Callable
from operator import attrgetter
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, dataclass_transform

if TYPE_CHECKING:
    from dataclasses import Field

V = TypeVar("V", bound="Value")

# `made(Row, (seq, kind, ...))` is `Row(seq, kind, ...)` at a third of its cost: that of a `NamedTuple` is Python code.
made: Any = tuple.__new__  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class Frozen:
    """What cannot be changed once it is made."""

    __slots__ = ()

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{name!r} cannot be set: a {type(self).__name__} is immutable, make another one")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{name!r} cannot be deleted: a {type(self).__name__} is immutable, make another one")

    def __setstate__(self, state: Any) -> None:  # what `object.__getstate__` returns: a dictionary, or two of them
        parts: list[Any] = [*state] if type(state) is tuple else [state]
        for part in parts:
            fields: dict[str, Any] = part or {}
            for name, value in fields.items():
                object.__setattr__(self, name, value)


class _Fields:
    """The fields of a kind of value as `dataclasses` writes them; made when they are asked for."""

    def __get__(self, instance: object, kind: type["Value"]) -> "dict[str, Field[Any]]":
        from dataclasses import MISSING, field, make_dataclass  # noqa: PLC0415
        from inspect import get_annotations  # noqa: PLC0415

        types: dict[str, Any] = {}
        for base in reversed(kind.__mro__):
            types |= get_annotations(base)
        init: Any = kind.__init__
        names, given = kind.__match_args__, init.__defaults__ or ()
        defaults = (MISSING,) * (len(names) - len(given)) + given
        apart, hidden = kind._uncompared, kind._unshown  # pyright: ignore[reportPrivateUsage]
        fields = [
            (name, types[name], field(default=default, compare=name not in apart, repr=name not in hidden))
            for name, default in zip(names, defaults, strict=True)
        ]
        made: Any = make_dataclass(kind.__name__, fields, frozen=True)
        for name in ("__dataclass_fields__", "__dataclass_params__"):
            type.__setattr__(kind, name, getattr(made, name))
        return made.__dataclass_fields__


@dataclass_transform(frozen_default=True)
class Value(Frozen):
    """A value: equal values have equal fields, and one hash. It may hold its fields in slots or in a dictionary."""

    __slots__ = ()
    _uncompared = frozenset[str]()  # fields that differ between equal values
    _unshown = frozenset[str]()  # fields that `repr` leaves out
    if TYPE_CHECKING:  # not annotated when it runs: type hints of a kind are those of its fields
        __match_args__: ClassVar[tuple[str, ...]]
        __dataclass_fields__: ClassVar[dict[str, Field[Any]]]
        _compared: ClassVar[Any]
    else:
        __dataclass_fields__ = _Fields()

    def __init_subclass__(cls, **settings: Any) -> None:
        super().__init_subclass__(**settings)
        if "__init__" in cls.__dict__:  # else a decorator may still make one
            code = cls.__init__.__code__
            cls.__match_args__ = code.co_varnames[1 : code.co_argcount]
            cls._compared = attrgetter(*(name for name in cls.__match_args__ if name not in cls._uncompared))

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return other is self or self._compared(self) == self._compared(other)

    def __hash__(self) -> int:
        return hash(self._compared(self))

    def __repr__(self) -> str:
        shown = (f"{name}={getattr(self, name)!r}" for name in self.__match_args__ if name not in self._unshown)
        return f"{type(self).__qualname__}({', '.join(shown)})"


def compared(value: Value) -> dict[str, Any]:
    """Return the fields that make a value equal to another, by name."""
    apart = value._uncompared  # pyright: ignore[reportPrivateUsage]
    return {name: getattr(value, name) for name in value.__match_args__ if name not in apart}


def replace(value: V, /, **changes: Any) -> V:
    """Return an equal value but for some fields: what `dataclasses.replace` does."""
    return type(value)(**{name: getattr(value, name) for name in value.__match_args__} | changes)


def fill(value: Frozen, fields: dict[str, Any]) -> None:
    """Give a new value that has no slots its fields, all at once: one by one costs five times as much."""
    object.__setattr__(value, "__dict__", fields)


def setters(kind: type[Frozen]) -> list[Callable[[Any, Any], None]]:
    """Return what sets each slot of a kind, in the order of `__slots__`: the cheapest way past `__setattr__`."""
    names: tuple[str, ...] = kind.__dict__["__slots__"]
    return [kind.__dict__[name].__set__ for name in names]
