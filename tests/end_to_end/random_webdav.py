"""Random sequences of WebDAV requests, the same for two servers: names, versions, locks and dates are symbols until they are sent."""

import random
import re
from collections.abc import Iterator
from typing import NamedTuple

NAMES = ("a.txt", "b", "c", "c/x.txt", "c/d", "c/d/y", "e", "e/z", "%20f%25")
AT_FIRST = {"a.txt": b"abcabc", "c": None, "c/x.txt": b"bcabcabca", "c/d": None, "e": None}
FIRST_SECOND = 1_000_000_000  # when the files of a sequence were changed: this, and as many seconds later as there were steps before
_LOCKINFO = (
    b'<D:lockinfo xmlns:D="DAV:"><D:lockscope><D:%b/></D:lockscope>'
    b"<D:locktype><D:write/></D:locktype><D:owner>somebody</D:owner></D:lockinfo>"
)
_ALLPROP = b'<D:propfind xmlns:D="DAV:"><D:allprop/></D:propfind>'
_UPDATE = b'<D:propertyupdate xmlns:D="DAV:"><D:set><D:prop><x xmlns="urn:x">1</x></D:prop></D:set></D:propertyupdate>'
_WEIGHTS = {
    "PUT": 22, "GET": 14, "HEAD": 5, "DELETE": 8, "MKCOL": 9, "MOVE": 9, "COPY": 9, "PROPFIND": 8, "PROPPATCH": 3, "LOCK": 7, "UNLOCK": 3,
}  # fmt: skip
_RANGES = tuple(f"bytes={spec}" for spec in ("0-", "1-3", "-2", "-0", "0-0,2-3", "500-", "1-2,1-9", "3-1", "")) + ("lines=1-2",)


class Step(NamedTuple):
    """In values of `fields`: {etag:NAME} the entity tag, {to:NAME} its absolute URL, {token:N} of the sequence's lock number N."""

    method: str
    name: str  # as it is written in the URL
    fields: dict[str, str]
    body: bytes | None = None
    lock: int = -1  # LOCK: its number

    @property
    def path(self) -> str:
        return self.name.rstrip("/")

    @property
    def has_slash(self) -> bool:
        return self.name.endswith("/")

    @property
    def destination(self) -> str:
        match = re.fullmatch(r"\{to:(.*)\}", self.fields.get("Destination", ""))
        return match[1] if match else ""

    @property
    def is_conditional(self) -> bool:
        return any(name.startswith("If") for name in self.fields)


def _lock(name: str) -> Step:
    return Step("LOCK", name, {}, _LOCKINFO % b"exclusive", lock=0)


# What chance seldom brings about.
SELDOM: tuple[tuple[Step, ...], ...] = (
    (_lock("c"), Step("MOVE", "c/d", {"Destination": "{to:c}", "If": "(<{token:0}>)"})),
    (
        _lock("c/x.txt"),
        Step("MOVE", "e", {"Destination": "{to:c}", "If": "(<{token:0}>) (Not <DAV:no-lock>)"}),
        Step("MKCOL", "c/x.txt", {"If": "(<{token:0}>) (Not <DAV:no-lock>)"}),
        Step("PROPPATCH", "c/x.txt", {}, _UPDATE),
    ),
)


def sequence(seed: int, length: int) -> Iterator[Step]:
    chance = random.Random(seed)
    locks = 0
    for number in range(length):
        step = _step(chance, number, locks)
        if step.method == "LOCK" and step.body:
            step = step._replace(lock=locks)
            locks += 1
        yield step


def _step(chance: random.Random, number: int, locks: int) -> Step:
    (method,) = chance.choices(list(_WEIGHTS), list(_WEIGHTS.values()))
    fields, body = {}, None
    if method == "PUT":
        body = bytes(chance.choices(b"abc", k=chance.choice((0, 1, 5, 9))))
    elif method in ("MOVE", "COPY"):
        fields["Destination"] = f"{{to:{_name(chance)}}}"
        fields |= chance.choice(({}, {}, {"Overwrite": "T"}, {"Overwrite": "F"}))
        fields |= chance.choice(({}, {}, {"Depth": "0"}, {"Depth": "infinity"})) if method == "COPY" else {}
    elif method == "PROPFIND":
        fields["Depth"] = chance.choice(("0", "1", "1", "infinity"))
        body = chance.choice((None, _ALLPROP))
    elif method == "PROPPATCH":
        body = _UPDATE
    elif method == "LOCK":
        fields |= chance.choice(({}, {"Depth": "0"}, {"Depth": "infinity"}, {"Timeout": "Second-600"}))
        body = _LOCKINFO % chance.choice((b"exclusive", b"exclusive", b"shared"))
    elif method == "UNLOCK":
        fields["Lock-Token"] = f"<{{token:{chance.randrange(locks)}}}>" if locks else "<opaquelocktoken:none>"
    elif method == "GET" and chance.random() < 0.4:
        fields["Range"] = chance.choice(_RANGES)
        fields |= {"If-Range": chance.choice(("{etag:}", '"other"', date(chance, number)))} if chance.random() < 0.3 else {}
    name = _name(chance)
    fields |= _conditions(chance, number, locks)
    return Step(method, name, {key: value.replace("{etag:}", f"{{etag:{name}}}") for key, value in fields.items()}, body)


def _name(chance: random.Random) -> str:
    return chance.choice(NAMES) + ("/" if chance.random() < 0.08 else "")


def _conditions(chance: random.Random, number: int, locks: int) -> dict[str, str]:
    fields: dict[str, str] = {}
    if chance.random() < 0.25:
        kind = chance.choice(("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since"))
        tags = ("*", "{etag:}", '"other"', '"other", {etag:}', "W/{etag:}")
        fields[kind] = date(chance, number) if kind.endswith("Since") else chance.choice(tags)
    if locks and chance.random() < 0.4:
        token = f"<{{token:{chance.randrange(locks)}}}>"
        fields["If"] = chance.choice((f"({token})", f"({token}) (Not <DAV:no-lock>)", f"({token} [{{etag:}}])", "([{etag:}])"))
    return fields


def date(chance: random.Random, number: int) -> str:
    return f"{{date:{FIRST_SECOND + chance.randrange(-1, number + 2)}}}"
