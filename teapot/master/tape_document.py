"""The site's document for /.well-known/wlcg-tape-rest-api: read by the master, checked, and served as it is.

Its form is that of the WLCG tape REST API: `{"sitename": ..., "endpoints": [{"uri": "https://...", "version": "v1"}]}`. A document that
clients could not use is refused at the start, by name, instead of being found out by them.
"""

from typing import Annotated, Any
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from teapot.configuration import Server
from teapot.master.service_accounts import CannotServe

_MOST_BYTES = 16 * 1024  # every gateway is told it as it starts


class _Endpoint(msgspec.Struct):
    uri: str
    version: Annotated[str, Meta(pattern=r"^v[0-9]+([._-][0-9A-Za-z]+)*$")]
    metadata: dict[str, Any] = {}


class _Document(msgspec.Struct):
    """Other members are the site's business."""

    sitename: Annotated[str, Meta(min_length=1)]
    endpoints: Annotated[list[_Endpoint], Meta(min_length=1)]
    description: str = ""


def read(server: Server) -> bytes:
    """b"": the site has none. CannotServe for one that is of no use."""
    if not server.tape_rest_api:
        return b""
    try:
        with open(server.tape_rest_api, "rb") as file:
            content = file.read(_MOST_BYTES + 1)
    except OSError as failed:
        raise CannotServe(f"server.tape_rest_api: cannot read {server.tape_rest_api}: {failed.strerror}") from failed
    if wrong := _why_not(content):
        raise CannotServe(f"server.tape_rest_api: {server.tape_rest_api}: {wrong}")
    return content


def _why_not(content: bytes) -> str | None:
    if len(content) > _MOST_BYTES:
        return f"is larger than {_MOST_BYTES} bytes"
    try:
        document = msgspec.json.decode(content, type=_Document)
    except msgspec.MsgspecError as wrong:
        return f"is not a document of the WLCG tape REST API: {wrong}"
    return next((f"{one.uri!r} is no https URL of an endpoint" for one in document.endpoints if not _is_https(one.uri)), None)


def _is_https(uri: str) -> bool:
    try:
        url = urlsplit(uri)
        return url.scheme == "https" and bool(url.hostname) and url.port != 0
    except ValueError:
        return False
