"""From what TOML says to frozen types: every complaint that there is, in words for an admin. Pure.

msgspec converts and checks, but ends at the first fault and speaks of types; so tables are walked here, and each value is converted by
itself. A type's `Meta(description=...)` is the sentence that the admin reads ("an octal mode, as in \"0027\"").
"""

import difflib
import json
import re
from collections.abc import Iterator, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")

# Keys ("mapping.vo", "issuer[].profile") that are reserved for a later version: with these values, or, when none is given, at all.
NotOffered = Mapping[str, tuple[str, ...]]

_NAMES = {str: "a string", int: "an integer", float: "a number", bool: "true or false"}
_LONGEST_SHOWN = 80


class Complaint(NamedTuple):
    key: str
    reason: str  # and what to do


def convert(values: Any, kind: type[T], not_offered: NotOffered) -> tuple[T | None, list[Complaint]]:
    """Either a value, or complaints."""
    complaints = list(_complaints(values, kind, "", not_offered))
    return (None, complaints) if complaints else (msgspec.convert(values, kind), [])


def described(kind: Any) -> str:
    """What a key of this type takes, with its article."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        texts = [meta.description for meta in arguments[1:] if isinstance(meta, msgspec.Meta) and meta.description]
        return texts[0] if texts else described(arguments[0])
    if origin is Literal:
        return _alternatives([json.dumps(one) for one in arguments])
    if origin is tuple:
        return f"a list, each {described(arguments[0])}"
    if origin in (Union, UnionType):
        return _alternatives([described(one) for one in arguments])
    return _NAMES.get(kind, "a table")


def table_type(kind: Any) -> type[msgspec.Struct] | None:
    """Of a key that holds a table (or none at all)."""
    for one in (kind, *(get_args(kind) if get_origin(kind) in (Union, UnionType) else ())):
        if isinstance(one, type) and issubclass(one, msgspec.Struct):
            return one
    return None


def entry_type(kind: Any) -> Any:
    """Of a list's entries; None: no list."""
    return get_args(kind)[0] if get_origin(kind) is tuple else None


def _complaints(value: Any, kind: Any, key: str, not_offered: NotOffered) -> Iterator[Complaint]:
    later = _not_offered(value, key, not_offered)
    table, entry = table_type(kind), entry_type(kind)
    if later is not None:
        yield Complaint(key, f"{later} is not offered by this version: it takes {described(kind)}")
    elif table and isinstance(value, dict):
        yield from _of_table(value, table, key, not_offered)
    elif entry and isinstance(value, list):
        for number, one in enumerate(value):
            yield from _complaints(one, entry, f"{key}[{number}]", not_offered)
    else:
        yield from _of_value(value, kind, key)


def _of_table(value: dict[str, Any], table: type[msgspec.Struct], key: str, not_offered: NotOffered) -> Iterator[Complaint]:
    fields = {field.encode_name: field for field in msgspec.structs.fields(table)}
    for name, below in value.items():
        if name in fields:
            yield from _complaints(below, fields[name].type, _below(key, name), not_offered)
        elif _pattern(_below(key, name)) in not_offered:
            yield Complaint(_below(key, name), "is not offered by this version: take it out")
        else:
            yield Complaint(_below(key, name), f"no such key{_suggestion(name, list(fields), key)}")
    for name, field in fields.items():
        if field.required and name not in value:
            yield from _of_missing(field.type, _below(key, name), not_offered)


def _of_missing(kind: Any, key: str, not_offered: NotOffered) -> Iterator[Complaint]:
    table, entry = table_type(kind), table_type(entry_type(kind))
    if table:
        yield from _of_table({}, table, key, not_offered)
    elif entry:
        needed = " and ".join(field.encode_name for field in msgspec.structs.fields(entry) if field.required)
        yield Complaint(key, f"is missing: at least one [[{key}]] is needed, with {needed}")
    else:
        yield Complaint(key, f"is missing and has no default: set it to {described(kind)}")


def _of_value(value: Any, kind: Any, key: str) -> Iterator[Complaint]:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        wanted = f"a table: [{key}]" if table_type(kind) else f"tables: [[{key}]]" if table_type(entry_type(kind)) else described(kind)
        yield Complaint(key, f"is {_shown(value)}, but must be {wanted}")


def _not_offered(value: Any, key: str, not_offered: NotOffered) -> str | None:
    """The value of it that is reserved."""
    return next((_shown(value) for reserved in not_offered.get(_pattern(key), ()) if value == reserved), None)


def _pattern(key: str) -> str:
    """ "mapping.methods[3]" is "mapping.methods[]" in a table of keys."""
    return re.sub(r"\[\d+\]", "[]", key)


def _suggestion(name: str, known: list[str], key: str) -> str:
    alike = difflib.get_close_matches(name, known, n=1, cutoff=0.7)
    where = f"[{_pattern(key).replace('[]', '')}]" if key else "the file"
    return f": did you mean {alike[0]}?" if alike else f": {where} takes {', '.join(known)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _alternatives(texts: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))


def _below(key: str, name: str) -> str:
    return f"{key}.{name}" if key else name
