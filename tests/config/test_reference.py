from __future__ import annotations

from collections.abc import Iterator

from pydantic import BaseModel

from lbproxy.config.models import Config
from lbproxy.config.reference import Entry, entries, matching


def keys_of(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The full names of a model's keys that are no tables."""
    for name, field in model.model_fields.items():
        key = field.alias or name
        tables = [one for one in _types(field.annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
        if not tables:
            yield f"{prefix}{key}"
        for one in tables:
            named = key in ("listener", "pool")
            yield from keys_of(one, f"{prefix}{key}.NAME." if named else f"{prefix}{key}.")


def _types(annotation: object) -> Iterator[object]:
    """The types in an annotation, through unions and mappings; lists of tables are values of one key."""
    origin = getattr(annotation, "__origin__", None)
    if origin is tuple:
        return
    yield annotation
    for one in getattr(annotation, "__args__", ()):
        yield from _types(one)


IN_A_LIST_OR_A_TABLE_OF_NAMES = ("listener.NAME.sni", "pool.NAME.consistency.facts", "backends")


def test_every_key_of_the_models_is_in_it() -> None:
    known = {one.name for one in entries()}
    missing = {key for key in keys_of(Config) if key not in known and not key.startswith(IN_A_LIST_OR_A_TABLE_OF_NAMES)}
    assert not {key for key in missing if ".facts." not in key}


def test_a_key_has_its_text_default_and_kind() -> None:
    text = (
        "# Before.\n\n# One.\n# Two.\n#a = 1\n\n#: [pool.x.y]\n# Three.\n#: #b = 2\n#: c = 3\nd = [\n  1,\n]\n#e = 4\n"
    )
    assert entries(text) == [
        Entry("a", "1", "default", "One. Two."),
        Entry("pool.NAME.y", "", "table", ""),
        Entry("pool.NAME.y.b", "2", "default", "Three."),
        Entry("pool.NAME.y.c", "3", "example", "Three."),
        Entry("pool.NAME.y.d", "[...]", "example", "Three."),
        Entry("pool.NAME.y.e", "4", "default", "Three."),
    ]


def test_a_text_is_of_the_keys_below_it_until_the_next_one() -> None:
    text = "[pool.x]\n# One.\n#a = 1\n#b = 1\n# Another.\n# And more.\n#c = 1\nd = [\n  1,\n]\n# Last.\n#e = 1\n"
    assert [one.text for one in entries(text)] == ["", "One.", "One.", *["Another. And more."] * 2, "Last."]


def test_the_first_place_with_a_text_counts() -> None:
    text = "[pool.x]\n#a = 1\n\n[pool.y]\n# Said.\n#a = 2\n\n[pool.z]\n# Again.\n#a = 3\n"
    assert [one for one in entries(text) if one.kind != "table"] == [Entry("pool.NAME.a", "2", "default", "Said.")]


def test_a_full_name_wins_over_the_ends_of_others() -> None:
    among = [Entry("user", "", "example", ""), Entry("fleet.user", "", "example", "")]
    assert matching("user", among) == among[:1]
    assert matching("fleet.user", among) == among[1:]
    assert matching("nobody", among) == []
