"""What no XML of a request may be, looked at before anything is built from it: no document type, no depth, no crowd. Pure."""

from xml.parsers import expat

_MOST_ELEMENTS, _MOST_DEPTH, _MOST_ATTRIBUTES, _MOST_NAMESPACES = 2000, 32, 32, 300
_MOST_CHARACTERS = 512 * 1024  # of all names, each with its namespace, as they are kept once they are read

_ENCODINGS = ("utf-8", "utf-16", "us-ascii", "iso-8859-1")


class BadXml(Exception):
    """400."""


def parse(parser: "expat.XMLParserType", body: bytes) -> None:
    """BadXml for whatever is wrong with it, a document type or an encoding that would have to be loaded included."""
    parser.StartDoctypeDeclHandler = _refuse_doctype
    parser.XmlDeclHandler = _refuse_encoding
    try:
        parser.Parse(body, True)
    except (expat.ExpatError, LookupError, ValueError) as wrong:
        raise BadXml(str(wrong)) from wrong


def _refuse_doctype(*anything: object) -> None:
    raise BadXml("a document type is not accepted")


def _refuse_encoding(version: str, encoding: str | None, standalone: int) -> None:
    """Below Landlock no codec can be loaded; expat has these built in."""
    if encoding is not None and encoding.lower() not in _ENCODINGS:
        raise BadXml("an encoding that is not accepted")


def screen(body: bytes) -> str:
    """The root element's name, as {namespace}name, or as name where it has none."""
    parser = expat.ParserCreate(namespace_separator="\n")
    crowd = _Crowd()
    parser.StartNamespaceDeclHandler = crowd.namespace
    parser.StartElementHandler = crowd.start
    parser.EndElementHandler = crowd.end
    parse(parser, body)
    namespace, _, name = crowd.root.rpartition("\n")
    return f"{{{namespace}}}{name}" if namespace else name


class _Crowd:
    def __init__(self) -> None:
        self.root = ""
        self.elements, self.depth, self.namespaces, self.characters = 0, 0, 0, 0

    def namespace(self, prefix: str | None, uri: str) -> None:
        self.namespaces += 1
        if self.namespaces > _MOST_NAMESPACES:
            raise BadXml("too many namespaces")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self.root = self.root or tag
        self.elements += 1
        self.depth += 1
        self.characters += len(tag) + sum(map(len, attributes))
        if self.elements > _MOST_ELEMENTS or self.depth > _MOST_DEPTH or len(attributes) > _MOST_ATTRIBUTES:
            raise BadXml("too many elements or attributes, or too deep")
        if self.characters > _MOST_CHARACTERS:
            raise BadXml("the names are too long")

    def end(self, tag: str) -> None:
        self.depth -= 1
