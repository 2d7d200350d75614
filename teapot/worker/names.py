"""Names of files in URLs and in XML. Names are bytes; the URL form escapes only what must be escaped. Pure.

Clients compare hrefs with what they made themselves, byte by byte, so "~", ":" or "," stay as they are (RFC 3986, section 3.3).
"""

import re

_KEPT = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~!$&'()*+,;=:@/"
_IN_URL = tuple(chr(byte) if byte in _KEPT else f"%{byte:02X}" for byte in range(256))
# Names that are the same in a URL, in XML and in HTML.
_PLAIN = re.compile(rb"[A-Za-z0-9._~!$()*+,;=:@/-]*")
# What XML 1.0 cannot hold, not even escaped.
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def in_url(name: bytes) -> str:
    """Percent-encoded; "/" is left as it is."""
    if _PLAIN.fullmatch(name):
        return name.decode("ascii")
    return "".join(_IN_URL[byte] for byte in name)


def in_text(text: str) -> str:
    """Escaped for XML and HTML, in text and in attributes."""
    escaped = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return escaped.replace('"', "&quot;").replace("\r", "&#13;")


def shown(name: bytes) -> str | None:
    """The name as escaped text; None when it is no text that XML can hold."""
    if _PLAIN.fullmatch(name):
        return name.decode("ascii")
    try:
        text = name.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return None if _NOT_IN_XML.search(text) else in_text(text)


def collection_url(area_path: str, path: bytes) -> str:
    """Path-absolute and with "/" at its end."""
    return resource_url(area_path, path).rstrip("/") + "/"


def resource_url(area_path: str, path: bytes) -> str:
    return in_url(area_path.encode().rstrip(b"/") + b"/" + path)
