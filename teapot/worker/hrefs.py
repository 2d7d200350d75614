"""Names as URL paths: path-absolute, with only the necessary escapes, because data-lake clients compare them as strings."""

from urllib.parse import quote

# RFC 3986: what a segment may hold literally beside the unreserved characters.
_LITERAL = "!$&'()*+,;=:@/"


def href(area_path: str, path: bytes, collection: bool) -> str:
    base = quote(area_path.rstrip("/"), safe=_LITERAL)
    whole = base + "/" + quote(path, safe=_LITERAL) if path else base
    return whole + "/" if collection else whole or "/"


def escaped(name: bytes) -> str:
    return quote(name, safe=_LITERAL)
