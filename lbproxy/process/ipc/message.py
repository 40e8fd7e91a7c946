"""The base of all messages: a frozen type is declared as a dataclass is, by its annotations, and is cheap to declare.

`dataclasses` compiles six methods a type. There are fifty messages, and every start of every process declares them: it
took an eighth of a master's start. Here the methods are the same for all types, and read `fields`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, NamedTuple, Self, dataclass_transform


class Default(NamedTuple):
    """A field's default that is made anew for each message."""

    factory: Callable[[], Any]


def field(*, default_factory: Callable[[], Any]) -> Any:
    """A field with a default that is made anew for each message."""
    return Default(default_factory)


@dataclass_transform(frozen_default=True, field_specifiers=(field,))
class Message:
    """`kind` is its name on the channel, `since` the first protocol that has it.

    `fields` are the names of its fields; `defaults` has those that need not be given.
    """

    kind: ClassVar[str]
    since: ClassVar[int] = 1
    fields: ClassVar[tuple[str, ...]] = ()
    defaults: ClassVar[Mapping[str, Any]] = {}
    __match_args__: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        own = [name for name in cls.__annotations__ if name not in Message.__annotations__]
        cls.fields = (*cls.fields, *own)
        cls.__match_args__ = cls.fields  # type: ignore[misc]  # mypy has its own idea of those
        cls.defaults = {**cls.defaults, **{name: cls.__dict__[name] for name in own if name in cls.__dict__}}

    def __init__(self, *values: Any, **named: Any) -> None:
        """Raises TypeError when there is no such field, or one is missing."""
        fields, given = self.fields, dict(zip(self.fields, values, strict=False))
        if len(values) > len(fields) or given.keys() & named.keys() or not named.keys() <= {*fields}:
            raise TypeError(f"{type(self).__name__} has the fields {', '.join(fields) or 'none'}, each once")
        given |= named
        for name in fields:
            if name not in given:
                given[name] = self._default(name)
        self.__dict__.update(given)

    def _default(self, name: str) -> Any:
        if name not in self.defaults:
            raise TypeError(f"{type(self).__name__}: {name} is missing")
        default = self.defaults[name]
        return default.factory() if isinstance(default, Default) else default

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} does not change")

    def __delattr__(self, name: str) -> None:
        raise AttributeError(f"{type(self).__name__}.{name} does not change")

    def but(self, **changes: Any) -> Self:
        """The same message with other values in some fields."""
        return type(self)(**{**self.__dict__, **changes})

    def _values(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.fields)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._values() == other._values()

    def __hash__(self) -> int:
        return hash((type(self), self._values()))

    def __repr__(self) -> str:
        values = zip(self.fields, self._values(), strict=True)
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in values)})"
