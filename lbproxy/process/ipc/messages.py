"""Where a message between two processes is encoded and decoded. Each message is a small frozen type.

On the channel a message is a JSON object: `type` is its kind, the rest are its fields. What one process may say to
another is a `Conversation`:

master_messages   master <-> generation, and what the master relays from one generation to another
worker_messages   generation <-> worker, generation <-> forker

The rules of decoding, for all of them:

- A message of an unknown kind is logged once and ignored: a later version sent it.
- A field that is not known is ignored. A field that is missing gets its default; without a default, it is an error.
- A field with a value of another type is an error. Errors name the message and the field.

The processes of two versions talk to each other after an upgrade: an old generation goes on beside a new master. So
they greet each other with their `PROTOCOL`, and a message is not sent to a process that does not know it (`since`).
A new field of a message that is there already has a default.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, ClassVar, Generic, TypeVar, Union, get_args, get_origin, get_type_hints, is_typeddict

from lbproxy.control.log import event
from lbproxy.errors import MessageError
from lbproxy.process.ipc.message import Message

log = logging.getLogger(__name__)

PROTOCOL = 6
"""Of this version. It grows with each message that an older version does not know.

1: the versions that do not greet. 2: the greeting, `signal` and `reload_failed`. 3: `operated`.
4: `leave`. 5: `log_from`. 6: `logged`, `lifeline` and `orphaned`.
"""

Fields = dict[str, Any]
"""A message as JSON has it: with `type`."""


Says = TypeVar("Says", bound=Message)
Hears = TypeVar("Hears", bound=Message)


def to_fields(message: Message) -> Fields:
    """The message as an object of JSON."""
    return {"type": message.kind, **{name: getattr(message, name) for name in message.fields}}


def encode(message: Message) -> bytes:
    """The message as it is on a channel."""
    return json.dumps(to_fields(message), separators=(",", ":"), default=_plain).encode()


def _plain(value: object) -> object:
    """What JSON has no form for: a message within a message, and enumerations that are no numbers."""
    if isinstance(value, Message):
        return to_fields(value)
    assert isinstance(value, Enum), f"{value!r} cannot be in a message"
    return value.value


class Conversation(Generic[Says, Hears]):
    """What one end of a channel may say, and what it may hear."""

    def __init__(self, says: object, hears: object) -> None:
        """says, hears: a type of message or a union of them, as in the annotation of the result."""
        self._says, self._hears = says, hears
        self._kinds: dict[str, type[Message]] = {one.kind: one for one in get_args(hears) or (hears,)}
        self._ignored: set[str] = set()

    def __repr__(self) -> str:
        return f"<conversation, hears {' '.join(self._kinds) or 'nothing'}>"

    def reverse(self) -> Conversation[Hears, Says]:
        """The same of the other end."""
        return Conversation(self._hears, self._says)

    def decode(self, data: bytes | bytearray) -> Hears | None:
        """The message; None for one of an unknown kind. Raises MessageError."""
        try:
            found = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise MessageError(f"a message that is no JSON: {error}") from None
        if not isinstance(found, dict):
            raise MessageError("a message that is no object of JSON")
        return self.from_fields(found)

    def from_fields(self, found: Mapping[str, Any]) -> Hears | None:
        """The same of an object of JSON."""
        kind = found.get("type")
        known = self._kinds.get(kind) if isinstance(kind, str) else None
        if known is None:
            self._ignore(str(kind))
            return None
        return build(known, found)  # type: ignore[return-value]  # `_kinds` has the types of `Hears`

    def _ignore(self, kind: str) -> None:
        if kind not in self._ignored:
            self._ignored.add(kind)
            event(log, logging.WARNING, "message_unknown", message=kind)

    def rehearse(self) -> None:
        """Encode and decode a sample of each message that can be heard. Raises MessageError."""
        for known in self._kinds.values():
            message = sample(known)
            if self.decode(encode(message)) != message:
                raise MessageError(f"message {known.kind}: another one is read than was written")


def build(known: type[Hears], found: Mapping[str, Any]) -> Hears:
    """A message of the type `known` from an object of JSON. Raises MessageError, which names the field."""
    values: dict[str, Any] = {}
    for name, convert, required in _decoders(known):  # type: ignore[arg-type]  # a class is hashable
        if name in found:
            try:
                values[name] = convert(found[name])
            except (TypeError, ValueError) as error:
                raise MessageError(f"message {known.kind}: {name}: {error}") from None
        elif required:
            raise MessageError(f"message {known.kind}: {name} is missing")
    return known(**values)


# --- values of JSON as the types of fields

_Convert = Callable[[Any], Any]


def _hints(known: type[Any]) -> Iterator[tuple[str, Any]]:
    hints = get_type_hints(known)
    return ((name, hint) for name, hint in hints.items() if get_origin(hint) is not ClassVar)


@cache
def _decoders(known: Any) -> list[tuple[str, _Convert, bool]]:
    hints = dict(_hints(known))
    return [(name, _converter(hints[name]), name not in known.defaults) for name in known.fields]


def _converter(hint: Any) -> _Convert:
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return lambda value: value
    if origin in (Union, UnionType):
        [inner] = [_converter(one) for one in arguments if one is not NoneType]
        return lambda value: None if value is None else inner(value)
    if origin is list:
        items = _converter(arguments[0])
        return lambda value: [items(one) for one in _checked(value, list)]
    if origin is tuple:
        return lambda value: tuple(_checked(value, list))
    if origin is dict:
        values = _converter(arguments[1])
        return lambda value: {key: values(one) for key, one in _checked(value, dict).items()}
    return _class_converter(hint)


def _class_converter(hint: Any) -> _Convert:
    if is_typeddict(hint):
        return lambda value: _checked(value, dict)
    if issubclass(hint, Message):
        return lambda value: build(hint, _checked(value, dict))
    if issubclass(hint, Enum):
        return lambda value: hint(value)
    if hasattr(hint, "_fields"):  # a NamedTuple
        return _tuple_converter(hint)
    if hint is float:
        return lambda value: _checked(value, float, int)
    return lambda value: _checked(value, hint)


def _tuple_converter(hint: Any) -> _Convert:
    """JSON has it as a list. A later version's may be longer."""
    converters = [_converter(one) for _, one in _hints(hint)]
    return lambda value: hint(
        *(convert(one) for convert, one in zip(converters, _checked(value, list, tuple), strict=False))
    )


def _checked(value: Any, *wanted: type) -> Any:
    if type(value) not in wanted:
        raise TypeError(f"{type(value).__name__} instead of {wanted[0].__name__}")
    return value


def sample(known: type[Hears]) -> Hears:
    """A message of that type with all its fields."""
    return build(known, {name: _sample(hint) for name, hint in _hints(known)})


def _sample(hint: Any) -> Any:
    """A value of JSON for a field of that type."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return "any"
    if origin in (Union, UnionType):
        return _sample(arguments[0])
    if origin in (list, tuple):
        return [_sample(arguments[0])]
    if origin is dict:
        return {"key": _sample(arguments[1])}
    if is_typeddict(hint):
        return {name: _sample(one) for name, one in get_type_hints(hint).items()}
    if issubclass(hint, Message):
        return {name: _sample(one) for name, one in _hints(hint)}
    if issubclass(hint, Enum):
        return next(iter(hint)).value
    if hasattr(hint, "_fields"):
        return [_sample(one) for _, one in _hints(hint)]
    return hint()
