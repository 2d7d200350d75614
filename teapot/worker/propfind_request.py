"""Which properties a PROPFIND asks for: its body, read without DTD or entities and within bounds. Pure."""

import enum
from typing import NamedTuple
from xml.parsers import expat

MAX_PROPERTIES = 128
_MAX_DEPTH = 16
_DAV = "DAV:"
_SEPARATOR = "\n"  # cannot be in a namespace name after attribute normalisation

Name = tuple[str, str]  # namespace and local name


class BadXml(Exception):
    """Not the XML that RFC 4918, section 14.20 describes, or XML that we will not read."""


class Kind(enum.Enum):
    ALL = "allprop"
    NAMES = "propname"
    SOME = "prop"


class Wanted(NamedTuple):
    kind: Kind
    properties: tuple[Name, ...] = ()  # by name; with ALL: those included


def read(body: bytes) -> Wanted:
    """No body asks for everything."""
    if not body.strip():
        return Wanted(Kind.ALL)
    reader = _Reader()
    parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = reader.refuse
    parser.XmlDeclHandler = reader.declaration
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError) as wrong:
        raise BadXml(str(wrong)) from wrong
    return reader.result()


class _Reader:
    def __init__(self) -> None:
        self._open: list[Name] = []
        self._kinds: list[Kind] = []
        self._found: list[Name] = []

    def start(self, qualified: str, _attributes: dict[str, str]) -> None:
        namespace, _, local = qualified.rpartition(_SEPARATOR)
        name = (namespace, local)
        if not self._open and name != (_DAV, "propfind"):
            raise BadXml(f"the root is {local[:40]}")
        if len(self._open) == 1 and namespace == _DAV and local in ("allprop", "propname", "prop"):
            self._kinds.append(Kind(local))
        if len(self._open) == 2 and self._open[1] in ((_DAV, "prop"), (_DAV, "include")):
            self._found.append(name)
        self._open.append(name)
        if len(self._open) > _MAX_DEPTH or len(self._found) > MAX_PROPERTIES:
            raise BadXml("too deep or too many properties")

    def end(self, _qualified: str) -> None:
        self._open.pop()

    def refuse(self, *_declaration: object) -> None:
        raise BadXml("a document type declaration")

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if encoding is not None and encoding.lower() not in ("utf-8", "utf-16", "us-ascii"):
            raise BadXml("an encoding that is neither UTF-8 nor UTF-16")

    def result(self) -> Wanted:
        if len(self._kinds) != 1:
            raise BadXml("not exactly one of allprop, propname and prop")
        return Wanted(self._kinds[0], tuple(dict.fromkeys(self._found)))
