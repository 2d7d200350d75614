"""Names as URL paths: path-absolute, with only the necessary escapes, because data-lake clients compare them as strings."""

import re
from urllib.parse import quote, unquote_to_bytes

# RFC 3986: what a segment may hold literally beside the unreserved characters.
_LITERAL = "!$&'()*+,;=:@/"

# Names that are the same in a URL, in XML and on a screen: most of them, and quick to recognise.
PLAIN = re.compile(rb"[A-Za-z0-9._~-]+").fullmatch
PLAIN_TEXT = re.compile(r"[A-Za-z0-9._~-]+").fullmatch


def href(area_path: str, path: bytes, collection: bool) -> str:
    """`area_path` as it is configured: escaped, though perhaps not as we would."""
    base = quote(unquote_to_bytes(area_path.rstrip("/")), safe=_LITERAL)
    whole = base + "/" + quote(path, safe=_LITERAL) if path else base
    return whole + "/" if collection else whole or "/"


def escaped(name: bytes) -> str:
    return name.decode("ascii") if PLAIN(name) else quote(name, safe=_LITERAL)
