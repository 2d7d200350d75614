"""What a PROPFIND asks for: its XML body, read without DTD, entities or depth. Pure."""

from typing import NamedTuple
from xml.parsers import expat

from teapot.worker import xml_screen
from teapot.worker.xml_screen import BadXml

MAX_BODY_BYTES = 64 * 1024
_MAX_NAMES, _MAX_DEPTH = 256, 8
_MAX_CHARACTERS = 16 * 1024  # of all names with their namespaces: each member's answer may have to repeat them
_SEPARATOR = "\n"  # cannot be in a namespace that expat hands out


class Property(NamedTuple):
    namespace: str
    name: str


class Wanted(NamedTuple):
    properties: tuple[Property, ...] | None  # None: all
    names_only: bool = False


def read(body: bytes) -> Wanted:
    """An empty body asks for all properties (RFC 4918, 9.1)."""
    if not body.strip():
        return Wanted(None)
    reader = _Reader()
    reader.read(body)
    return reader.wanted()


class _Reader:
    def __init__(self) -> None:
        self._path: list[str] = []
        self._found: list[Property] = []
        self._characters = 0
        self._kinds: set[str] = set()
        parser = self._parser = expat.ParserCreate(namespace_separator=_SEPARATOR)
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end

    def read(self, body: bytes) -> None:
        xml_screen.parse(self._parser, body)

    def wanted(self) -> Wanted:
        if len(self._kinds) != 1:
            raise BadXml("exactly one of prop, allprop and propname is to be asked for")
        kind = self._kinds.pop()
        return Wanted(tuple(self._found)) if kind == "prop" else Wanted(None, kind == "propname")

    def _start(self, tag: str, attributes: object) -> None:
        self._path.append(tag)
        depth = len(self._path)
        namespace, _, name = tag.rpartition(_SEPARATOR)
        if depth > _MAX_DEPTH or len(self._found) >= _MAX_NAMES:
            raise BadXml("too deep, or too many names")
        if depth == 1 and (namespace, name) != ("DAV:", "propfind"):
            raise BadXml("the root is not DAV: propfind")
        if depth == 2 and namespace == "DAV:" and name in ("prop", "allprop", "propname"):
            self._kinds.add(name)
        if depth == 3 and self._path[1] == f"DAV:{_SEPARATOR}prop":
            self._ask(Property(namespace, name))

    def _ask(self, asked: Property) -> None:
        """A namespace is written once in a request, and belongs to each name that is asked for."""
        self._characters += len(asked.namespace) + len(asked.name)
        if self._characters > _MAX_CHARACTERS:
            raise BadXml("the names are too long")
        self._found.append(asked)

    def _end(self, tag: str) -> None:
        self._path.pop()
